"""The document that describes the interface: valid, complete, and changed only on purpose."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from gateway_client import PROBLEM, SECURITY, Api, Tenant
from openapi_spec_validator import OpenAPIV31SpecValidator

import contracts.catalog  # noqa: F401 - declares every error
from contracts.errors import DomainError
from gateway.openapi import build
from gateway.routes import ROUTES
from gateway.table import Access
from infra.problems import STATUS

SNAPSHOT = Path(__file__).parent / "snapshots" / "openapi.json"
UPDATE = "UPDATE_SNAPSHOTS"


@pytest.fixture(scope="session")
async def document(api: Api) -> dict[str, Any]:
    answer = await api.get("/openapi.json")
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_in_it_and_nothing_else(document: dict[str, Any]) -> None:
    table = {(route.method, re.sub(r":[^}]+", "", route.path)) for route in ROUTES}
    assert {(method, path) for method, path, _ in operations(document)} == table
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for route in ROUTES:
        path = document["paths"][re.sub(r":[^}]+", "", route.path)]
        operation = path[route.method.lower()]
        assert operation["security"] == ([] if route.allow is Access.PUBLIC else [{"bearer": []}])
        assert ("401" in operation["responses"]) >= (route.allow is not Access.PUBLIC)
        assert ("403" in operation["responses"]) >= route.tenant
        assert str(route.status) in operation["responses"]
        assert operation["summary"]
        named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert named == set(route.in_path)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for name in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert name in document["components"]["schemas"], name
    assert "$defs" not in text


def test_nothing_of_the_inside_is_told(document: dict[str, Any]) -> None:
    """Fields that the gateway fills from the request are in no body."""
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for _, _, operation in operations(document)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
        and operation["operationId"] != "publishEvents"  # an event's data, of any shape
    ]
    for reference in bodies:
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert schema["additionalProperties"] is False
        assert not {"if_revision", "address", "agent", "actor"} & set(schema["properties"])


def test_it_has_changed_only_on_purpose() -> None:
    built = build(ROUTES, server="http://127.0.0.1:8000", version="0")
    text = json.dumps(built, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get(UPDATE) == "update":
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(text)
    known = SNAPSHOT.read_text() if SNAPSHOT.is_file() else ""
    assert known == text, (
        "the interface has changed; if that is meant, run "
        f"`{UPDATE}=update .venv/bin/python -m pytest {Path(__file__).name} -k on_purpose` "
        "in tests/gateway and read the diff of snapshots/openapi.json"
    )


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.add(value or "")
            if name in ("href", "src"):
                self.links.add(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_docs_show_all_of_it_without_scripts(api: Api, document: dict[str, Any]) -> None:
    answer = await api.get("/docs")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    for header in SECURITY:
        assert header in answer.headers
    page = Page()
    page.feed(answer.body.decode())
    assert not page.tags & {"script", "iframe", "img", "link", "object", "embed", "form", "input"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert all(link.startswith(("#", "/")) for link in page.links), page.links
    for method, path, operation in operations(document):
        assert operation["operationId"] in page.ids
        assert f"#{operation['operationId']}" in page.links
        assert path in page.text
        assert method in page.text
        assert operation["summary"] in page.text
    for link in page.links:
        assert link.startswith("/") or link[1:] in page.ids


OURS = ("bus.", "contracts.", "gateway.")


@pytest.mark.parametrize(
    "code", [code for code, error in DomainError.all().items() if error.__module__.startswith(OURS)]
)
async def test_every_problem_has_a_page(code: str, api: Api) -> None:
    answer = await api.get(f"/problems/{code}")
    assert answer.status == 200, str(answer)
    error = DomainError.all()[code]
    own = error.__dict__.get("__doc__")
    assert answer.json == {
        "code": code,
        "title": error.title,
        "status": STATUS[error.kind],
        "explanation": " ".join(own.split()) if own else None,
    }


async def test_every_problem_is_listed_for_programs_and_for_people(api: Api) -> None:
    listed = {each["code"]: each for each in (await api.get("/problems")).json["items"]}
    ours = {c for c, error in DomainError.all().items() if error.__module__.startswith(OURS)}
    assert listed.keys() >= ours
    assert listed["rate_limited"]["status"] == 429
    assert "Retry-After" in listed["rate_limited"]["explanation"]
    assert listed["corp.last_owner"] == (await api.get("/problems/corp.last_owner")).json
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/problems", "/problems/corp.last_owner"):
        answer = await api.get(path, headers=browser)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Vary"].startswith("Accept")
        page = Page()
        page.feed(answer.body.decode())
        assert "/problems/corp.last_owner" in page.links
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert not page.tags & {"script", "link", "form", "img"}


async def test_the_first_page_leads_everywhere(api: Api) -> None:
    answer = await api.get("/")
    assert answer.status == 200
    page = Page()
    page.feed(answer.body.decode())
    assert {"/docs", "/openapi.json", "/problems"} <= page.links
    for link in page.links:
        assert (await api.get(link)).status == 200, link


async def test_a_problem_nobody_has_is_not_found(api: Api) -> None:
    for code in ("nothing", "corp.", "%3Cscript%3E"):
        assert (await api.get(f"/problems/{code}")).is_problem(404)["code"] == "route_unknown"


async def test_the_problem_schema_is_what_is_sent(api: Api, document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["Problem"]
    assert set(schema["required"]) == PROBLEM
    assert set(schema["properties"]) == PROBLEM | {"errors"}
    sent = await api.post("/v1/auth/register", {"email": "x"})
    assert set(sent.is_problem(422)) == PROBLEM | {"errors"}


async def test_the_document_is_the_same_for_everybody(api: Api, alpha: Tenant) -> None:
    answers = [await each.get("/openapi.json") for each in (api, alpha.owner.api)]
    assert answers[0].json == answers[1].json
    assert answers[0].json["servers"] == [{"url": api.base}]
