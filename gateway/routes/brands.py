"""Routes of brands, who may do what in them, and their projects."""

from __future__ import annotations

from bus.paging import Page
from contracts.corp.commands import (
    AddBrandRole,
    ChangeBrandRole,
    CreateBrand,
    CreateProject,
    DeleteBrand,
    DeleteProject,
    RemoveBrandRole,
    UpdateBrand,
    UpdateBrandKit,
    UpdateProject,
)
from contracts.corp.views import (
    BrandKitView,
    BrandRoleView,
    BrandView,
    ProjectView,
)
from contracts.permissions import Permission
from gateway.table import Route, command, query
from handlers.asset.queries import get_asset_status
from handlers.corp.queries import (
    get_brand,
    get_brand_kit,
    get_brand_role,
    get_holder,
    get_project,
    list_brand_roles,
    list_brands,
    list_projects,
)

ORG = "/v1/orgs/{org}"
BRAND = ORG + "/brands/{brand}"
BRAND_ROLE = BRAND + "/roles/{holder}"
PROJECT = ORG + "/projects/{project}"

_BRANDS: list[Route] = [
    query(ORG + "/brands", list_brands, allow=Permission.BRAND_READ, answers=Page[BrandView]),
    command(
        "POST",
        ORG + "/brands",
        CreateBrand,
        allow=Permission.BRAND_WRITE,
        answers=BrandView,
        location=ORG + "/brands/{id}",
    ),
    query(BRAND, get_brand, allow=Permission.BRAND_READ, answers=BrandView),
    command("PATCH", BRAND, UpdateBrand, allow=Permission.BRAND_WRITE, answers=BrandView),
    command("DELETE", BRAND, DeleteBrand, allow=Permission.BRAND_DELETE),
    query(BRAND + "/kit", get_brand_kit, allow=Permission.BRAND_READ, answers=BrandKitView),
    command(
        "PATCH",
        BRAND + "/kit",
        UpdateBrandKit,
        allow=Permission.BRAND_WRITE,
        answers=BrandKitView,
        references={"fonts/*/asset_id": get_asset_status, "logos/*/asset_id": get_asset_status},
    ),
    # Names and roles of members are for who may see members.
    query(
        BRAND + "/roles",
        list_brand_roles,
        allow=Permission.MEMBER_READ,
        answers=Page[BrandRoleView],
    ),
    # A role in a brand outlives an impersonation, in which it would be given.
    command(
        "POST",
        BRAND + "/roles",
        AddBrandRole,
        allow=Permission.BRAND_WRITE,
        answers=BrandRoleView,
        location=BRAND + "/roles/{holder}",
        references={"holder": get_holder},
        impersonable=False,
    ),
    # In it is the holder's name, of which the revision does not tell.
    query(
        BRAND_ROLE,
        get_brand_role,
        allow=Permission.MEMBER_READ,
        answers=BrandRoleView,
        revised=False,
    ),
    command(
        "PATCH",
        BRAND_ROLE,
        ChangeBrandRole,
        allow=Permission.BRAND_WRITE,
        answers=BrandRoleView,
        impersonable=False,
    ),
    command(
        "DELETE",
        BRAND_ROLE,
        RemoveBrandRole,
        allow=Permission.BRAND_WRITE,
        impersonable=False,
    ),
]

_PROJECTS: list[Route] = [
    query(
        ORG + "/projects", list_projects, allow=Permission.PROJECT_READ, answers=Page[ProjectView]
    ),
    command(
        "POST",
        ORG + "/projects",
        CreateProject,
        allow=Permission.PROJECT_WRITE,
        answers=ProjectView,
        location=ORG + "/projects/{id}",
    ),
    # It is archived and restored with its brand, without a new revision.
    query(
        PROJECT,
        get_project,
        allow=Permission.PROJECT_READ,
        answers=ProjectView,
        revised=False,
    ),
    command("PATCH", PROJECT, UpdateProject, allow=Permission.PROJECT_WRITE, answers=ProjectView),
    command("DELETE", PROJECT, DeleteProject, allow=Permission.PROJECT_DELETE),
]

BRANDS: list[Route] = [*_BRANDS, *_PROJECTS]
