"""What each mail says. In a text, ``$name`` is a value; who sends the mail gives those it needs."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.mail.types import MailTemplate


@dataclass(frozen=True, slots=True)
class Link:
    """What a mail wants done: the page that does it, and the words on the button."""

    page: str
    label: str
    good_for: str
    """Said of a link whose sender names no ``expires``."""


@dataclass(frozen=True, slots=True)
class Text:
    """One kind of mail. ``needs`` are the values without which it is not sent."""

    subject: str
    needs: frozenset[str]
    before: tuple[str, ...]
    """Paragraphs before the link, if there is one."""
    after: tuple[str, ...] = ()
    link: Link | None = None
    facts: tuple[tuple[str, str], ...] = ()
    """Label → value, shown as a list after the first paragraph."""
    listed: bool = False
    """Whether the values item1, item2 … are a list after the first paragraph, each with its link1,
    link2 … where there is one; and ``more`` how many it leaves out."""


_SOON = "The link can be used once, and only for a limited time."
_WHERE = (("When", "$time"), ("From", "$address"), ("With", "$agent"))

_CHOICE = (
    "If you do not want such mails, or want them at other times, change what is mailed to you: "
    "$preferences",
)

TEXTS: dict[MailTemplate, Text] = {
    MailTemplate.VERIFY_ADDRESS: Text(
        "Confirm your e-mail address",
        frozenset({"name"}),
        (
            "An account on Grid8 was made with this e-mail address. "
            "Please confirm that the address is yours.",
        ),
        (
            "If it was not you, do nothing: without your confirmation nobody can "
            "claim this address as theirs.",
        ),
        Link("verify-email", "Confirm my address", _SOON),
    ),
    MailTemplate.ADDRESS_TAKEN: Text(
        "You already have an account",
        frozenset({"name"}),
        (
            "Somebody tried to make a new account on Grid8 with this e-mail address. "
            "You have one already, so nothing was changed.",
            "If it was you, sign in with the account you have. If you have forgotten the "
            "password, ask for a new one where you sign in.",
            "If it was not you, there is nothing to do: whoever tried has learned nothing, "
            "not even that you have an account.",
        ),
    ),
    MailTemplate.RESET_PASSWORD: Text(
        "Choose a new password",
        frozenset({"name", "address"}),
        (
            "Somebody asked for a new password for your account on Grid8. "
            "The request came from $address.",
            "If it was you, choose the new password here.",
        ),
        (
            "If it was not you, do nothing: your password stays as it is. Do not pass this mail "
            "on, because whoever has it can choose your password.",
        ),
        Link("reset-password", "Choose a new password", _SOON),
    ),
    MailTemplate.PASSWORD_CHANGED: Text(
        "Your password was changed",
        frozenset({"name", "address"}),
        (
            "The password of your account on Grid8 was changed. The change came from $address.",
            "If it was you, there is nothing to do.",
            "If it was not you, ask for a new password at once, where you sign in with "
            "“forgotten password”. That also ends every session of whoever changed it.",
        ),
    ),
    MailTemplate.NEW_DEVICE: Text(
        "New sign-in to your account",
        frozenset({"name", "address", "agent", "time"}),
        (
            "Somebody signed in to your account on Grid8 from a device that we have not seen before.",
            "If it was you, there is nothing to do.",
            "If it was not you, change your password now, and end the session in the list of your "
            "sessions.",
        ),
        facts=_WHERE,
    ),
    MailTemplate.SESSION_STOLEN: Text(
        "We ended a session of yours",
        frozenset({"name", "address", "agent", "time"}),
        (
            "A sign-in of yours on Grid8 was used from two places, as happens when somebody has "
            "copied it. We have ended that session, in both places.",
            "Please sign in again. If you know of no reason, such as a restored backup of your "
            "browser, change your password too, and look through the list of your sessions.",
            "If the use above was not you, somebody else had access to your account.",
        ),
        facts=_WHERE,
    ),
    MailTemplate.SECOND_FACTOR_CHANGED: Text(
        "Your two-step sign-in was changed",
        frozenset({"name", "change"}),
        (
            "The two-step sign-in of your account on Grid8 was changed: $change.",
            "If it was you, there is nothing to do.",
            "If it was not you, change your password now, and set up two-step sign-in again.",
        ),
    ),
    MailTemplate.ACCOUNT_SUSPENDED: Text(
        "Your account was suspended",
        frozenset({"name", "reason"}),
        (
            "Your account on Grid8 was suspended by an administrator. Reason given: $reason",
            "You cannot sign in until it is reinstated, and your sessions have ended. What you "
            "made is still there.",
            "If you think that this is a mistake, or the account is not yours, ask the people "
            "who run this Grid8 for you.",
        ),
    ),
    MailTemplate.INVITATION: Text(
        "Invitation to join $organization",
        frozenset({"organization", "inviter", "role", "expires"}),
        (
            "$inviter invites you to join the organization “$organization” on Grid8, as $role.",
            "To accept, sign in with this e-mail address, or make an account with it.",
        ),
        (
            "If you do not know $inviter, or want to have nothing to do with it, "
            "do nothing: the invitation ends by itself.",
        ),
        Link("accept-invitation", "See the invitation", ""),
    ),
    MailTemplate.NOTIFICATIONS: Text(
        "In your inbox: $headline",
        frozenset({"name", "headline", "item1", "preferences"}),
        ("There is something in your inbox on Grid8: $headline",),
        _CHOICE,
        listed=True,
    ),
    MailTemplate.NOTIFICATION_DIGEST: Text(
        "Unread: $headline",
        frozenset({"name", "headline", "item1", "preferences"}),
        ("You have not read yet what is in your inbox on Grid8: $headline",),
        _CHOICE,
        listed=True,
    ),
}
