"""What internal producers may say in ``custom.*`` to have members notified.

Their data is anybody's: what does not fit is left out, and nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict

from contracts.base import Event
from contracts.inbox.types import NotificationKind

MENTIONED = 100
"""People whom one event can mention; the others are passed over."""
_LOOKED_AT = 1000
_USER = re.compile(r"usr_[A-Za-z0-9_-]{1,64}", re.ASCII)
_PATH = re.compile(r"/(?![/\\])[!-~]{0,499}", re.ASCII)
"""A path of whoever shows it: never the address of another host."""
_JOINERS = "\u200c\u200d"
_TITLE, _TEXT = 200, 1000


class CustomEvent(Event):
    """An event of an internal producer, of whatever type, that mentions somebody."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    wire = "custom.*"

    @classmethod
    def takes(cls, data: Mapping[str, Any]) -> bool:
        """Whether it mentions somebody."""
        return bool(mentioned_in(data))


@dataclass(frozen=True, slots=True)
class Mention:
    """That members are called upon: to look, or with ``kind`` approval to approve."""

    kind: NotificationKind
    users: tuple[str, ...]
    title: str
    text: str
    link: str | None


def mention_of(data: Mapping[str, Any]) -> Mention | None:
    """The mention in a custom event's data; None where nobody is mentioned.

    ``mentions`` are ids of users, the first hundred; ``title``, ``text``, ``link`` (a path) and
    ``kind`` (approval, else mention) are optional.
    """
    users = mentioned_in(data)
    if not users:
        return None
    approval = data.get("kind") == NotificationKind.APPROVAL.value
    link = data.get("link")
    return Mention(
        kind=NotificationKind.APPROVAL if approval else NotificationKind.MENTION,
        users=users,
        title=plain(data.get("title"), _TITLE),
        text=plain(data.get("text"), _TEXT),
        link=link if isinstance(link, str) and _PATH.fullmatch(link) else None,
    )


def mentioned_in(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The users an event's data mentions, each once."""
    given = data.get("mentions")
    if not isinstance(given, list):
        return ()
    fitting = (each for each in given[:_LOOKED_AT] if isinstance(each, str))
    users = dict.fromkeys(each for each in fitting if _USER.fullmatch(each))
    return tuple(users)[:MENTIONED]


def plain(value: Any, longest: int) -> str:
    """A text on one line without what would change how it is shown; empty for what is none."""
    if not isinstance(value, str):
        return ""
    shown = (
        each if each.isprintable() or each in _JOINERS else " " for each in value[: 4 * longest]
    )
    text = " ".join("".join(shown).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
