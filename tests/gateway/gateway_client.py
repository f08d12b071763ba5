"""A client of the HTTP interface, and people who use it."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from gateway_stack import eventually
from yarl import URL

from contracts.permissions import PlatformPermission, PlatformRole
from gateway.table import Route
from infra.embedded.layout import ROOT
from infra.embedded.running import RunningStack

PASSWORD = "correct-horse-battery-9"
PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}
SECURITY = (
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "X-Request-Id",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that has been read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    what: str

    @property
    def json(self) -> Any:
        """The body as JSON; None when there is none."""
        return json.loads(self.body) if self.body else None

    @property
    def code(self) -> str | None:
        """The code of a problem."""
        return self.json.get("code") if self.status >= 400 and self.body else None

    def is_problem(self, *statuses: int) -> dict[str, Any]:
        """Assert that it is a proper problem, of one of these statuses or any 4xx."""
        assert self.status in (statuses or range(400, 500)), str(self)
        assert self.headers["Content-Type"].startswith("application/problem+json"), str(self)
        found: dict[str, Any] = self.json
        assert found.keys() >= PROBLEM, str(self)
        assert found["status"] == self.status, str(self)
        assert found["request_id"] == self.headers["X-Request-Id"], str(self)
        assert found["type"] == f"/problems/{found['code']}", str(self)
        for each in found.get("errors", []):
            assert set(each) == {"pointer", "code", "detail"}, str(self)
        for header in SECURITY:
            assert self.headers.get(header), f"{header} is missing: {self}"
        assert b"Traceback" not in self.body, str(self)
        return found

    def __str__(self) -> str:
        return f"{self.what} -> {self.status} {self.body[:1500]!r} {dict(self.headers)}"


class Api:
    """Sends requests to one gateway, as one person or nobody."""

    def __init__(self, http: aiohttp.ClientSession, base: str, token: str | None = None) -> None:
        self._http = http
        self.base = base
        self.token = token

    def as_(self, token: str | None) -> Api:
        """The same gateway with another token."""
        return Api(self._http, self.base, token)

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> Answer:
        """Send one request. ``body`` becomes JSON; ``path`` goes out exactly as it is given."""
        more = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        more.update(headers or {})
        if body is not None:
            data = json.dumps(body).encode()
            more.setdefault("Content-Type", "application/json")
        url = URL(self.base + path if path.startswith("/") else path, encoded=True)
        async with self._http.request(
            method, url, data=data, headers=more, allow_redirects=False
        ) as response:
            content = await response.read()
            return Answer(response.status, response.headers.copy(), content, f"{method} {path}")

    async def get(self, path: str, **options: Any) -> Answer:
        return await self("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self("POST", path, body, **options)

    async def patch(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self("PATCH", path, body, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self("DELETE", path, **options)


@dataclass(slots=True)
class Person:
    """Somebody signed in."""

    id: str
    email: str
    password: str
    tokens: dict[str, Any]
    api: Api


async def sign_in(api: Api, email: str, password: str = PASSWORD) -> Answer:
    return await api.as_(None).post("/v1/auth/sessions", {"email": email, "password": password})


async def new_person(api: Api, name: str = "Somebody", password: str = PASSWORD) -> Person:
    """Register and sign in."""
    anybody = api.as_(None)
    email = f"{name.lower().replace(' ', '.')}.{secrets.token_hex(5)}@example.com"
    made = await anybody.post(
        "/v1/auth/register", {"email": email, "password": password, "name": name}
    )
    assert made.status == 202, str(made)
    signed = await sign_in(api, email, password)
    assert signed.status == 201, str(signed)
    own = api.as_(signed.json["access_token"])
    me = await own.get("/v1/me")
    assert me.status == 200, str(me)
    return Person(me.json["id"], email, password, signed.json, own)


async def feed_of(tenant: Tenant) -> list[dict[str, Any]]:
    """Every event in the tenant's feed."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await tenant.owner.api.get(f"/v1/orgs/{tenant.org}/events{after}")
        assert page.status == 200, str(page)
        if not page.json["items"]:
            return found
        found += page.json["items"]
        after = f"?after={page.json['next_cursor']}"


TUS = {"Tus-Resumable": "1.0.0"}
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48">'
    b'<rect width="64" height="48" fill="#%s"/></svg>'
)


@dataclass(slots=True)
class Tenant:
    """An organization with one thing of each kind; every name in it carries its marker."""

    marker: str
    org: str
    brand: str
    project: str
    asset: str
    asset_view: dict[str, Any]
    team: str
    invitation: str
    folder: str
    upload: str
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def owner(self) -> Person:
        return self.people["owner"]

    def secrets(self) -> set[str]:
        """What nobody else may ever see."""
        found = {self.marker, self.org, self.brand, self.project, self.asset}
        found |= {self.team, self.invitation, self.folder, self.upload}
        return found | {each for one in self.people.values() for each in (one.id, one.email)}


async def new_tenant(api: Api, marker: str) -> Tenant:
    """An organization with an owner, a brand, a project, a team, an invitation, a ready asset."""
    owner = await new_person(api, f"{marker} owner")
    org = (await owner.api.post("/v1/orgs", {"name": f"{marker} org"})).json["id"]
    brand = (await owner.api.post(f"/v1/orgs/{org}/brands", {"name": f"{marker} brand"})).json["id"]
    project = await owner.api.post(
        f"/v1/orgs/{org}/projects", {"name": f"{marker} project", "brand_id": brand}
    )
    asset = await owner.api.post(
        f"/v1/orgs/{org}/assets?filename={marker}.svg&wait=ready",
        data=SVG % secrets.token_hex(3).encode(),
        headers={"Content-Type": "image/svg+xml"},
    )
    team = await owner.api.post(f"/v1/orgs/{org}/teams", {"name": f"{marker} team"})
    folder = await owner.api.post(f"/v1/orgs/{org}/folders", {"name": f"{marker} folder"})
    email = f"{marker}.{secrets.token_hex(5)}@example.com"
    invited = await owner.api.post(f"/v1/orgs/{org}/invitations", {"email": email})
    role = await owner.api.post(
        f"/v1/orgs/{org}/brands/{brand}/roles", {"holder": team.json["id"], "role": "editor"}
    )
    upload = await owner.api.post(
        f"/v1/orgs/{org}/uploads", headers={**TUS, "Upload-Length": "1000000"}
    )
    for each in (project, asset, team, folder, invited, role, upload):
        assert each.status == 201, str(each)
    view = asset.json
    return Tenant(
        marker,
        org,
        brand,
        project.json["id"],
        view["id"],
        view,
        team.json["id"],
        invited.json["id"],
        folder.json["id"],
        upload.headers["Location"].rpartition("/")[2],
        {"owner": owner},
    )


async def add_member(api: Api, tenant: Tenant, role: str) -> Person:
    """A new person in the organization."""
    person = await new_person(api, f"{tenant.marker} {role}")
    added = await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/members", {"email": person.email, "role": role}
    )
    assert added.status == 201, str(added)
    return person


async def notified(tenant: Tenant) -> str:
    """The id of a new notification of the owner's: an integration has mentioned them."""
    owner, title = tenant.owner, f"Notified {secrets.token_hex(6)}"
    made = await owner.api.post(
        f"/v1/orgs/{tenant.org}/api-keys", {"name": title, "scopes": ["events:write"]}
    )
    event = {
        "specversion": "1.0",
        "source": "/tests/notes",
        "type": "custom.note.added",
        "data": {"mentions": [owner.id], "title": title},
    }
    sent = await owner.api.as_(made.json["key"]).post(
        f"/v1/orgs/{tenant.org}/events",
        data=json.dumps({**event, "id": secrets.token_hex(6)}).encode(),
        headers={"Content-Type": "application/cloudevents+json"},
    )
    assert sent.status == 202, str(sent)

    async def found() -> list[str]:
        page = await owner.api.get("/v1/me/notifications")
        return [each["id"] for each in page.json["items"] if each["title"] == title]

    return (await eventually(found))[0]


async def appoint(stack: RunningStack, email: str) -> None:
    """Make somebody a platform admin, as an operator does."""
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.grid8", "admin", "create", email, "--yes",
        cwd=ROOT, env=stack.env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(ran.communicate(), 60)
    assert ran.returncode == 0, said.decode()


@pytest.fixture(scope="session")
async def platform(api: Api, stack: RunningStack) -> dict[PlatformRole | None, Person]:
    """Somebody of each role on the platform, and of none."""
    admin = await new_person(api, "Platform admin")
    await appoint(stack, admin.email)
    support = await new_person(api, "Platform support")
    changed = await admin.api.patch(f"/v1/admin/users/{support.id}", {"platform_role": "support"})
    assert changed.status == 200, str(changed)
    nobody = await new_person(api, "Platform nobody")
    return {PlatformRole.ADMIN: admin, PlatformRole.SUPPORT: support, None: nobody}


@pytest.fixture(scope="session")
async def impersonating(alpha: Tenant, platform: dict[PlatformRole | None, Person]) -> Api:
    """The platform admin in the name of alpha's owner."""
    made = await platform[PlatformRole.ADMIN].api.post(
        f"/v1/admin/users/{alpha.owner.id}/impersonation", {"reason": "the walk"}
    )
    assert made.status == 201, str(made)
    return alpha.owner.api.as_(made.json["access_token"])


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=60),
        connector=aiohttp.TCPConnector(limit=64),
    ) as session:
        yield session


@pytest.fixture(scope="session")
def api(http: aiohttp.ClientSession, stack: RunningStack) -> Api:
    """Nobody, at the shared gateway."""
    return Api(http, stack.gateway_url)


@pytest.fixture(scope="session")
async def alpha(api: Api) -> Tenant:
    """A tenant with a member of each role."""
    tenant = await new_tenant(api, "Zyxalpha")
    for role in ("admin", "editor", "reviewer", "viewer"):
        tenant.people[role] = await add_member(api, tenant, role)
    return tenant


@pytest.fixture(scope="session")
async def beta(api: Api) -> Tenant:
    """Another tenant, with nobody in common."""
    return await new_tenant(api, "Qwvbeta")


Asker = Callable[[Route], Api]


@pytest.fixture
def asker(alpha: Tenant, platform: dict[PlatformRole | None, Person]) -> Asker:
    """Whoever may ask a route."""

    def ask(route: Route) -> Api:
        admin = isinstance(route.allow, PlatformPermission)
        return platform[PlatformRole.ADMIN].api if admin else alpha.owner.api

    return ask


__all__ = ["alpha", "api", "asker", "beta", "http", "impersonating", "platform"]
