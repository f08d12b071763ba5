"""What the inbox answers."""

from __future__ import annotations

from pydantic import Field

from contracts.base import View
from contracts.inbox.types import NotificationKind, Parameters, Preference, Subject
from contracts.types import Id, Instant, Revision


class NotificationView(View):
    """One notification; several things of a kind may be thrown together in it."""

    id: Id
    organization_id: Id | None = Field(description="null: it is about the account.")
    kind: NotificationKind
    title: str
    text: str
    parameters: Parameters = Field(description="What title and text are made of.")
    event_type: str = Field(description="The event because of which it is there, the latest.")
    subjects: tuple[Subject, ...] = Field(description="What it is about, the latest first.")
    link: str | None = Field(description="The latest subject's.")
    actor: str | None = Field(description="The user, or API key, who did it last.")
    count: int = Field(description="How many were thrown together.")
    created_at: Instant = Field(description="When the first of it happened.")
    latest_at: Instant = Field(description="When the last of it happened; lists are sorted by it.")
    read_at: Instant | None
    revision: Revision


class UnreadView(View):
    """How many notifications somebody has not read."""

    count: int
    by_org: dict[str, int] = Field(description="By organization; `account` is about the account.")
    revision: Revision = Field(description="Of the inbox: the greatest knows the number.")


class PreferencesView(View):
    """How somebody is notified."""

    kinds: dict[NotificationKind, Preference] = Field(description="Every kind.")
    muted: tuple[Id, ...]
    revision: Revision
