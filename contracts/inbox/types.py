"""Field types of the inbox."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from contracts.base import Contract, absent
from contracts.types import Id


class NotificationKind(StrEnum):
    """What somebody is notified of. Which events make which, handlers/inbox/rules.py says."""

    MENTION = "mention"
    APPROVAL = "approval"
    INVITATION_RECEIVED = "invitation_received"
    INVITATION_ACCEPTED = "invitation_accepted"
    INVITATION_FAILED = "invitation_failed"
    MEMBERSHIP_ADDED = "membership_added"
    MEMBERSHIP_ENDED = "membership_ended"
    ROLE_CHANGED = "role_changed"
    ASSET_READY = "asset_ready"
    ASSET_FAILED = "asset_failed"
    RIGHTS_EXPIRING = "rights_expiring"
    RIGHTS_EXPIRED = "rights_expired"
    API_KEY_CHANGED = "api_key_changed"
    NEW_DEVICE = "new_device"
    IMPERSONATED = "impersonated"


MailPace = Literal["off", "instant", "daily"]

Parameter = Annotated[str, StringConstraints(max_length=1000)]
Parameters = dict[str, Parameter]
"""What the text of a notification names, as it was when it happened."""


class Subject(Contract):
    """What a notification is about."""

    type: str = Field(description="asset, organization, api_key …; of custom events what they say.")
    id: str
    link: str | None = Field(None, description="Path of it at this interface, or the producer's.")


class Preference(Contract):
    """How somebody wants to be told of one kind."""

    in_app: bool = Field(description="Whether it is shown in the inbox.")
    mail: MailPace = Field(description="By mail: not, at once, or in one mail a day.")


class PreferenceChange(Contract):
    """What of a preference is to be another; what is not named stays."""

    in_app: bool = absent()
    mail: MailPace = absent()


def _from_json(value: Any) -> Any:
    """A kind as JSON has it: strict validation would want the enumeration's member as a key."""
    return NotificationKind(value) if isinstance(value, str) and value in _KINDS else value


_KINDS = {each.value for each in NotificationKind}
KindKey = Annotated[NotificationKind, BeforeValidator(_from_json)]
Muted = Annotated[tuple[Id, ...], Field(max_length=200)]
