"""Over HTTP: the trash, what keeps an asset out of it, and what an asset may be used for."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote

from gateway_client import Api, Tenant, add_member, new_person, new_tenant
from gateway_stack import eventually


async def uploaded(tenant: Tenant, data: bytes | None = None, query: str = "") -> dict[str, Any]:
    made = await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/assets?filename=a.txt{query}",
        data=data or b"some text " + secrets.token_hex(8).encode(),
    )
    assert made.status == 201, str(made)
    view: dict[str, Any] = made.json
    return view


async def test_what_is_deleted_is_in_the_trash_until_it_is_restored_or_removed(
    alpha: Tenant,
) -> None:
    api, home = alpha.owner.api, f"/v1/orgs/{alpha.org}"
    asset = await uploaded(alpha, query=f"&project_id={alpha.project}")
    path, trashed = f"{home}/assets/{asset['id']}", f"{home}/trash/{asset['id']}"
    assert (await api.post(f"{trashed}/restore")).code == "asset.not_found"
    assert (await api.delete(path)).status == 204
    for suffix in ("", "/versions", "/versions/1", "/usage", "/rights"):
        assert (await api.get(path + suffix)).code == "asset.not_found"
    listed = await api.get(f"{home}/trash?limit=200&sort=-created_at")
    (found,) = [each for each in listed.json["items"] if each["asset"]["id"] == asset["id"]]
    assert found["deleted_by"] == alpha.owner.id
    assert found["purge_at"] > found["deleted_at"]
    assert (await api.get(asset["url"])).status == 200, "URLs that were given out go on"
    (await alpha.people["viewer"].api.post(f"{trashed}/restore")).is_problem(403)
    restored = await alpha.people["editor"].api.post(f"{trashed}/restore")
    assert (restored.status, restored.json["project_id"]) == (200, alpha.project)
    assert (await api.get(path)).status == 200

    assert (await api.delete(trashed)).code == "asset.not_found", "it is in the library"
    assert (await api.delete(path)).status == 204
    (await alpha.people["viewer"].api.delete(trashed)).is_problem(403)
    assert (await api.delete(trashed)).status == 204
    assert (await api.post(f"{trashed}/restore")).code == "asset.not_found"
    await eventually(lambda: api.get(asset["url"]), lambda answer: answer.status == 404)


async def test_the_trash_is_emptied_by_who_may_delete_everywhere(api: Api) -> None:
    tenant = await new_tenant(api, "Emptied")
    owner, home = tenant.owner.api, f"/v1/orgs/{tenant.org}"
    in_brand, loose = await uploaded(tenant, query=f"&project_id={tenant.project}"), None
    loose = await uploaded(tenant)
    for each in (in_brand, loose):
        assert (await owner.delete(f"{home}/assets/{each['id']}")).status == 204
    lowered = await add_member(api, tenant, "editor")
    role = {"holder": lowered.id, "role": "viewer"}
    assert (await owner.post(f"{home}/brands/{tenant.brand}/roles", role)).status == 201
    for path, status in (
        (f"{home}/trash", 403),
        (f"{home}/trash/{in_brand['id']}", 403),
        (f"{home}/trash/{loose['id']}", 204),
    ):
        assert (await lowered.api.delete(path)).status == status, path
    (await lowered.api.post(f"{home}/trash/{in_brand['id']}/restore")).is_problem(403)
    kept = await uploaded(tenant)
    assert (await owner.delete(f"{home}/trash")).status == 204
    await eventually(lambda: owner.get(f"{home}/trash"), lambda answer: answer.json["items"] == [])
    await eventually(lambda: owner.get(in_brand["url"]), lambda answer: answer.status == 404)
    assert (await owner.get(f"{home}/assets/{kept['id']}")).status == 200
    assert (await owner.delete(f"{home}/trash")).status == 204, "an empty one is emptied too"
    (await owner.delete(f"{home}/trash?all=1")).is_problem(422)


async def test_a_brands_logo_is_not_deleted_before_its_kit_lets_it_go(alpha: Tenant) -> None:
    api, home = alpha.owner.api, f"/v1/orgs/{alpha.org}"
    logo = await uploaded(alpha)
    path = f"{home}/assets/{logo['id']}"
    brand = (await api.post(f"{home}/brands", {"name": f"Logo {secrets.token_hex(4)}"})).json
    kit = {"logos": [{"name": "Main", "asset_id": logo["id"]}]}
    assert (await api.patch(f"{home}/brands/{brand['id']}/kit", kit)).status == 200
    used = await eventually(
        lambda: api.get(f"{path}/usage"), lambda answer: answer.json.get("items")
    )
    assert used.json["items"] == [
        {
            "kind": "brand_kit",
            "id": brand["id"],
            "name": brand["name"],
            "organization_id": alpha.org,
        }
    ]
    assert (await api.get(path)).json["uses"] == 1
    refused = (await api.delete(path)).is_problem(409)
    assert refused["code"] == "asset.in_use"
    assert brand["id"] in refused["detail"]
    assert [brand["id"] in each["detail"] for each in refused["errors"]] == [True]
    assert (await api.patch(f"{home}/brands/{brand['id']}/kit", {"logos": []})).status == 200
    await eventually(lambda: api.get(path), lambda answer: answer.json["uses"] == 0)
    assert (await api.delete(path)).status == 204
    unknown = await api.patch(f"{home}/brands/{brand['id']}/kit", kit)
    assert unknown.is_problem(422)["errors"][0]["pointer"] == "/logos/0/asset_id"


async def test_rights_are_recorded_asked_about_and_filtered(alpha: Tenant) -> None:
    api, home = alpha.owner.api, f"/v1/orgs/{alpha.org}"
    path = f"{home}/assets/{(await uploaded(alpha))['id']}"
    unrecorded = (await api.get(f"{path}/rights?territory=DE")).json
    assert (unrecorded["allowed"], unrecorded["reason"]) == (True, "unrecorded")
    rights = {
        "territories": ["DE", "AT"],
        "starts_at": "2026-01-01T00:00:00Z",
        "expires_at": "2999-01-01T01:00:00+01:00",
        "credit": "© A museum",
    }
    changed = await api.patch(path, {"rights": rights})
    assert changed.status == 200, str(changed)
    shown = changed.json["rights"]
    assert (shown["state"], shown["expires_at"]) == ("active", "2999-01-01T00:00:00.000Z")
    assert (shown["territories"], shown["license"]) == (["DE", "AT"], None)
    for query, allowed, reason in (
        ("territory=DE", True, "within"),
        ("territory=FR", False, "not_there"),
        ("", False, "place_unknown"),
        ("territory=AT&at=" + quote("2025-12-31T23:59:59Z"), False, "not_started"),
        ("territory=AT&at=" + quote("2999-01-01T02:00:00+02:00"), False, "expired"),
    ):
        check = (await api.get(f"{path}/rights?{query}")).json
        assert (check["allowed"], check["reason"]) == (allowed, reason), query
    for query in ("territory=de", "territory=XX", "at=tomorrow", "at=1", "when=now"):
        (await api.get(f"{path}/rights?{query}")).is_problem(422)
    listed = await api.get(f"{home}/assets?rights=active&expires_before=2999-06-01T00:00:00Z")
    assert [each["rights"]["credit"] for each in listed.json["items"]] == ["© A museum"]
    (await api.get(f"{home}/assets?rights=perhaps")).is_problem(422)
    assert (await api.patch(path, {"rights": None})).json["rights"] is None


async def test_rights_that_cannot_be_are_refused_where_they_are_wrong(alpha: Tenant) -> None:
    path = f"/v1/orgs/{alpha.org}/assets/{alpha.asset}"
    for rights, pointer in (
        ({}, "/rights"),
        ("DE", "/rights"),
        ({"territories": ["DE", "de"]}, "/rights/territories/1"),
        ({"territories": ["DE"] * 501}, "/rights/territories"),
        ({"expires_at": "2027-01-01"}, "/rights/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:00"}, "/rights/expires_at"),
        ({"expires_at": "9998-12-31T23:59:59-23:00"}, "/rights/expires_at"),
        ({"starts_at": "1900-01-01T00:00:00+01:00"}, "/rights/starts_at"),
        ({"starts_at": "0001-01-01T00:00:00+01:00"}, "/rights/starts_at"),
        (
            {"starts_at": "2027-01-02T00:00:00Z", "expires_at": "2027-01-01T00:00:00Z"},
            "/rights/expires_at",
        ),
        ({"holder": "x" * 100_000}, "/rights/holder"),
        ({"owner": "x"}, "/rights/owner"),
    ):
        refused = (await alpha.owner.api.patch(path, {"rights": rights})).is_problem(422)
        assert refused["errors"][0]["pointer"] == pointer, rights
    assert (await alpha.owner.api.get(path)).json["rights"] is None


async def test_a_stranger_learns_nothing_of_the_trash(api: Api, alpha: Tenant) -> None:
    stranger = (await new_person(api, "Stranger")).api
    for method in ("GET", "DELETE"):
        answer = await stranger(method, f"/v1/orgs/{alpha.org}/trash")
        assert answer.is_problem(404)["code"] == "corp.organization_not_found"
