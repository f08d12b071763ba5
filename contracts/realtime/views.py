"""What is told of work that is under way."""

from __future__ import annotations

from pydantic import Field

from contracts.base import View
from contracts.types import Instant


class ProgressView(View):
    """How far some work is. Told to whoever listens just then, and kept nowhere."""

    work: str = Field(description="What is done, e.g. `asset.processing`.")
    subject: str = Field(description="The id of what it is done to.")
    stage: str = Field(description="The step that is under way, e.g. `rendering`.")
    done: int = Field(ge=0, description="How much of the step is done.")
    total: int | None = Field(None, ge=0, description="How much there is, where it is known.")
    unit: str = Field("steps", description="Of what `done` and `total` count: `steps`, `bytes` …")
    at: Instant


class PresentView(View):
    """A person who listens to a channel just now."""

    user: str
    since: Instant
    connections: int = Field(ge=1, description="Sockets of theirs that are subscribed.")


class PresenceView(View):
    """Who listens to a channel just now, who came first before the others."""

    channel: str
    total: int = Field(ge=0, description="How many people there are, listed or not.")
    members: tuple[PresentView, ...]
