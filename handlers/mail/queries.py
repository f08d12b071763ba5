"""Reads of mail. Every one takes the actor first."""

from __future__ import annotations
