"""The second factor: one method per command."""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork
from contracts.auth.commands import BeginSecondFactor, ConfirmSecondFactor, EndSecondFactor
from contracts.auth.errors import OtpRefused, SecondFactorOff, SecondFactorOn, UserNotFound
from contracts.auth.events import SecondFactorChanged
from contracts.auth.views import RecoveryCodesView, SecondFactorView
from contracts.errors import DomainError, FieldError
from contracts.mail.types import MailTemplate
from contracts.sealed import Sealed, seal, unseal
from contracts.types import now
from handlers.auth.documents import SecondFactor, User
from handlers.auth.handlers.proving import Proving
from handlers.auth.rules.mails import mail_to
from handlers.auth.rules.mfa import (
    new_recovery_codes,
    new_secret,
    recovery_digest,
    step_of,
    uri_of,
)


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """The handlers of the second factor, with what they need of the outside world."""

    proving: Proving
    issuer: str
    """What authenticator apps call us."""

    async def begin_second_factor(
        self, command: BeginSecondFactor, uow: UnitOfWork
    ) -> SecondFactorView | DomainError:
        user = await self.proving.owner(command.password.reveal(), "password", uow)
        if isinstance(user, DomainError):
            return user
        self.proving.succeeded(user, uow.message.address or "", uow)
        if user.mfa:
            return SecondFactorOn()
        secret = new_secret()
        factor = await SecondFactor.get(user.id)
        if factor is not None and factor.confirmed:
            return SecondFactorOn()  # since the user was looked at
        if factor is None:
            uow.add(SecondFactor(id=user.id, secret=seal(secret)))
        else:
            factor.secret = seal(secret)
            uow.save(factor)
        return SecondFactorView(
            secret=Sealed(secret), uri=Sealed(uri_of(secret, user.email, self.issuer))
        )

    async def confirm_second_factor(
        self, command: ConfirmSecondFactor, uow: UnitOfWork
    ) -> RecoveryCodesView:
        user, factor = await User.get(uow.actor.user), await SecondFactor.get(uow.actor.user)
        if user is None:
            raise UserNotFound()
        if factor is None or factor.confirmed:
            raise SecondFactorOff() if factor is None else SecondFactorOn()
        step = step_of(unseal(factor.secret), command.otp.reveal(), now().timestamp(), after=0)
        if step is None:
            raise _refused()
        codes = new_recovery_codes()
        factor.confirmed, factor.step = True, step
        factor.recovery = [recovery_digest(code) for code in codes]
        uow.save(factor)
        self._turn(user, True, uow)
        return RecoveryCodesView(recovery_codes=tuple(Sealed(code) for code in codes))

    async def end_second_factor(
        self, command: EndSecondFactor, uow: UnitOfWork
    ) -> DomainError | None:
        user = await self.proving.owner(command.password.reveal(), "password", uow)
        if isinstance(user, DomainError):
            return user
        where = uow.message.address or ""
        if not user.mfa:
            self.proving.succeeded(user, where, uow)
            return SecondFactorOff()
        factor = await self.proving.code_fits(user, command.otp.reveal(), uow)
        if factor is None:
            self.proving.failed(where, uow)
            return _refused()
        uow.remove(factor)
        self._turn(user, False, uow)
        self.proving.succeeded(user, where, uow)
        return None

    def _turn(self, user: User, on: bool, uow: UnitOfWork) -> None:
        user.mfa = on
        uow.save(user)
        uow.emit(SecondFactorChanged(user_id=user.id, enabled=on), user)
        change = "enabled" if on else "disabled"
        uow.send(mail_to(user, MailTemplate.SECOND_FACTOR_CHANGED, change=change))


def _refused() -> OtpRefused:
    error = FieldError(pointer="/otp", code=OtpRefused.code, detail="is wrong, or was used before")
    return OtpRefused(errors=[error])
