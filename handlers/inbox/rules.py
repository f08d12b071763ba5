"""Which events make which notifications, for whom: the whole table, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.asset.events import (
    AssetFailed,
    AssetReady,
    RightsExpired,
    RightsExpiryAnnounced,
    VersionFailed,
)
from contracts.auth.events import (
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeyRotated,
    DeviceAdded,
    UserImpersonated,
)
from contracts.base import Event
from contracts.corp.events import (
    InvitationAccepted,
    InvitationCreated,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
)
from contracts.envelope import Envelope
from contracts.inbox.types import MailPace, NotificationKind, Parameters, Preference, Subject
from contracts.mail.events import MailFailed
from contracts.mail.types import MailFailure, MailTemplate
from contracts.types import derived_id, first_id, made_at, rfc3339
from handlers.inbox.mentions import CustomEvent, mention_of, plain

SUBJECTS = 5
"""Of what was thrown together, the latest that are named."""

Kind = NotificationKind


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told about one event, before it is known who is a member."""

    kind: Kind
    subject: Subject
    parameters: Parameters = field(default_factory=dict)
    users: tuple[str | None, ...] = ()
    staff: bool = False
    """The organization's owners and admins too."""
    invitation: str | None = None
    """The user whom this invitation is for."""
    outsiders: bool = False
    """Also to who is no member of the event's organization."""
    to_actor: bool = False
    """Also to who caused it: it tells how that went on."""
    together: bool = False
    """Several within a while are one notification."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long somebody must have waited to be told that it is over."""

    slow: timedelta = timedelta(seconds=30)


def _asset(id: str, envelope: Envelope) -> Subject:
    return Subject(type="asset", id=id, link=f"/v1/orgs/{envelope.org}/assets/{id}")


def _organization(envelope: Envelope) -> Subject:
    link = f"/v1/orgs/{envelope.org}" if envelope.org else None
    return Subject(type="organization", id=envelope.org or "", link=link)


def _invitation_received(event: InvitationCreated, envelope: Envelope, _: Limits) -> Notice:
    subject = Subject(type="invitation", id=event.invitation_id)
    parameters = {"role": str(event.role)}
    invited = event.invitation_id
    return Notice(Kind.INVITATION_RECEIVED, subject, parameters, invitation=invited, outsiders=True)


def _invitation_accepted(event: InvitationAccepted, envelope: Envelope, _: Limits) -> Notice:
    link = f"/v1/orgs/{envelope.org}/members/{event.member_id}"
    subject = Subject(type="member", id=event.member_id, link=link)
    return Notice(Kind.INVITATION_ACCEPTED, subject, users=(event.invited_by,), together=True)


def _invitation_failed(event: MailFailed, envelope: Envelope, _: Limits) -> Notice | None:
    # That it was one of too many would tell whom others have invited.
    if event.template is not MailTemplate.INVITATION or event.reason is MailFailure.TOO_MANY:
        return None
    subject = Subject(type="mail", id=event.mail_id, link=f"/v1/orgs/{envelope.org}/invitations")
    parameters = {"reason": str(event.reason)}
    users = (envelope.actor,)
    return Notice(Kind.INVITATION_FAILED, subject, parameters, users, to_actor=True, together=True)


def _membership_added(event: MemberAdded, envelope: Envelope, _: Limits) -> Notice:
    parameters = {"role": str(event.role)}
    return Notice(Kind.MEMBERSHIP_ADDED, _organization(envelope), parameters, (event.user_id,))


def _role_changed(event: MemberChanged, envelope: Envelope, _: Limits) -> Notice:
    parameters = {"role": str(event.effective_role or event.role)}
    users = (event.user_id,)
    return Notice(Kind.ROLE_CHANGED, _organization(envelope), parameters, users, together=True)


def _membership_ended(event: MemberRemoved, envelope: Envelope, _: Limits) -> Notice:
    subject = _organization(envelope).model_copy(update={"link": None})
    return Notice(Kind.MEMBERSHIP_ENDED, subject, users=(event.user_id,), outsiders=True)


def _asset_ready(event: AssetReady, envelope: Envelope, limits: Limits) -> Notice | None:
    if event.uploaded_at is None or envelope.time - event.uploaded_at < limits.slow:
        return None  # they saw it themselves, or nobody waits
    return Notice(
        Kind.ASSET_READY,
        _asset(event.asset_id, envelope),
        {"name": plain(event.name, 200)},
        (event.uploaded_by,),
        to_actor=True,
        together=True,
    )


def _asset_failed(event: AssetFailed | VersionFailed, envelope: Envelope, _: Limits) -> Notice:
    return Notice(
        Kind.ASSET_FAILED,
        _asset(event.asset_id, envelope),
        {"name": plain(event.name, 200), "detail": plain(event.detail, 500)},
        (event.uploaded_by or envelope.actor,),
        to_actor=True,
        together=True,
    )


def _rights(event: RightsExpired | RightsExpiryAnnounced, envelope: Envelope, _: Limits) -> Notice:
    expired = isinstance(event, RightsExpired)
    return Notice(
        Kind.RIGHTS_EXPIRED if expired else Kind.RIGHTS_EXPIRING,
        _asset(event.asset_id, envelope),
        {"name": plain(event.name, 200), "expires_at": rfc3339(event.expires_at)},
        (event.uploaded_by,),
        staff=True,
        to_actor=True,
        together=True,
    )


def _api_key(
    event: ApiKeyCreated | ApiKeyRotated | ApiKeyRevoked, envelope: Envelope, _: Limits
) -> Notice:
    link = f"/v1/orgs/{envelope.org}/api-keys/{event.key_id}"
    parameters = {"change": event.wire.rpartition(".")[2]}
    if isinstance(event, ApiKeyCreated):
        parameters["name"] = plain(event.name, 200)
    subject = Subject(type="api_key", id=event.key_id, link=link)
    return Notice(Kind.API_KEY_CHANGED, subject, parameters, staff=True, together=True)


def _new_device(event: DeviceAdded, envelope: Envelope, _: Limits) -> Notice:
    subject = Subject(type="device", id=event.device_id, link="/v1/auth/sessions")
    parameters = {"address": plain(event.address, 64), "agent": plain(event.agent, 200)}
    users = (event.user_id,)
    return Notice(Kind.NEW_DEVICE, subject, parameters, users, outsiders=True, to_actor=True)


def _impersonated(event: UserImpersonated, envelope: Envelope, _: Limits) -> Notice:
    subject = Subject(type="session", id=event.session_id, link="/v1/auth/sessions")
    parameters = {"reason": plain(event.reason, 500)}
    return Notice(Kind.IMPERSONATED, subject, parameters, (event.user_id,), outsiders=True)


def _mention(event: CustomEvent, envelope: Envelope, _: Limits) -> Notice | None:
    mention = mention_of(envelope.data)
    if mention is None:
        return None
    about = plain(envelope.subject, 200) or envelope.id
    subject = Subject(type=envelope.type, id=about, link=mention.link)
    parameters = {"title": mention.title, "text": mention.text}
    return Notice(mention.kind, subject, parameters, mention.users, to_actor=False)


RULES: Mapping[type[Event], Callable[[Any, Envelope, Limits], Notice | None]] = {
    InvitationCreated: _invitation_received,
    InvitationAccepted: _invitation_accepted,
    MailFailed: _invitation_failed,
    MemberAdded: _membership_added,
    MemberChanged: _role_changed,
    MemberRemoved: _membership_ended,
    AssetReady: _asset_ready,
    AssetFailed: _asset_failed,
    VersionFailed: _asset_failed,
    RightsExpiryAnnounced: _rights,
    RightsExpired: _rights,
    ApiKeyCreated: _api_key,
    ApiKeyRotated: _api_key,
    ApiKeyRevoked: _api_key,
    DeviceAdded: _new_device,
    UserImpersonated: _impersonated,
    CustomEvent: _mention,
}

_DAILY = {Kind.MENTION, Kind.APPROVAL, Kind.RIGHTS_EXPIRED}


def default_preference(kind: Kind) -> Preference:
    """How somebody is told of a kind who has chosen nothing."""
    pace: MailPace = "daily" if kind in _DAILY else "off"
    return Preference(in_app=True, mail=pace)


def happened_at(envelope: Envelope) -> datetime:
    """When an event happened. The time of a producer's is the producer's; its id is ours."""
    if not envelope.type.startswith("custom."):
        return envelope.time
    try:
        return made_at(envelope.id)
    except ValueError:
        return envelope.time


def notification_id(envelope: Envelope, notice: Notice, user: str, window: timedelta) -> str:
    """The notification an event belongs to: the same whenever and in whatever order it is seen.

    What is thrown together is so within spans of ``window`` that begin at fixed instants.
    """
    if not notice.together or not window:
        return derived_id("ntf", envelope.id, f"{user} {notice.kind}")
    number = int(happened_at(envelope).timestamp() // window.total_seconds())
    began = datetime.fromtimestamp(number * window.total_seconds(), UTC)
    return derived_id("ntf", first_id("evt", began), f"{user} {notice.kind} {envelope.org}")


def next_digest(at: datetime, hour: int) -> datetime:
    """The next instant at which digests are mailed: that hour, UTC."""
    today = at.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today > at else today + timedelta(days=1)
