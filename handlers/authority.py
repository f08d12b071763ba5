"""What somebody may do in an organization at this instant: one answer for gateway and notifier.

Membership is corp's and API keys are auth's, and no domain imports another.
"""

from __future__ import annotations

from dataclasses import replace

from contracts.actor import Actor
from handlers.corp.queries import find_role


async def find_authority(actor: Actor, organization: str) -> Actor | None:
    """The actor as they are in an organization, role and all; None where they are nobody."""
    role = await find_role(actor, organization)
    return None if role is None else replace(actor, org=organization, role=role)
