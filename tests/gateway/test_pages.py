"""The pages that links of mails open: what they are made of, and what they may do."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from gateway_client import Api

PAGES = ["verify-email", "reset-password", "accept-invitation"]


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.found if tag in tags]


async def page_of(api: Api, name: str) -> Elements:
    answer = await api.get(f"/account/{name}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return Elements(answer.body.decode())


@pytest.mark.parametrize("name", [*PAGES, "account.css", "account.js"])
async def test_nothing_runs_or_is_asked_that_the_gateway_did_not_serve(name: str, api: Api) -> None:
    answer = await api.get(f"/account/{name}")
    policy = dict(
        each.strip().split(" ", 1) for each in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_has_no_inline_script_or_style_and_loads_only_what_is_here(
    name: str, api: Api
) -> None:
    page = await page_of(api, name)
    for tag, attributes in page.found:
        assert tag != "style"
        assert not [each for each in attributes if each.startswith("on") or each == "style"]
    loaded = [each["src"] for each in page.all("script")]
    loaded += [each["href"] for each in page.all("link")]
    assert sorted(loaded) == ["/account/account.css", "/account/account.js"]
    for path in loaded:
        answer = await api.get(path)
        assert answer.status == 200
        kind = {"css": "text/css", "js": "text/javascript"}[path.rpartition(".")[2]]
        assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert b"http:" not in answer.body
        assert b"https:" not in answer.body


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_can_be_used_without_seeing_it(name: str, api: Api) -> None:
    page = await page_of(api, name)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == 1
    labelled = {each["for"] for each in page.all("label")}
    assert {each["id"] for each in page.all("input")} == labelled
    assert all(each["autocomplete"] for each in page.all("input"))
    [status] = [each for each in page.all("div") if each.get("role") == "status"]
    assert status["aria-live"] == "polite"
    described = {
        each["aria-describedby"] for each in page.all("input") if "aria-describedby" in each
    }
    assert described <= {each["id"] for _, each in page.found if "id" in each}


async def test_a_page_does_nothing_by_itself(api: Api) -> None:
    """Whoever looks through mails opens their links: only a click may use the token."""
    script = (await api.get("/account/account.js")).body.decode()
    calls = re.findall(r"await ask\(\"(?:POST|DELETE)\"", script)
    assert len(calls) >= 5
    top = re.sub(r"(?ms)^(async )?function .*?^}|^class .*?^}", "", script)
    assert "ask(" not in top
    assert "fetch(" not in top
    assert 'addEventListener("submit"' in script


async def test_the_interface_stays_what_the_module_asks(api: Api) -> None:
    script = (await api.get("/account/account.js")).body.decode()
    for path in (
        "/v1/auth/verify-email",
        "/v1/auth/verify-email/resend",
        "/v1/auth/password/forgot",
        "/v1/auth/password/reset",
        "/v1/auth/register",
        "/v1/auth/sessions",
        "/v1/invitations/accept",
    ):
        assert f'"{path}"' in script


@pytest.mark.parametrize("name", ["verify-email", "reset-password"])
async def test_whoever_has_a_link_that_is_used_up_can_have_a_new_one_from_its_page(
    name: str, api: Api
) -> None:
    page = await page_of(api, name)
    [form] = [each for each in page.all("form") if each["id"] == "another"]
    assert "hidden" in form
    [email] = [each for each in page.all("input") if each["name"] == "email"]
    assert "required" in email
    script = (await api.get("/account/account.js")).body.decode()
    refused = await api.post(
        "/v1/auth/password/reset", {"token": "x" * 43, "password": "correct horse battery"}
    )
    assert f'error.code === "{refused.code}"' in script


async def test_what_is_hidden_is_not_shown_whatever_else_the_style_says_of_it(api: Api) -> None:
    """The tabs are a flex box, and were still there below the thanks."""
    style = (await api.get("/account/account.css")).body.decode()
    assert "[hidden] { display: none !important; }" in style


@pytest.mark.parametrize("path", ["/", "/docs", "/problems"])
async def test_on_a_narrow_screen_tables_are_not_wider_than_it(path: str, api: Api) -> None:
    answer = await api.get(path, headers={"Accept": "text/html"})
    _, _, narrow = answer.body.decode().partition("@media(max-width:600px){")
    assert narrow.startswith("tr{display:block")
    assert "code{overflow-wrap:anywhere}" in narrow
