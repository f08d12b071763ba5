"""Pure decisions: which mail it is, whether it is too late, how long to wait."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.types import derived_id

NOTICE_AGE = timedelta(days=5)
"""How long a mail without a link is tried: what RFC 5321, 4.5.4.1 has a sender try at least."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 900.0
"""Seconds between tries."""


def mail_id(cause: str, to: str, template: str) -> str:
    """One mail per cause, recipient and template, whichever command asks for it."""
    return derived_id("mail", cause, f"{template} {to}")


def is_too_late(asked_at: datetime, now: datetime, *, linked: bool, link_age: int) -> bool:
    """Whether a mail must not be sent any more."""
    return now - asked_at > (timedelta(seconds=link_age) if linked else NOTICE_AGE)


def next_wait(asked_at: datetime, now: datetime) -> float:
    """Seconds to the next try of a mail that could not be sent: half of its age, within bounds."""
    return min(LONGEST_WAIT, max(FIRST_WAIT, (now - asked_at).total_seconds() / 2))
