"""Reads of invitations."""

from __future__ import annotations

from typing import Any

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.corp.errors import InvitationNotFound
from contracts.corp.types import InvitationStatus
from contracts.corp.views import InvitationView
from contracts.types import now
from handlers.corp.documents import Invitation
from handlers.corp.rules import invitation_status


def invitation_view(invitation: Invitation) -> InvitationView:
    return InvitationView(
        id=invitation.id,
        email=invitation.email,
        role=invitation.role,
        team_ids=tuple(invitation.team_ids),
        status=invitation_status(invitation.status, invitation.expires_at, now()),
        invited_by=invitation.invited_by,
        sent_at=invitation.sent_at,
        expires_at=invitation.expires_at,
        created_at=invitation.created_at,
        revision=invitation.revision,
    )


async def list_invitations(
    actor: Actor, cursor: Cursor, status: InvitationStatus | None = None
) -> Page[InvitationView]:
    """Invitations, optionally of one status."""
    wanted: dict[str, Any] = {"organization_id": actor.tenant}
    match status:
        case "pending":
            wanted |= {"status": "pending", "expires_at": {"$gt": now()}}
        case "expired":
            late = {"status": "pending", "expires_at": {"$lte": now()}}
            wanted["$or"] = [{"status": "expired"}, late]
        case "accepted" | "revoked":
            wanted["status"] = status
    return await page_of(Invitation, wanted, cursor, invitation_view)


async def get_invitation(actor: Actor, invitation: str) -> InvitationView:
    """One invitation. Raises InvitationNotFound, also for another organization's."""
    found = await Invitation.find_one({"_id": invitation, "organization_id": actor.tenant})
    if found is None:
        raise InvitationNotFound()
    return invitation_view(found)
