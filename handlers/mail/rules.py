"""Pure decisions: which mail it is, whether it is too late, how long to wait."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from contracts.types import derived_id

NOTICE_AGE = timedelta(days=5)
"""How long a mail without a link is tried: what RFC 5321, 4.5.4.1 has a sender try at least."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 900.0
"""Seconds between tries."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", re.ASCII)


def mail_id(cause: str, to: str, template: str) -> str:
    """One mail per cause, recipient and template, whichever command asks for it."""
    return derived_id("mail", cause, f"{template} {to}")


def instant_of(text: str) -> datetime | None:
    """The instant that an RFC 3339 text names, in UTC; None for other texts."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_too_late(
    asked_at: datetime, now: datetime, *, linked: bool, expires: str, link_age: int
) -> bool:
    """Whether a mail must not be sent any more: for a link, once it ``expires`` at the latest."""
    if not linked:
        return now - asked_at > NOTICE_AGE
    end = instant_of(expires)
    return now - asked_at > timedelta(seconds=link_age) or (end is not None and now >= end)


def next_wait(asked_at: datetime, now: datetime) -> float:
    """Seconds to the next try of a mail that could not be sent: half of its age, within bounds."""
    return min(LONGEST_WAIT, max(FIRST_WAIT, (now - asked_at).total_seconds() / 2))
