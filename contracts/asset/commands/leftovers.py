"""Commands that tidy the object store up."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.base import Command


class SweepStore(Command):
    """Remove stored bytes that were never registered, in one stretch of the store."""

    wire = "asset.store.sweep"
    lane = "slow"

    after: Annotated[
        str, Field(max_length=1100, description="The key after which the stretch begins.")
    ] = ""


class SweepParts(Command):
    """Abort uploads in parts that nobody goes on with."""

    wire = "asset.store.sweep_parts"
    lane = "slow"
