"""What somebody may do in an organization at this instant: one answer for gateway and notifier.

Membership is corp's and API keys are auth's, and no domain imports another.
"""

from __future__ import annotations

from dataclasses import replace

from contracts.actor import Actor
from handlers.corp.queries import find_standing


async def find_authority(actor: Actor, organization: str) -> Actor | None:
    """The actor as they are in an organization, role and all; None where they are nobody."""
    standing = await find_standing(actor, organization)
    if standing is None:
        return None
    return replace(actor, org=organization, role=standing.role, brand_roles=standing.brand_roles)
