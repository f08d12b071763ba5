"""Versions over HTTP: in as any upload, shown when ready, restored, removed."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

import pytest
from gateway_client import Answer, Api, Tenant
from gateway_stack import eventually

from infra.embedded.running import RunningStack

FORM = {"Content-Type": "multipart/form-data; boundary=xyzzy"}
SVG = {"Content-Type": "image/svg+xml"}


def picture() -> bytes:
    """A picture nobody has uploaded before."""
    colour = secrets.token_hex(3).encode()
    return (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
        b'<rect width="9" height="9" fill="#%s"/></svg>' % colour
    )


def form(*parts: tuple[str, bytes, str | None]) -> bytes:
    body = b""
    for name, value, filename in parts:
        head = f'Content-Disposition: form-data; name="{name}"'
        head += f'; filename="{filename}"' if filename is not None else ""
        body += f"--xyzzy\r\n{head}\r\n\r\n".encode() + value + b"\r\n"
    return body + b"--xyzzy--\r\n"


def stored(stack: RunningStack) -> set[Path]:
    folder = Path(stack.env["GRID8_STORE__FOLDER"])
    return {path for path in folder.rglob("*") if path.is_file() and "/blobs/" in str(path)}


async def uploaded(tenant: Tenant, data: bytes, query: str = "") -> dict[str, Any]:
    made = await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/assets?filename=logo.svg&wait=ready{query}", data=data, headers=SVG
    )
    assert made.status == 201, str(made)
    view: dict[str, Any] = made.json
    return view


async def add(api: Api, path: str, data: bytes, query: str = "", **headers: str) -> Answer:
    return await api.post(f"{path}/versions{query}", data=data, headers={**SVG, **headers})


def path_of(tenant: Tenant, asset: dict[str, Any]) -> str:
    return f"/v1/orgs/{tenant.org}/assets/{asset['id']}"


async def test_a_version_is_uploaded_shown_listed_restored_and_removed(alpha: Tenant) -> None:
    api, first, second = alpha.owner.api, picture(), picture()
    asset = await uploaded(alpha, first, f"&project_id={alpha.project}&tags=a")
    path = path_of(alpha, asset)
    made = await add(api, path, second, "?wait=ready", **{"If-Match": f'"{asset["revision"]}"'})
    assert made.status == 201, str(made)
    assert made.headers["Location"] == f"{path}/versions/2"
    view = made.json
    assert (view["number"], view["current"], view["status"]) == (2, True, "ready")
    assert (view["sha256"], view["created_by"]) == (
        hashlib.sha256(second).hexdigest(),
        alpha.owner.id,
    )
    assert made.headers["ETag"] == f'"{view["revision"]}"'
    shown = (await api.get(path)).json
    assert (shown["name"], shown["tags"], shown["project_id"]) == ("logo.svg", ["a"], alpha.project)
    assert (shown["versions"], shown["version"], shown["revision"]) == (2, 2, view["revision"])
    assert (await api.get(shown["url"])).body == second
    assert (await api.get(asset["url"])).body == first, "the URL that was given out goes on"
    former = await api.get(f"{path}/versions/1")
    assert (former.json["current"], (await api.get(former.json["url"])).body) == (False, first)
    listed = await api.get(f"{path}/versions?sort=-created_at")
    assert [each["number"] for each in listed.json["items"]] == [2, 1]

    (await api.delete(f"{path}/versions/2")).is_problem(409)
    restored = await api.post(f"{path}/versions/1/restore")
    assert (restored.status, restored.json["number"]) == (201, 3)
    assert restored.headers["Location"] == f"{path}/versions/3"
    assert (await api.get((await api.get(path)).json["url"])).body == first
    again = await api.post(f"{path}/versions/1/restore")
    assert again.is_problem(409)["code"] == "asset.version_unchanged"

    gone = (await api.get(f"{path}/versions/2")).json["url"]
    assert (await api.delete(f"{path}/versions/2")).status == 204
    assert (await api.get(f"{path}/versions/2")).code == "asset.version_not_found"
    await eventually(lambda: api.get(gone), lambda answer: answer.status == 404)


async def test_a_version_comes_as_a_form_too(stack: RunningStack, alpha: Tenant) -> None:
    path, data = path_of(alpha, await uploaded(alpha, picture())), picture()
    before = stored(stack)
    for parts in (
        (("file", data, "a.svg"), ("tags", b"x", None)),
        (("file", data, "a.svg"), ("project_id", alpha.project.encode(), None)),
        (("filename", b"a.svg", None),),
    ):
        refused = await alpha.owner.api.post(f"{path}/versions", data=form(*parts), headers=FORM)
        refused.is_problem(422)
    assert stored(stack) == before
    made = await alpha.owner.api.post(
        f"{path}/versions?wait=ready", data=form(("file", data, "a.svg")), headers=FORM
    )
    assert (made.status, made.json["sha256"]) == (201, hashlib.sha256(data).hexdigest())
    assert (await alpha.owner.api.get(path)).json["name"] == "logo.svg"


async def test_a_version_that_is_refused_leaves_no_bytes(
    stack: RunningStack, alpha: Tenant, beta: Tenant
) -> None:
    data = picture()
    asset = await uploaded(alpha, data)
    path, owner = path_of(alpha, asset), alpha.owner.api
    before = stored(stack)
    for api, body, headers, status, code in (
        (owner, data, {}, 409, "asset.version_unchanged"),
        (owner, b"some text", {"Content-Type": "text/plain"}, 409, "asset.version_kind_differs"),
        (owner, b"", {}, 422, "asset.upload_empty"),
        (owner, picture(), {"If-Match": '"999"'}, 412, "revision_mismatch"),
        (owner, picture(), {"If-Match": "999"}, 400, "if_match_malformed"),
        (alpha.people["viewer"].api, picture(), {}, 403, "permission_missing"),
        (beta.owner.api, picture(), {}, 404, "corp.organization_not_found"),
    ):
        name = "?filename=notes.txt" if body == b"some text" else ""
        answer = await add(api, path, body, name, **headers)  # type: ignore[arg-type]
        assert answer.is_problem(status)["code"] == code
    other = path.replace(alpha.org, beta.org)
    assert (await add(beta.owner.api, other, picture())).code == "asset.not_found"
    (await add(owner, path, picture(), "?tags=x")).is_problem(422)
    assert stored(stack) == before
    assert (await owner.get(path)).json["versions"] == 1


async def test_an_upload_that_is_repeated_with_its_key_is_one_version(alpha: Tenant) -> None:
    path, data = path_of(alpha, await uploaded(alpha, picture())), picture()
    key = {"Idempotency-Key": secrets.token_hex(8)}
    first = await add(alpha.owner.api, path, data, **key)
    second = await add(alpha.owner.api, path, data, **key)
    assert (first.status, second.status) == (201, 201)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json["number"] == second.json["number"] == 2
    other = await add(alpha.owner.api, path, picture(), **key)
    assert other.is_problem(422)["code"] == "idempotency.key_reused"
    listed = await alpha.owner.api.get(f"{path}/versions")
    assert [each["number"] for each in listed.json["items"]] == [1, 2]


async def test_a_version_that_is_broken_is_answered_with_its_reason(alpha: Tenant) -> None:
    data = picture()
    path = path_of(alpha, await uploaded(alpha, data))
    made = await add(alpha.owner.api, path, b"\x89PNG\r\n\x1a\n cut", "?wait=ready")
    assert (made.status, made.json["status"], made.json["current"]) == (201, "failed", False)
    assert made.json["error"]["code"].startswith("asset.")
    shown = (await alpha.owner.api.get(path)).json
    assert (shown["status"], shown["version"], shown["error"]) == ("ready", 1, None)
    assert (await alpha.owner.api.get(shown["url"])).body == data


async def test_an_archived_project_takes_no_version(alpha: Tenant) -> None:
    api = alpha.owner.api
    made = await api.post(
        f"/v1/orgs/{alpha.org}/projects", {"name": secrets.token_hex(4), "brand_id": alpha.brand}
    )
    project = made.json["id"]
    path = path_of(alpha, await uploaded(alpha, picture(), f"&project_id={project}"))
    await api.patch(f"/v1/orgs/{alpha.org}/projects/{project}", {"status": "archived"})
    refused = await add(api, path, picture())
    assert refused.is_problem(409)["code"] == "corp.project_archived"


@pytest.mark.parametrize("version", ["0", "-1", "01", "1.0", "x", "1000000", "9" * 81, "%C2%B2"])
async def test_what_is_no_number_is_no_version(alpha: Tenant, version: str) -> None:
    path = f"/v1/orgs/{alpha.org}/assets/{alpha.asset}/versions/{version}"
    for answer in (
        await alpha.owner.api.get(path),
        await alpha.owner.api.delete(path),
        await alpha.owner.api.post(f"{path}/restore"),
    ):
        answer.is_problem(404)
