"""What notifications say: made of kind and parameters whenever they are shown, and never stored."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from contracts.inbox.types import NotificationKind, Parameters

Kind = NotificationKind


@dataclass(frozen=True, slots=True)
class Words:
    """Title and text of one, and title of several that were thrown together."""

    title: str
    text: str
    many: str = ""


WORDS: dict[Kind, Words] = {
    Kind.MENTION: Words("$title", "$text"),
    Kind.APPROVAL: Words("$title", "$text"),
    Kind.INVITATION_RECEIVED: Words(
        "You are invited to $organization",
        "$actor invites you as $role. The link to accept is in the mail you were sent.",
    ),
    Kind.INVITATION_ACCEPTED: Words(
        "$actor has joined $organization",
        "Your invitation was accepted.",
        "$count people have joined $organization by your invitations",
    ),
    Kind.INVITATION_FAILED: Words(
        "An invitation to $organization could not be mailed",
        "The address may be wrong: look at the invitations, and send it again or revoke it.",
        "$count invitations to $organization could not be mailed",
    ),
    Kind.MEMBERSHIP_ADDED: Words(
        "You are a member of $organization", "$actor has added you as $role."
    ),
    Kind.MEMBERSHIP_ENDED: Words(
        "You are no longer a member of $organization", "$actor has ended your membership."
    ),
    Kind.ROLE_CHANGED: Words(
        "Your role in $organization has changed", "You are $role in $organization now."
    ),
    Kind.ASSET_READY: Words("$name is ready", "It has been processed.", "$count files are ready"),
    Kind.ASSET_FAILED: Words(
        "$name could not be processed", "$detail", "$count files could not be processed"
    ),
    Kind.RIGHTS_EXPIRING: Words(
        "The rights of $name expire soon",
        "They expire at $expires_at.",
        "The rights of $count files expire soon",
    ),
    Kind.RIGHTS_EXPIRED: Words(
        "The rights of $name have expired",
        "They expired at $expires_at.",
        "The rights of $count files have expired",
    ),
    Kind.API_KEY_CHANGED: Words(
        "An API key of $organization was $change",
        "$actor did that. If nobody knows why, revoke the key.",
        "$count changes of API keys of $organization",
    ),
    Kind.NEW_DEVICE: Words(
        "New sign-in to your account",
        "From $address with $agent. If it was not you, change your password.",
    ),
    Kind.IMPERSONATED: Words(
        "An administrator acts in your name", "Reason given: $reason. You may end the session."
    ),
}

_UNKNOWN = {
    "organization": "an organization",
    "actor": "Somebody",
    "name": "A file",
    "reason": "none",
    "role": "a member",
    "address": "an unknown address",
    "agent": "an unknown device",
}
_UNTITLED = {Kind.MENTION: "You were mentioned", Kind.APPROVAL: "Your approval is asked for"}


def words_of(kind: Kind, parameters: Parameters, count: int) -> tuple[str, str]:
    """Title and text of a notification, in plain text."""
    given = {name: value for name, value in parameters.items() if value}
    values = {**_UNKNOWN, **given, "count": str(count)}
    words = WORDS[kind]
    if kind in _UNTITLED:
        # A producer's own words: nothing in them is a placeholder.
        return given.get("title", _UNTITLED[kind]), given.get("text", "")
    title = words.many if count > 1 and words.many else words.title
    return Template(title).safe_substitute(values), Template(words.text).safe_substitute(values)
