"""Links that are mailed: made, found, and used once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork
from contracts.auth.errors import LinkInvalid
from contracts.mail.types import MailTemplate
from contracts.types import now, rfc3339
from handlers.auth.documents import Link, LinkPurpose, User
from handlers.auth.rules.links import is_due, is_good, link_id
from handlers.auth.rules.mails import mail_to
from infra.random_tokens import digest_of, new_token
from infra.settings import AuthSettings


@dataclass(frozen=True, slots=True)
class Linking:
    """Mails links. Their tokens are in the mail alone; here are digests."""

    settings: AuthSettings

    async def mail(
        self,
        user: User,
        purpose: LinkPurpose,
        template: MailTemplate,
        uow: UnitOfWork,
        **values: str,
    ) -> None:
        """Stage a new link, and the mail with it, unless the user was mailed one just now."""
        link = await Link.get(link_id(user.id, purpose))
        if is_due(link, now(), pause=self.settings.link_pause):
            self.mail_anew(link, user, purpose, template, uow, **values)

    def mail_anew(
        self,
        link: Link | None,
        user: User,
        purpose: LinkPurpose,
        template: MailTemplate,
        uow: UnitOfWork,
        **values: str,
    ) -> None:
        """Stage a link in place of the one there is, if any, and the mail with it."""
        token, at = new_token(), now()
        seconds = {"verify": self.settings.verify_ttl, "reset": self.settings.reset_ttl}[purpose]
        expires_at = at + timedelta(seconds=seconds)
        if link is None:
            uow.add(
                Link(
                    id=link_id(user.id, purpose),
                    user_id=user.id,
                    purpose=purpose,
                    digest=digest_of(token),
                    issued_at=at,
                    expires_at=expires_at,
                )
            )
        else:
            link.mailed = link.mailed + 1 if at < link.expires_at else 1
            link.digest, link.issued_at, link.expires_at = digest_of(token), at, expires_at
            uow.save(link)
        uow.send(mail_to(user, template, token=token, expires=rfc3339(expires_at), **values))

    async def owner(self, token: str, purpose: LinkPurpose) -> tuple[Link, User]:
        """The link with this token and whose it is. Raises LinkInvalid. Remove it when used."""
        link = await Link.find_one({"digest": digest_of(token)})
        user = None if link is None else await User.get(link.user_id)
        if link is None or user is None or not is_good(link, purpose, now()):
            raise LinkInvalid()
        return link, user
