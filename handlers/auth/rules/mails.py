"""What users are mailed about their accounts."""

from __future__ import annotations

from contracts.mail.commands import SendMail
from contracts.mail.types import MailTemplate
from contracts.sealed import Sealed
from handlers.auth.documents import User


def mail_to(
    user: User, template: MailTemplate, *, token: str | None = None, **values: str
) -> SendMail:
    """A mail to the user's own address, with their name among its values."""
    return SendMail(
        to=user.email,
        template=template,
        values={"name": user.name, **values},
        token=None if token is None else Sealed(token),
        account=user.id,
    )
