"""THE table: every route, in one place, each with who may use it."""

from __future__ import annotations

from bus.paging import Page
from contracts.asset.commands import DeleteAsset, UpdateAsset
from contracts.asset.views import AssetView
from contracts.auth.commands import (
    OpenSession,
    RefreshSession,
    RegisterUser,
    RevokeSession,
    RevokeSessions,
    UpdateProfile,
)
from contracts.auth.views import RegistrationView, TokensView, UserView
from contracts.corp.commands import (
    AddMember,
    ChangeMember,
    CreateBrand,
    CreateOrganization,
    CreateProject,
    DeleteBrand,
    DeleteOrganization,
    DeleteProject,
    RemoveMember,
    UpdateBrand,
    UpdateOrganization,
    UpdateProject,
)
from contracts.corp.views import BrandView, MemberView, OrganizationView, ProjectView
from contracts.permissions import Permission
from gateway.events import MEDIA, AcceptedEvents, publish_events
from gateway.feed import EventFeed, FeedParameters, list_events
from gateway.files import FileParameters, get_file
from gateway.identity import (
    KeySetView,
    SessionsView,
    get_jwks,
    get_me,
    get_sessions,
    user_view,
)
from gateway.realtime import TicketView, create_ticket
from gateway.receiving import UploadParameters
from gateway.status import CommandView, get_command
from gateway.table import Access, Route, command, custom, query
from gateway.uploads import upload_asset
from gateway.web import ProblemKindView, get_docs, get_openapi, get_problem_kind
from handlers.asset.queries import get_asset, list_assets
from handlers.corp.queries import (
    get_brand,
    get_member,
    get_organization,
    get_project,
    list_brands,
    list_members,
    list_organizations,
    list_projects,
)

PUBLIC, SIGNED_IN = Access.PUBLIC, Access.SIGNED_IN

ORG = "/v1/orgs/{org}"
MEMBER = ORG + "/members/{user}"
BRAND = ORG + "/brands/{brand}"
PROJECT = ORG + "/projects/{project}"
ASSET = ORG + "/assets/{asset}"

ROUTES: list[Route] = [
    # identity
    command(
        "POST",
        "/v1/auth/register",
        RegisterUser,
        allow=PUBLIC,
        answers=RegistrationView,
        status=202,
    ),
    command("POST", "/v1/auth/sessions", OpenSession, allow=PUBLIC, answers=TokensView, status=201),
    command(
        "POST",
        "/v1/auth/sessions/refresh",
        RefreshSession,
        allow=PUBLIC,
        answers=TokensView,
        status=201,
    ),
    custom("GET", "/v1/auth/sessions", get_sessions, allow=SIGNED_IN, answers=SessionsView),
    command("DELETE", "/v1/auth/sessions", RevokeSessions, allow=SIGNED_IN),
    command("DELETE", "/v1/auth/sessions/{session}", RevokeSession, allow=SIGNED_IN),
    custom("GET", "/v1/me", get_me, allow=SIGNED_IN, answers=UserView),
    command("PATCH", "/v1/me", UpdateProfile, allow=SIGNED_IN, answers=UserView, present=user_view),
    custom("GET", "/.well-known/jwks.json", get_jwks, allow=PUBLIC, answers=KeySetView),
    # tenancy
    query("/v1/orgs", list_organizations, allow=SIGNED_IN, answers=Page[OrganizationView]),
    command(
        "POST",
        "/v1/orgs",
        CreateOrganization,
        allow=SIGNED_IN,
        answers=OrganizationView,
        location="/v1/orgs/{id}",
    ),
    query(
        ORG,
        get_organization,
        allow=Permission.ORGANIZATION_READ,
        answers=OrganizationView,
        revised=False,
    ),
    command(
        "PATCH",
        ORG,
        UpdateOrganization,
        allow=Permission.ORGANIZATION_WRITE,
        answers=OrganizationView,
    ),
    command("DELETE", ORG, DeleteOrganization, allow=Permission.ORGANIZATION_DELETE),
    query(ORG + "/members", list_members, allow=Permission.MEMBER_READ, answers=Page[MemberView]),
    command(
        "POST",
        ORG + "/members",
        AddMember,
        allow=Permission.MEMBER_WRITE,
        answers=MemberView,
        location=ORG + "/members/{user_id}",
    ),
    query(MEMBER, get_member, allow=Permission.MEMBER_READ, answers=MemberView),
    command("PATCH", MEMBER, ChangeMember, allow=Permission.MEMBER_WRITE, answers=MemberView),
    # Everybody may leave; removing another needs member:write, which the handler requires.
    command("DELETE", MEMBER, RemoveMember, allow=Permission.MEMBER_READ),
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
    query(PROJECT, get_project, allow=Permission.PROJECT_READ, answers=ProjectView),
    command("PATCH", PROJECT, UpdateProject, allow=Permission.PROJECT_WRITE, answers=ProjectView),
    command("DELETE", PROJECT, DeleteProject, allow=Permission.PROJECT_DELETE),
    # assets
    custom(
        "POST",
        ORG + "/assets",
        upload_asset,
        allow=Permission.ASSET_WRITE,
        answers=AssetView,
        status=201,
        parameters=UploadParameters,
        media={
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary", "minLength": 1}
            },
            "image/*": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary", "minLength": 1},
                        "project_id": {"type": "string"},
                        "tags": {"type": "string", "description": "Separated by commas."},
                    },
                }
            },
        },
    ),
    query(ORG + "/assets", list_assets, allow=Permission.ASSET_READ, answers=Page[AssetView]),
    query(ASSET, get_asset, allow=Permission.ASSET_READ, answers=AssetView, revised=False),
    command(
        "PATCH",
        ASSET,
        UpdateAsset,
        allow=Permission.ASSET_WRITE,
        answers=AssetView,
        references={"project_id": get_project},
    ),
    command("DELETE", ASSET, DeleteAsset, allow=Permission.ASSET_DELETE),
    custom(
        "GET",
        "/files/{key:.+}",
        get_file,
        allow=PUBLIC,
        parameters=FileParameters,
        produces="application/octet-stream",
    ),
    # events, commands and realtime
    custom(
        "POST",
        ORG + "/events",
        publish_events,
        allow=Permission.EVENTS_WRITE,
        answers=AcceptedEvents,
        status=202,
        media=MEDIA,
    ),
    custom(
        "GET",
        ORG + "/events",
        list_events,
        allow=Permission.EVENTS_READ,
        answers=EventFeed,
        parameters=FeedParameters,
    ),
    custom("GET", "/v1/commands/{command}", get_command, allow=SIGNED_IN, answers=CommandView),
    custom(
        "POST",
        ORG + "/realtime/tickets",
        create_ticket,
        allow=Permission.REALTIME_SUBSCRIBE,
        answers=TicketView,
        status=201,
    ),
    # about the interface itself
    custom("GET", "/openapi.json", get_openapi, allow=PUBLIC),
    custom("GET", "/docs", get_docs, allow=PUBLIC, produces="text/html"),
    custom("GET", "/problems/{code}", get_problem_kind, allow=PUBLIC, answers=ProblemKindView),
]
"""Order matters only where two paths overlap: the literal one comes first."""
