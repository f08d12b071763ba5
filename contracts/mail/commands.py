"""What may be asked of mail."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.auth.types import Email
from contracts.base import Command
from contracts.mail.types import MailTemplate
from contracts.sealed import Sealed
from contracts.types import Id

MailValue = Annotated[str, StringConstraints(max_length=2000)]


class SendMail(Command):
    """Mail somebody, once, whatever is delivered again or replayed.

    The domain that decides so sends it: a mail's secret must not be in an event.
    """

    wire = "mail.message.send"

    to: Email
    template: MailTemplate
    values: dict[str, MailValue] = Field(
        {}, max_length=20, description="What the text names: never a secret."
    )
    token: Sealed[str] | None = Field(None, description="Secret of the link in the mail.")
    account: Id | None = Field(None, description="The user the mail is about, if any.")


class DeliverMail(Command):
    """Hand a queued mail to the SMTP server. Mail sends it to itself."""

    wire = "mail.message.deliver"
    lane = "slow"

    mail_id: Id
