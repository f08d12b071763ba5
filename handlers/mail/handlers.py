"""One function per command: load, decide, stage."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.mail.commands import SendMail
from contracts.sealed import seal
from handlers.mail.documents import Mail


async def send_mail(command: SendMail, uow: UnitOfWork) -> None:
    uow.add(
        Mail(
            id=uow.new_id("mail"),
            to=command.to,
            template=command.template,
            values=command.values,
            token=seal(command.token.reveal()) if command.token else None,
            user_id=command.account,
            organization_id=uow.message.org,
            cause=uow.message.causationid or uow.message.id,
        )
    )
