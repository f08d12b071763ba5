"""Field types of mail."""

from __future__ import annotations

from enum import StrEnum


class MailTemplate(StrEnum):
    """Which mail it is. What each is given is said where its text is: handlers/mail/templates."""

    VERIFY_ADDRESS = "verify_address"
    ADDRESS_TAKEN = "address_taken"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a name, not a secret
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - as above
    NEW_DEVICE = "new_device"
    SESSION_STOLEN = "session_stolen"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    ACCOUNT_SUSPENDED = "account_suspended"
    INVITATION = "invitation"
    NOTIFICATIONS = "notifications"
    NOTIFICATION_DIGEST = "notification_digest"


class MailStatus(StrEnum):
    """What has become of a mail."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class MailFailure(StrEnum):
    """Why a mail will not be sent."""

    REFUSED = "refused"
    EXPIRED = "expired"
    TOO_MANY = "too_many"
