"""Who proves to be the owner of an account, and how often they may fail."""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork
from contracts.auth.errors import CurrentPasswordWrong, TooManyAttempts, UserNotFound
from contracts.errors import FieldError
from contracts.types import now
from handlers.auth.documents import SecondFactor, User
from handlers.auth.rules.mfa import take_code
from infra.attempts import Attempts
from infra.passwords import Passwords


@dataclass(frozen=True, slots=True)
class Proving:
    """Checks passwords and codes. Every failure counts, whatever it was tried for."""

    passwords: Passwords
    attempts: Attempts

    async def begin(self, email: str, address: str, uow: UnitOfWork) -> None:
        """Count an attempt, before anything is looked at. Raises TooManyAttempts."""
        if uow.rerun:
            return  # it was counted when it ran first
        wait = await self.attempts.begin(email, address)
        if wait > 0:
            raise TooManyAttempts(retry_after=wait)

    async def fits(self, user: User | None, password: str) -> bool:
        """Whether it is the user's password; of nobody it costs the same and is False."""
        return await self.passwords.check(password, user.password_hash if user else None)

    async def owner(
        self, password: str, field: str, uow: UnitOfWork
    ) -> User | CurrentPasswordWrong:
        """The signed-in user, who gave their password once more in ``field``.

        A refusal is to be returned, not raised, so that it counts. Raises TooManyAttempts.
        """
        user = await User.get(uow.actor.user)
        if user is None:
            raise UserNotFound()
        await self.begin(user.email, uow.message.address or "", uow)
        if await self.fits(user, password):
            return user
        self.failed(uow.message.address or "", uow)
        error = FieldError(
            pointer=f"/{field}", code=CurrentPasswordWrong.code, detail="is not the password"
        )
        return CurrentPasswordWrong(errors=[error])

    async def code_fits(self, user: User, otp: str, uow: UnitOfWork) -> SecondFactor | None:
        """The user's second factor with the code used up, to be saved or removed; or None."""
        factor = await SecondFactor.get(user.id)
        if factor is None or not factor.confirmed:
            return None
        return factor if take_code(factor, otp, now().timestamp()) else None

    def failed(self, address: str, uow: UnitOfWork) -> None:
        """Stage that the attempt counts against where it came from, too."""
        uow.effect(lambda: self.attempts.failed(address))

    def succeeded(self, user: User, address: str, uow: UnitOfWork) -> None:
        """Stage that the account's failures are forgotten."""
        uow.effect(lambda: self.attempts.succeeded(user.email, address))

    def take_back(self, user: User, address: str, uow: UnitOfWork) -> None:
        """Stage that the attempt did not fail: what is missing yet is the code."""
        uow.effect(lambda: self.attempts.take_back(user.email, address))
