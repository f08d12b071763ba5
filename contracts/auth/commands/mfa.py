"""What may be asked about the second factor."""

from __future__ import annotations

from contracts.auth.types import AnyPassword, Otp
from contracts.base import Command
from contracts.sealed import Sealed


class BeginSecondFactor(Command):
    """Make a secret for an authenticator app; it counts once it is confirmed."""

    wire = "auth.second_factor.begin"
    lane = "slow"

    password: Sealed[AnyPassword]


class ConfirmSecondFactor(Command):
    """Turn the second factor on with a code of the app; answers the recovery codes, once."""

    wire = "auth.second_factor.confirm"

    otp: Sealed[Otp]


class EndSecondFactor(Command):
    """Turn the second factor off."""

    wire = "auth.second_factor.end"
    lane = "slow"

    password: Sealed[AnyPassword]
    otp: Sealed[Otp]
