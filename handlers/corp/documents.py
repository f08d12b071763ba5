"""What corp stores."""

from __future__ import annotations

from typing import Literal

from pymongo import ASCENDING, IndexModel

from bus.documents import Aggregate
from contracts.permissions import Role


class Organization(Aggregate):
    """A tenant."""

    name: str
    slug: str

    class Settings:
        name = "organizations"
        indexes = [IndexModel([("slug", ASCENDING)], unique=True, name="slug")]


class Membership(Aggregate):
    """That a user belongs to an organization; its id is ``{organization}:{user}``."""

    organization_id: str
    user_id: str
    email: str
    name: str
    role: Role

    class Settings:
        name = "memberships"
        indexes = [
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="members"),
            IndexModel([("user_id", ASCENDING)], name="of_user"),
        ]


class Person(Aggregate):
    """What corp knows of a registered user, from auth's events; its id is the user's."""

    email: str
    name: str
    user_revision: int = 1
    """The user's revision that this is: events of one user may arrive in any order."""

    class Settings:
        name = "corp_people"
        indexes = [IndexModel([("email", ASCENDING)], unique=True, name="email")]


class Brand(Aggregate):
    """A brand of an organization."""

    organization_id: str
    name: str
    name_key: str

    class Settings:
        name = "brands"
        indexes = [
            IndexModel(
                [("organization_id", ASCENDING), ("name_key", ASCENDING)], unique=True, name="name"
            ),
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="list"),
        ]


class Project(Aggregate):
    """A project of a brand."""

    organization_id: str
    brand_id: str
    name: str
    name_key: str
    status: Literal["active", "archived"] = "active"

    class Settings:
        name = "projects"
        indexes = [
            IndexModel(
                [("brand_id", ASCENDING), ("name_key", ASCENDING)], unique=True, name="name"
            ),
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="list"),
            IndexModel([("organization_id", ASCENDING), ("brand_id", ASCENDING)], name="of_brand"),
        ]


DOCUMENTS: list[type[Aggregate]] = [Organization, Membership, Person, Brand, Project]
