"""Links that are mailed, and how long they are good."""

from __future__ import annotations

from datetime import datetime, timedelta

from handlers.auth.documents import Link, LinkPurpose

SOON = 3
"""Links in a row that a user is mailed soon after each other."""
LEFT_ALONE = timedelta(minutes=30)
"""How long the last of them is not replaced; of one that lives shorter, half its life."""


def link_id(user: str, purpose: LinkPurpose) -> str:
    """There is one link of each purpose, so a newer one takes the place of the older."""
    return f"{user}:{purpose}"


def is_due(link: Link | None, at: datetime, *, pause: int) -> bool:
    """Whether a user may be mailed another link, by which the one before becomes void.

    Anybody may ask for it. Whoever did so again and again would leave the owner no time to
    use any, if none was left alone.
    """
    if link is None or at >= link.expires_at:
        return True
    wait = timedelta(seconds=pause)
    if link.mailed >= SOON:
        wait = max(wait, min(LEFT_ALONE, (link.expires_at - link.issued_at) / 2))
    return at - link.issued_at >= wait


def is_good(link: Link | None, purpose: LinkPurpose, at: datetime) -> bool:
    """Whether a link that was found is one for this, in time."""
    return link is not None and link.purpose == purpose and at < link.expires_at
