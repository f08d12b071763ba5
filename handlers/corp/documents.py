"""What corp stores."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel
from pymongo import ASCENDING, IndexModel

from bus.documents import Aggregate
from contracts.corp.types import KitColor, KitFont, KitLogo, Status
from contracts.permissions import Role
from contracts.types import Instant


class Organization(Aggregate):
    """A tenant."""

    name: str
    slug: str

    class Settings:
        name = "organizations"
        indexes = [IndexModel([("slug", ASCENDING)], unique=True, name="slug")]


class Membership(Aggregate):
    """That a user belongs to an organization; its id is ``{organization}:{user}``.

    What follows from teams and brand roles is kept here, so that a request needs one look. It
    is written in the transaction that changes what it follows from; see handlers/standing.py.
    """

    organization_id: str
    user_id: str
    email: str
    name: str
    role: Role
    """The member's own."""
    effective_role: Role | None = None
    """The strongest of their own and their teams'; as their own where none was written."""
    brand_roles: dict[str, Role] = {}
    """The brands where another role counts than the effective one."""
    teams: list[str] = []

    class Settings:
        name = "memberships"
        indexes = [
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="members"),
            IndexModel([("user_id", ASCENDING)], name="of_user"),
            IndexModel([("organization_id", ASCENDING), ("teams", ASCENDING)], name="of_team"),
            IndexModel([("organization_id", ASCENDING), ("email", ASCENDING)], name="address"),
        ]

    @property
    def standing(self) -> Role:
        """The effective role, also of a membership written before there were teams."""
        return self.effective_role or self.role


class Person(Aggregate):
    """What corp knows of a registered user, from auth's events; its id is the user's."""

    email: str
    name: str
    user_revision: int = 1
    """The user's revision that this is: events of one user may arrive in any order."""

    class Settings:
        name = "corp_people"
        indexes = [IndexModel([("email", ASCENDING)], unique=True, name="email")]


class Team(Aggregate):
    """Members who have what the team has. Who is in it, their memberships say.

    It counts as changed whenever its members or its roles in brands do.
    """

    organization_id: str
    name: str
    name_key: str
    role: Role | None = None
    members: int = 0

    class Settings:
        name = "teams"
        indexes = [
            IndexModel(
                [("organization_id", ASCENDING), ("name_key", ASCENDING)], unique=True, name="name"
            ),
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="list"),
        ]


class Kit(BaseModel):
    """What a brand looks like."""

    colors: list[KitColor] = []
    fonts: list[KitFont] = []
    logos: list[KitLogo] = []


class Brand(Aggregate):
    """A brand of an organization."""

    organization_id: str
    name: str
    name_key: str
    status: Status = "active"
    kit: Kit = Kit()

    class Settings:
        name = "brands"
        indexes = [
            IndexModel(
                [("organization_id", ASCENDING), ("name_key", ASCENDING)], unique=True, name="name"
            ),
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="list"),
            IndexModel([("organization_id", ASCENDING), ("status", ASCENDING)], name="status"),
        ]


class BrandRole(Aggregate):
    """A user's or a team's role in a brand; its id is ``{brand}:{holder}``."""

    organization_id: str
    brand_id: str
    holder: str
    role: Role

    class Settings:
        name = "brand_roles"
        indexes = [
            IndexModel([("brand_id", ASCENDING), ("_id", ASCENDING)], name="of_brand"),
            IndexModel([("organization_id", ASCENDING), ("holder", ASCENDING)], name="of_holder"),
        ]


class Project(Aggregate):
    """A project of a brand."""

    organization_id: str
    brand_id: str
    name: str
    name_key: str
    status: Status = "active"
    """Its own: in an archived brand it counts as archived whatever this says."""

    class Settings:
        name = "projects"
        indexes = [
            IndexModel(
                [("brand_id", ASCENDING), ("name_key", ASCENDING)], unique=True, name="name"
            ),
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="list"),
            IndexModel([("organization_id", ASCENDING), ("brand_id", ASCENDING)], name="of_brand"),
        ]


class Invitation(Aggregate):
    """That somebody with an address may become a member."""

    organization_id: str
    email: str
    role: Role
    team_ids: list[str] = []
    invited_by: str
    digest: str
    """SHA-256 of the token in the mail."""
    sent_at: Instant
    expires_at: Instant
    status: Literal["pending", "accepted", "revoked", "expired"] = "pending"
    """A pending one counts as expired from ``expires_at`` on, whether that is written or not."""
    accepted_by: str | None = None

    class Settings:
        name = "invitations"
        indexes = [
            IndexModel(
                [("organization_id", ASCENDING), ("email", ASCENDING)],
                unique=True,
                partialFilterExpression={"status": "pending"},
                name="one_pending",
            ),
            IndexModel([("digest", ASCENDING)], unique=True, name="digest"),
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="list"),
        ]


DOCUMENTS: list[type[Aggregate]] = [
    Organization,
    Membership,
    Person,
    Team,
    Brand,
    BrandRole,
    Project,
    Invitation,
]
