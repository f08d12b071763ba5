"""The running gateway against its own OpenAPI document: what it says is what it does.

A longer run by hand: ``SCHEMATHESIS_EXAMPLES=200 .venv/bin/python -m pytest
tests/gateway/test_schemathesis.py --timeout 3600``.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import pytest
from gateway_client import (
    TUS,
    Api,
    Tenant,
    add_member,
    new_person,
    new_tenant,
    notified,
    sign_in,
)

from infra.embedded.layout import ROOT
from infra.embedded.running import RunningStack

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "6"))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
WITHOUT = {
    "positive_data_acceptance": (
        "JSON Schema cannot say that a name must be free, a password hard to guess, a person "
        "registered, or a text free of control characters"
    ),
    "ensure_resource_availability": "things live in MongoDB once the answer is sent: test_journeys",
    "use_after_free": "a deleted thing is asked for again by test_tenancy",
    "missing_required_header": "no header is required but Authorization: ignored_auth",
    "max_response_time": "the machine is shared",
    "object_level_authorization": "test_tenancy asks every route as every role and stranger",
}


def toml(value: Any) -> str:
    return json.dumps(value)


async def configuration(api: Api, tenant: Tenant) -> str:
    """Real ids for every address, and something of its own for every request that deletes."""
    owner, org = tenant.owner.api, tenant.org

    async def made(kind: str, **body: Any) -> str:
        answer = await owner.post(f"/v1/orgs/{org}/{kind}", {"name": secrets.token_hex(6), **body})
        assert answer.status == 201, str(answer)
        id: str = answer.json["id"]
        return id

    leaver = await add_member(api, tenant, "viewer")
    viewer = await add_member(api, tenant, "viewer")
    spent = await sign_in(api, tenant.owner.email)
    second = await new_tenant(api, "Second")
    gone = await new_person(api, "Signs out")
    asset = await owner.post(f"/v1/orgs/{org}/assets?filename=x.txt", data=secrets.token_bytes(40))
    owned = await owner.post("/v1/orgs", {"name": secrets.token_hex(6)})
    handed = await owner.post("/v1/orgs", {"name": secrets.token_hex(6)})
    email = f"{secrets.token_hex(6)}@example.com"
    invitation = await owner.post(f"/v1/orgs/{org}/invitations", {"email": email})
    begun = await owner.post(f"/v1/orgs/{org}/uploads", headers={**TUS, "Upload-Length": "9"})
    others: dict[str, dict[str, str]] = {
        "deleteUpload": {"path.upload": begun.headers["Location"].rpartition("/")[2]},
        "deleteBrand": {"path.brand": await made("brands")},
        "deleteNotification": {"path.notification": await notified(tenant)},
        "deleteProject": {"path.project": await made("projects", brand_id=tenant.brand)},
        "deleteAsset": {"path.asset": asset.json["id"]},
        "deleteTeam": {"path.team": await made("teams")},
        "revokeInvitation": {"path.invitation": invitation.json["id"]},
        "transferOrganization": {"path.org": handed.json["id"]},
        "addTeamMember": {"body.user_id": viewer.id},
        "deleteOrganization": {"path.org": owned.json["id"]},
        "removeMember": {"path.user": leaver.id},
        "revokeSession": {"path.session": spent.json["session_id"]},
        "createProject": {"body.brand_id": tenant.brand},
    }
    command = await owner.post(
        f"/v1/orgs/{org}/brands",
        {"name": secrets.token_hex(6)},
        headers={"Prefer": "respond-async"},
    )
    ids = {
        "path.org": org,
        "path.user": viewer.id,
        "path.brand": tenant.brand,
        "path.project": tenant.project,
        "path.asset": tenant.asset,
        "path.version": "1",
        "path.team": tenant.team,
        "path.holder": tenant.team,
        "path.invitation": tenant.invitation,
        "path.upload": tenant.upload,
        "path.notification": await notified(tenant),
        "path.session": second.owner.tokens["session_id"],
        "path.command": command.json["command_id"],
        "path.code": "validation_failed",
    }
    lines = [
        "[parameters]",
        *(f"{toml(name)} = {toml(id)}" for name, id in ids.items()),
        f"[generation]\nmax-examples = {EXAMPLES}\nno-shrink = true",
        "[phases.stateful]\nenabled = false",
        "[phases.coverage]\ngenerate-duplicate-query-parameters = true",
        "[checks]\nenabled = false",
        *(f"[checks.{name}]\nenabled = true" for name in CHECKS),
        f"[auth.openapi.bearer]\nbearer = {toml(owner.token)}",
    ]
    for operation, given in others.items():
        lines += [
            f"[[operations]]\ninclude-operation-id = {toml(operation)}",
            "[operations.parameters]",
            *(f"{toml(name)} = {toml(id)}" for name, id in given.items()),
        ]
    lines += [
        # .../sessions/refresh is also .../sessions/{session}, which has a DELETE.
        '[[operations]]\ninclude-operation-id = "refreshSession"',
        "[operations.checks.allow_header_conformance]\nenabled = false",
        # The same of .../uploads/presign and the like, which are also .../uploads/{upload}.
        '[[operations]]\ninclude-path-regex = "/notifications/(read|unread|preferences)$"',
        "[operations.checks.allow_header_conformance]\nenabled = false",
        '[[operations]]\ninclude-path-regex = "/(uploads/(presign|complete)|assets/bulk)$"',
        "[operations.checks.allow_header_conformance]\nenabled = false",
        # The bytes of the tus protocol have a type it cannot make: test_tus_hostile does.
        '[[operations]]\ninclude-operation-id = ["appendToUpload", "createUpload", "overrideUpload"]',
        "enabled = false",
        # Without its version all else is 412, as the tus protocol has it.
        '[[operations]]\ninclude-operation-id = "deleteUpload"',
        "[operations.checks.negative_data_rejection]\nenabled = false",
        '[[operations]]\ninclude-operation-id = "revokeSessions"',
        f"[operations.headers]\nAuthorization = {toml(f'Bearer {gone.api.token}')}",
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_gateway_does_what_its_document_says(
    api: Api, stack: RunningStack, tmp_path: Path
) -> None:
    tenant = await new_tenant(api, "Fuzzed")
    config = tmp_path / "schemathesis.toml"
    config.write_text(await configuration(api, tenant))
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "schemathesis"),
        *("--config-file", str(config)),
        *("run", f"{stack.gateway_url}/openapi.json"),
        # One worker: with two, Hypothesis now and then fails inside its own drawing.
        *("--workers", "1", "--seed", "8", "--no-color", "--continue-on-failure"),
        *("--suppress-health-check", "all"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    text = said.decode(errors="replace")
    (tmp_path / "said.txt").write_text(text)
    assert process.returncode == 0, text[-30_000:]
    assert not [name for name in CHECKS if name in WITHOUT]
    # It was no run of refusals alone: the tenant is still there, and somebody got in.
    assert (await tenant.owner.api.get(f"/v1/orgs/{tenant.org}")).status == 200
