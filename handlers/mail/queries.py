"""Reads of mail. Every one takes the actor first."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.mail.types import MailStatus, MailTemplate
from contracts.mail.views import MailView
from handlers.mail.documents import Mail


def mail_view(mail: Mail) -> MailView:
    """A mail as the log shows it."""
    return MailView(
        id=mail.id,
        to=mail.to,
        template=mail.template,
        status=mail.status,
        failure=mail.failure,
        detail=mail.detail,
        user_id=mail.user_id,
        organization_id=mail.organization_id,
        cause=mail.cause,
        asked_at=mail.asked_at,
        ended_at=mail.ended_at,
        revision=mail.revision,
    )


async def list_mails(
    actor: Actor,
    cursor: Cursor,
    to: Annotated[str | None, Field(max_length=254, description="Only to this address.")] = None,
    status: MailStatus | None = None,
    template: MailTemplate | None = None,
) -> Page[MailView]:
    """The delivery log of the whole platform: its route is for platform admins alone."""
    wanted = {
        name: value
        for name, value in (
            ("to", to.lower() if to else None),
            ("status", status),
            ("template", template),
        )
        if value is not None
    }
    return await page_of(Mail, wanted, cursor, mail_view)
