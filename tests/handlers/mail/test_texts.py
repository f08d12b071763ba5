"""What mails say, in both parts, and what no value can make them say."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from contracts.mail.types import MailTemplate
from handlers.mail.templates import LONGEST, Rendered, TemplateIncomplete, check_values, render
from handlers.mail.templates.texts import TEXTS

TOKEN = "tok_en-1~x"
URL = "https://grid8.example/account"
VALUES = {
    "name": "Ann",
    "address": "203.0.113.7",
    "agent": "Firefox on Linux",
    "time": "2026-11-24T10:05:00.000Z",
    "change": "it was turned off",
    "reason": "Unpaid bills.",
    "organization": "Acme",
    "inviter": "Bob",
    "role": "editor",
    "expires": "2026-12-01T10:00:00.000Z",
    "headline": "3 notifications",
    "item1": "Bob mentioned you",
    "preferences": "https://grid8.example/preferences",
}
LINKED = {
    MailTemplate.VERIFY_ADDRESS: "verify-email",
    MailTemplate.RESET_PASSWORD: "reset-password",
    MailTemplate.INVITATION: "accept-invitation",
}


class Read(HTMLParser):
    """The words, tags and links of an HTML part."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.said = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.said += data

    @property
    def words(self) -> str:
        return " ".join(self.said.split())


def rendered(template: MailTemplate, **changes: str) -> Rendered:
    given = {name: VALUES[name] for name in TEXTS[template].needs}
    token = TOKEN if template in LINKED else None
    return render(template, {**given, **changes}, token=token, link_url=URL)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("template", list(MailTemplate))
def test_both_parts_name_every_value_and_say_what_to_do_if_it_was_not_you(
    template: MailTemplate,
) -> None:
    mail = rendered(template)
    html = Read(mail.html).words
    written = {"time": "24 November 2026, 10:05 UTC", "expires": "1 December 2026, 10:00 UTC"}
    for name in TEXTS[template].needs:
        shown = written.get(name, VALUES[name])
        assert shown in words(mail.text), name
        assert shown in html, name
    for part in (words(mail.text), html):
        assert "$" not in part
        assert any(
            each in part
            for each in ("If it was not you", "If you do not", "was not you", "a mistake")
        )
    assert mail.subject
    assert mail.subject.isprintable()
    assert len(mail.subject) < 78
    assert all(len(line) <= 100 for line in mail.text.splitlines())


@pytest.mark.parametrize(("template", "page"), LINKED.items())
def test_the_secret_is_in_the_fragment_of_the_link_and_on_a_line_of_its_own(
    template: MailTemplate, page: str
) -> None:
    mail = rendered(template)
    link = f"{URL}/{page}#token={TOKEN}"
    assert link in mail.text.splitlines()
    assert TOKEN in mail.text.splitlines()
    html = Read(mail.html)
    assert html.links == [link]
    assert TOKEN in html.said
    assert TOKEN not in mail.subject


def test_a_token_of_any_characters_is_quoted_in_the_link_and_not_on_its_line() -> None:
    token = 'a+b/c=&"<#%'
    values = {"name": "Ann"}
    mail = render(MailTemplate.VERIFY_ADDRESS, values, token=token, link_url=URL)
    assert f"{URL}/verify-email#token=a%2Bb%2Fc%3D%26%22%3C%23%25" in mail.text
    assert token in mail.text.splitlines()
    assert token in Read(mail.html).said


@pytest.mark.parametrize("template", list(MailTemplate))
def test_what_is_missing_is_named(template: MailTemplate) -> None:
    needs = sorted(TEXTS[template].needs)
    wanted = [*needs, "token"] if template in LINKED else needs
    with pytest.raises(TemplateIncomplete, match=f"{template} needs {', '.join(wanted)}$"):
        check_values(template, {"other": "x"}, linked=False)


@pytest.mark.parametrize("template", list(MailTemplate))
def test_what_is_empty_is_said_to_be_unknown_and_the_mail_is_sent(template: MailTemplate) -> None:
    """A client need not say what it is, and its user is to be told of it all the same."""
    for empty in ("", " \u202e\n"):
        mail = rendered(template, **dict.fromkeys(TEXTS[template].needs, empty))
        assert mail.text.startswith("Hello,\n")
        if TEXTS[template].needs - {"name"}:
            assert "unknown" in mail.text
            assert "unknown" in mail.html


def test_a_link_says_how_long_it_is_good_where_that_is_known() -> None:
    known = rendered(MailTemplate.VERIFY_ADDRESS, expires="2026-12-01T12:00:00+02:00")
    assert "The link is good until 1 December 2026, 10:00 UTC" in words(known.text)
    assert "only for a limited time" in words(rendered(MailTemplate.RESET_PASSWORD).text)


def test_what_no_text_names_is_left_out() -> None:
    assert "surplus" not in "".join(
        (mail := rendered(MailTemplate.NEW_DEVICE, other="surplus")).text + mail.html
    )


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=y>",
    '"><a href="https://evil.example">here</a>',
    "$token ${name} $$ {0} %s",
    "line\r\n\r\nHello Ann,\r\nyour password is wrong",
    "\u202eevil\u2066x\0y\u2028z",
    "z" * 2000,
]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("template", list(MailTemplate))
def test_no_value_becomes_markup_a_line_or_another_value(
    template: MailTemplate, hostile: str
) -> None:
    fair = rendered(template)
    mail = rendered(template, **dict.fromkeys(TEXTS[template].needs, hostile))
    html, before = Read(mail.html), Read(fair.html)
    assert html.tags == before.tags
    assert html.links == before.links
    assert mail.text.count("\n\n") == fair.text.count("\n\n")
    for character in "\u202e\u2066\0\u2028\r":
        assert character not in mail.text + mail.html + mail.subject
    assert "z" * (LONGEST + 1) not in mail.text + mail.html
    assert "\n" not in mail.subject


@pytest.mark.parametrize("name", ["http://evil.example", "www evil", "Win at evil.example", "a@b"])
def test_a_name_that_mail_programs_would_make_a_link_of_is_not_greeted(name: str) -> None:
    mail = rendered(MailTemplate.VERIFY_ADDRESS, name=name)
    assert name not in mail.text + mail.html
    assert mail.text.startswith("Hello,\n")


def test_a_name_is_greeted() -> None:
    assert rendered(MailTemplate.VERIFY_ADDRESS, name="José Ñ.").text.startswith("Hello José Ñ.,")


def test_a_list_shows_each_item_with_its_link_and_how_many_it_leaves_out() -> None:
    values = {
        "item1": "Bob mentioned you: <b>look</b>",
        "link1": f"{URL}/a?b=1&c=2",
        "item2": "Nothing to link to",
        "item3": "x" * 600,
        "more": "7",
    }
    mail = rendered(MailTemplate.NOTIFICATION_DIGEST, **values)
    html = Read(mail.html)
    assert html.links == [f"{URL}/a?b=1&c=2"]
    assert "b" not in html.tags
    assert f"    {URL}/a?b=1&c=2" in mail.text.splitlines()
    for part in (words(mail.text), html.words):
        assert "Bob mentioned you: <b>look</b>" in part
        assert "Nothing to link to" in part
        assert "And 7 more." in part
        assert "x" * 600 not in part
    with pytest.raises(TemplateIncomplete, match="item1"):
        render(MailTemplate.NOTIFICATIONS, {"name": "Ann"}, token=None, link_url=URL)
