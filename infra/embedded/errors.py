"""What is said when something cannot start."""

from __future__ import annotations


class CannotStartError(Exception):
    """The stack, or a part of it, cannot start; the message tells a person why and what to do."""
