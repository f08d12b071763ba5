"""One's inbox over HTTP."""

from __future__ import annotations

import secrets
from typing import Any

from gateway_client import Answer, Api, Person, Tenant, new_person
from gateway_stack import eventually

NOTES = "/v1/me/notifications"
Json = dict[str, Any]


async def mention(tenant: Tenant, *people: Person, title: str, **more: Any) -> None:
    event = {
        "specversion": "1.0",
        "id": secrets.token_hex(8),
        "source": "/tests/notes",
        "type": "custom.note.added",
        "data": {"mentions": [each.id for each in people], "title": title, **more},
    }
    sent = await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/events",
        event,
        headers={"Content-Type": "application/cloudevents+json"},
    )
    assert sent.status == 202, str(sent)


async def shown(person: Person, title: str) -> Json:
    """The notification with a title, once it is there."""

    async def find() -> list[Json]:
        page = await person.api.get(NOTES)
        assert page.status == 200, str(page)
        return [each for each in page.json["items"] if each["title"] == title]

    (found,) = await eventually(find)
    return found


async def unread(person: Person) -> Answer:
    answer = await person.api.get(f"{NOTES}/unread")
    assert answer.status == 200, str(answer)
    return answer


async def test_a_mention_is_listed_read_and_removed(alpha: Tenant, beta: Tenant) -> None:
    editor = alpha.people["editor"]
    before = (await unread(editor)).json["count"]
    title = f"Look {secrets.token_hex(4)}"
    await mention(alpha, editor, beta.owner, title=title, text="here", link="/boards/1")
    note = await shown(editor, title)
    assert (note["kind"], note["text"], note["link"]) == ("mention", "here", "/boards/1")
    assert (note["organization_id"], note["actor"]) == (alpha.org, alpha.owner.id)
    assert (note["read_at"], note["count"]) == (None, 1)
    assert (await unread(editor)).json["count"] == before + 1
    assert (await unread(editor)).json["by_org"][alpha.org] >= 1

    one = f"{NOTES}/{note['id']}"
    got = await editor.api.get(one)
    assert got.json == note
    assert got.headers["ETag"] == f'"{note["revision"]}"'
    assert (await editor.api.get(one, headers={"If-None-Match": got.headers["ETag"]})).status == 304
    read = await editor.api.post(f"{one}/read")
    assert read.status == 200, str(read)
    assert read.json["read_at"]
    assert (await unread(editor)).json["count"] == before
    assert note["id"] not in [
        each["id"] for each in (await editor.api.get(f"{NOTES}?unread=true")).json["items"]
    ]
    assert (await editor.api.post(f"{one}/unread")).json["read_at"] is None
    many = await editor.api.post(
        f"{NOTES}/read", {"ids": [note["id"]], "organization_id": alpha.org}
    )
    assert many.json["count"] == before
    stale = await editor.api.delete(one, headers={"If-Match": '"1"'})
    assert stale.is_problem(412)["code"] == "revision_mismatch"
    assert (await editor.api.delete(one)).status == 204
    assert (await editor.api.get(one)).is_problem(404)["code"] == "inbox.notification_not_found"
    # Who is no member was not mentioned.
    items = (await beta.owner.api.get(NOTES)).json["items"]
    assert title not in [each["title"] for each in items]


async def test_somebody_elses_is_unknown(alpha: Tenant, beta: Tenant) -> None:
    editor = alpha.people["editor"]
    title = f"Mine {secrets.token_hex(4)}"
    await mention(alpha, editor, title=title)
    note = await shown(editor, title)
    one = f"{NOTES}/{note['id']}"
    for other in (alpha.owner, beta.owner):
        for method, path in (
            ("GET", one),
            ("DELETE", one),
            ("POST", f"{one}/read"),
            ("POST", f"{one}/unread"),
        ):
            answer = await other.api(method, path)
            assert answer.is_problem(404)["code"] == "inbox.notification_not_found"
        assert (await other.api.post(f"{NOTES}/read", {"ids": [note["id"]]})).status == 200
    assert (await editor.api.get(one)).json == note


async def test_what_is_read_must_be_said(alpha: Tenant) -> None:
    viewer = alpha.people["viewer"].api
    for body in ({}, {"everything": False}, {"ids": ["ntf_x"], "before": "2026-01-01T00:00:00Z"}):
        answer = await viewer.post(f"{NOTES}/read", body)
        assert answer.is_problem(422)["code"] == "inbox.selection_unclear"
    for wrong in (
        {"ids": ["ntf_x"] * 501},
        {"ids": "ntf_x"},
        {"ids": None},
        {"ids": []},
        {"everything": 1},
        {"before": "yesterday"},
        {"ids": [{"$ne": 1}]},
        {"everything": True, "organization_id": "nobody's"},
    ):
        (await viewer.post(f"{NOTES}/read", wrong)).is_problem(422)
    assert (await viewer.post(f"{NOTES}/read", {"everything": True})).json["count"] == 0


async def test_preferences_are_kept_and_follow_their_revision(api: Api) -> None:
    somebody = (await new_person(api, "Chooser")).api
    path = f"{NOTES}/preferences"
    first = await somebody.get(path)
    assert first.json["kinds"]["mention"] == {"in_app": True, "mail": "daily"}
    assert first.json["muted"] == []
    changed = await somebody.patch(
        path,
        {"kinds": {"mention": {"mail": "off"}, "asset_ready": {"in_app": False}}},
        headers={"If-Match": first.headers["ETag"]},
    )
    assert changed.status == 200, str(changed)
    assert changed.json["kinds"]["mention"] == {"in_app": True, "mail": "off"}
    assert changed.json["kinds"]["asset_ready"] == {"in_app": False, "mail": "off"}
    late = await somebody.patch(
        path, {"muted": ["org_x"]}, headers={"If-Match": first.headers["ETag"]}
    )
    assert late.is_problem(412)["code"] == "revision_mismatch"
    assert (await somebody.patch(path, {"muted": ["org_x"]})).json["muted"] == ["org_x"]
    assert (await somebody.get(path)).json["kinds"] == changed.json["kinds"]
    for wrong in (
        {},
        {"kinds": {}},
        {"kinds": {"nothing": {"mail": "off"}}},
        {"kinds": {"mention": {"mail": "hourly"}}},
        {"kinds": {"mention": {"in_app": None}}},
        {"kinds": {"mention": {"sms": True}}},
        {"muted": ["not an id"]},
        {"muted": ["org_x"] * 201},
    ):
        (await somebody.patch(path, wrong)).is_problem(422)


async def test_an_inbox_is_a_persons(alpha: Tenant) -> None:
    made = await alpha.owner.api.post(
        f"/v1/orgs/{alpha.org}/api-keys", {"name": "inbox", "scopes": ["asset:read"]}
    )
    key = alpha.owner.api.as_(made.json["key"])
    for path in (NOTES, f"{NOTES}/unread", f"{NOTES}/preferences"):
        assert (await key.get(path)).is_problem(403)["code"] == "auth.person_needed"


async def test_becoming_a_member_is_told_with_who_did_it(api: Api, alpha: Tenant) -> None:
    bob = await new_person(api, "Bob New")
    added = await alpha.owner.api.post(
        f"/v1/orgs/{alpha.org}/members", {"email": bob.email, "role": "viewer"}
    )
    assert added.status == 201, str(added)
    note = await shown(bob, f"You are a member of {alpha.marker} org")
    assert note["kind"] == "membership_added"
    assert note["subjects"] == [
        {"type": "organization", "id": alpha.org, "link": f"/v1/orgs/{alpha.org}"}
    ]
    gone = await alpha.owner.api.delete(f"/v1/orgs/{alpha.org}/members/{bob.id}")
    assert gone.status == 204, str(gone)
    await shown(bob, f"You are no longer a member of {alpha.marker} org")

    async def rest() -> list[str]:
        return [each["kind"] for each in (await bob.api.get(NOTES)).json["items"]]

    await eventually(rest, lambda kinds: kinds == ["membership_ended"])
