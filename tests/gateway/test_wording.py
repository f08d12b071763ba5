"""What is said of a field that is wrong: for people, and without what was given."""

from __future__ import annotations

import pytest
from gateway_client import Api, Tenant


@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        ("brands", {"name": ""}, {"/name": "must have at least 1 character"}),
        ("brands", {}, {"/name": "is required"}),
        ("api-keys", {"name": "x", "scopes": []}, {"/scopes": "must have at least 1 item"}),
        ("teams", {"name": "x", "role": "boss"}, {"/role": "must be 'admin', 'editor', "}),
        (
            "api-keys",
            {"name": "x", "scopes": ["asset:read"], "expires_at": "2030-01-01"},
            {"/expires_at": "must be an RFC 3339 time with its offset"},
        ),
        ("api-keys", {"name": "x", "scopes": ["nothing"]}, {"/scopes/0": "must be "}),
    ],
)
async def test_it_is_said_for_people_and_once(
    path: str, body: dict[str, object], wanted: dict[str, str], alpha: Tenant
) -> None:
    answer = await alpha.people["owner"].api.post(f"/v1/orgs/{alpha.org}/{path}", body)
    problem = answer.is_problem(422)
    said = {each["pointer"]: each["detail"] for each in problem["errors"]}
    assert said.keys() == wanted.keys()
    for pointer, words in wanted.items():
        assert said[pointer].startswith(words)
        assert f"{pointer}: {words}" in problem["detail"]


async def test_a_pattern_is_said_in_words(alpha: Tenant) -> None:
    owner = alpha.people["owner"].api
    slug = await owner.post("/v1/orgs", {"name": "x", "slug": "Bad Slug"})
    kind = await owner.get(f"/v1/orgs/{alpha.org}/audit?type=*")
    kit = await owner.patch(
        f"/v1/orgs/{alpha.org}/brands/{alpha.brand}/kit",
        {"colors": [{"name": "Red", "value": "red"}]},
    )
    for answer, words in ((slug, "hyphens"), (kind, "corp.*"), (kit, "#RRGGBB")):
        [error] = answer.is_problem(422)["errors"]
        assert words in error["detail"]
        assert error["code"] == "string_pattern_mismatch"
        assert "^" not in error["detail"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("assets?color=orange", "RRGGBB"),
        ("assets?media_type=png", "image/png"),
        ("assets?folder_id=", "an id, as answers give it, or root"),
        ("assets?project_id=", "an id, as answers give it, or none"),
        ("assets?sha256=abc", "64 digits"),
        ("assets/ast_nothing/rights?territory=de", "in capitals"),
        ("assets/ast_nothing/transform?mode=crop&region=all", "x,y,width,height"),
    ],
)
async def test_so_is_that_of_what_the_library_is_asked_for(
    asked: str, words: str, alpha: Tenant
) -> None:
    answer = await alpha.people["owner"].api.get(f"/v1/orgs/{alpha.org}/{asked}")
    [error] = answer.is_problem(422)["errors"]
    assert words in error["detail"]
    assert "^" not in error["detail"]


async def test_what_was_given_is_not_repeated(api: Api) -> None:
    secret = "hunter 2 is my secret"
    answer = await api.post("/v1/auth/register", {"email": secret, "password": secret * 20})
    answer.is_problem(422)
    assert "hunter" not in answer.body.decode()
