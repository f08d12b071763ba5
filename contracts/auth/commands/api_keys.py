"""What may be asked about API keys. The organization is the envelope's."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.base import Command, IfRevision
from contracts.permissions import Permission
from contracts.types import Id, Instant, Name


class CreateApiKey(Command):
    """Make an API key. Its scopes are among what the actor may do."""

    wire = "auth.api_key.create"

    name: Name
    scopes: Annotated[tuple[Permission, ...], Field(min_length=1, max_length=64)]
    expires_at: Instant | None = Field(None, description="At most five years ahead.")


class RotateApiKey(Command):
    """Give an API key a new secret; the old one stays good for a while."""

    wire = "auth.api_key.rotate"

    key_id: Id
    grace: Annotated[
        int, Field(ge=0, le=7 * 86400, description="Seconds the old secret stays good.")
    ] = 86400
    if_revision: IfRevision = None


class RevokeApiKey(Command):
    """End an API key at once."""

    wire = "auth.api_key.revoke"

    key_id: Id
    if_revision: IfRevision = None
