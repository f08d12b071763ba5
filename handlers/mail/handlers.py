"""One method per command: load, decide, stage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork
from contracts.errors import Retry
from contracts.mail.commands import DeliverMail, SendMail
from contracts.mail.events import MailFailed, MailSent
from contracts.mail.types import MailFailure, MailStatus, MailTemplate
from contracts.sealed import seal, unseal
from contracts.types import now
from handlers.mail.documents import Mail
from handlers.mail.rules import is_too_late, mail_id, next_wait
from handlers.mail.templates import check_values, render
from infra.breaker import DependencyUnavailable
from infra.letter import Letter
from infra.mail_notes import MailNotes
from infra.mailer import MailDeferred, Mailer, MailRefused
from infra.settings import MailSettings


@dataclass(frozen=True, slots=True)
class Mails:
    """The handlers, with what they need of the outside world."""

    mailer: Mailer
    notes: MailNotes
    settings: MailSettings
    link_url: str

    async def send_mail(self, command: SendMail, uow: UnitOfWork) -> None:
        # Raises where a value is missing, and so becomes a dead letter: nobody waits for the
        # answer of this command, so a refusal would be seen by nobody.
        check_values(command.template, command.values, linked=command.token is not None)
        cause = uow.message.causationid or uow.message.id
        id = mail_id(cause, command.to, command.template)
        if await Mail.get(id) is not None:
            return
        mail = Mail(
            id=id,
            to=command.to,
            template=command.template,
            values=command.values,
            token=seal(command.token.reveal()) if command.token else None,
            linked=command.token is not None,
            user_id=command.account,
            organization_id=uow.message.org,
            cause=cause,
            asked_at=uow.message.time,
            forget_at=uow.message.time + timedelta(days=self.settings.retention_days),
        )
        uow.add(mail)
        if await self._is_one_of_too_many(mail):
            _end_unsent(mail, uow, MailFailure.TOO_MANY)
        else:
            uow.send(DeliverMail(mail_id=id))

    async def _is_one_of_too_many(self, mail: Mail) -> bool:
        """Whether strangers have had this address mailed often enough.

        Here, and told to nobody: whoever invites must not learn whom others have invited. And
        an organization that was deleted has forgotten whom it invited.
        """
        if mail.template is not MailTemplate.INVITATION:
            return False
        lately = {
            "to": mail.to,
            "template": mail.template,
            "asked_at": {"$gt": mail.asked_at - timedelta(hours=1)},
            "failure": {"$ne": MailFailure.TOO_MANY},
        }
        return await Mail.find(lately).limit(self.settings.invitations).count() >= (
            self.settings.invitations
        )

    async def deliver_mail(self, command: DeliverMail, uow: UnitOfWork) -> None:
        """Hand the mail over just before the commit that says so.

        A crash between the server's answer and our note of it in Redis, one round trip later,
        sends the mail twice, with one Message-ID; one between the note and the commit does not.
        So does a connection that breaks after the last byte and before the answer.
        """
        mail = await Mail.get(command.mail_id)
        if mail is None or mail.status is not MailStatus.QUEUED:
            return
        uow.effect(lambda: self._end(mail, uow))

    async def _end(self, mail: Mail, uow: UnitOfWork) -> None:
        """Sent or given up, and staged so; else Retry."""
        async with self.notes.alone(mail.id) as alone:
            if not alone:
                raise Retry(1.0, "somebody else is sending it")
            if not await self.notes.was_sent(mail.id):
                if self._is_too_late(mail):
                    _stage_failure(mail, uow, MailFailure.EXPIRED)
                    return
                if wait := await self.notes.wait(mail.id):
                    raise Retry(wait, "it was put off")
                if refused := await self._hand_over(mail):
                    _stage_failure(mail, uow, MailFailure.REFUSED, str(refused), refused.status)
                    return
                await self.notes.sent(mail.id)
        mail.status, mail.token, mail.ended_at = MailStatus.SENT, None, now()
        uow.save(mail)
        uow.emit(MailSent(mail_id=mail.id, template=mail.template, user_id=mail.user_id))

    def _is_too_late(self, mail: Mail) -> bool:
        return is_too_late(
            mail.asked_at,
            now(),
            linked=mail.linked,
            expires=mail.values.get("expires", ""),
            link_age=self.settings.link_age,
        )

    async def _hand_over(self, mail: Mail) -> MailRefused | None:
        """None once a server has it, or why none will ever take it; Retry for later."""
        try:
            await self.mailer.send(self._letter(mail))
        except MailRefused as error:
            return error
        except MailDeferred as error:
            wait = next_wait(mail.asked_at, now())
            await self.notes.put_off(mail.id, wait)
            raise Retry(wait, str(error)) from error
        except DependencyUnavailable as error:
            wait = max(error.retry_after, next_wait(mail.asked_at, now()))
            raise Retry(wait, str(error)) from error
        return None

    def _letter(self, mail: Mail) -> Letter:
        token = unseal(mail.token) if mail.token else None
        text = render(mail.template, mail.values, token=token, link_url=self.link_url)
        return Letter(mail.id, mail.to, text.subject, text.text, text.html, mail.asked_at)


def _stage_failure(
    mail: Mail,
    uow: UnitOfWork,
    failure: MailFailure,
    detail: str | None = None,
    status: int | None = None,
) -> None:
    _end_unsent(mail, uow, failure, detail, status)
    uow.save(mail)


def _end_unsent(
    mail: Mail,
    uow: UnitOfWork,
    failure: MailFailure,
    detail: str | None = None,
    status: int | None = None,
) -> None:
    mail.status, mail.failure, mail.detail = MailStatus.FAILED, failure, detail
    mail.token, mail.ended_at = None, now()
    uow.emit(
        MailFailed(
            mail_id=mail.id,
            template=mail.template,
            reason=failure,
            status=status,
            user_id=mail.user_id,
        )
    )
