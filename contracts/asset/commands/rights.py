"""Commands about rights."""

from __future__ import annotations

from contracts.base import Command
from contracts.types import Id


class TellRights(Command):
    """Say that the rights of an asset have expired, or will soon, if they have and nobody has."""

    wire = "asset.rights.tell"

    asset: Id
