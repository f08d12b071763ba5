"""Turns a template and its values into a mail: plain text and simple HTML that say the same.

Values come from strangers. Each becomes one line of at most ``LONGEST`` characters; in HTML it
is escaped; a name that looks like a link is not greeted, since mail programs make links of it.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from string import Template
from urllib.parse import quote

from contracts.mail.types import MailTemplate
from handlers.mail.rules import instant_of
from handlers.mail.templates.texts import TEXTS, Text
from infra.letter import one_line

LONGEST = 500
"""Characters of a value that are shown."""
UNKNOWN = "unknown"
"""Shown of a value that is empty: not every client says what it is."""

_LINK_LIKE = re.compile(r"[:/@]|www|\w\.\w", re.IGNORECASE)
_FOOTER = (
    "This mail was sent by Grid8 because of what happened to your account; it needs no answer."
)
_FOOTER_STRANGER = (
    "This mail was sent by Grid8 because somebody invited this address; it needs no answer."
)


class TemplateIncomplete(Exception):
    """Whoever asked for the mail has not given what its text needs."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's words."""

    subject: str
    text: str
    html: str


def check_values(template: MailTemplate, values: Mapping[str, str], *, linked: bool) -> None:
    """Raise TemplateIncomplete, naming what is missing. What is empty is there, and unknown."""
    text = TEXTS[template]
    missing = sorted(text.needs - set(values))
    if text.link is not None and not linked:
        missing.append("token")
    if missing:
        raise TemplateIncomplete(f"the mail {template} needs {', '.join(missing)}")


def render(
    template: MailTemplate, values: Mapping[str, str], *, token: str | None, link_url: str
) -> Rendered:
    """The mail's words. Raises TemplateIncomplete. Values that it does not name are ignored."""
    check_values(template, values, linked=token is not None)
    text = TEXTS[template]
    shown = {name: _shown(value) for name, value in values.items()}
    link = None
    if text.link is not None and token is not None:
        # After the #, so that it gets into no log of a server or a proxy.
        link = f"{link_url}/{text.link.page}#token={quote(token, safe='')}"
    return Rendered(
        subject=_filled(text.subject, shown),
        text=_plain(text, shown, link, token),
        html=_html(text, shown, link, token),
    )


def _plain(text: Text, values: Mapping[str, str], link: str | None, token: str | None) -> str:
    parts = [_greeting(values)]
    parts += [_wrapped(_filled(paragraph, values)) for paragraph in text.before]
    if text.facts:
        width = max(len(label) for label, _ in text.facts) + 1
        rows = (f"  {label + ':':<{width}} {_filled(fact, values)}" for label, fact in text.facts)
        parts.insert(2, "\n".join(rows))
    if text.listed:
        parts.insert(2, _plain_list(values))
    if text.link is not None and link is not None:
        parts.append(f"{text.link.label}:\n{link}")
        parts.append(_wrapped(_good_for(text, values)))
        parts.append(f"The token alone, for whoever uses the API by hand:\n{token}")
    parts += [_wrapped(_filled(paragraph, values)) for paragraph in text.after]
    parts.append(f"-- \n{_wrapped(_footer(values))}")
    return "\n\n".join(parts) + "\n"


def _html(text: Text, values: Mapping[str, str], link: str | None, token: str | None) -> str:
    safe = {name: escape(value) for name, value in values.items()}
    parts = [f"<p>{escape(_greeting(values))}</p>"]
    parts += [f"<p>{_filled(paragraph, safe)}</p>" for paragraph in text.before]
    if text.facts:
        rows = "".join(
            f'<tr><td style="padding:0 1em 0 0;color:#666">{label}</td>'
            f"<td>{_filled(fact, safe)}</td></tr>"
            for label, fact in text.facts
        )
        parts.insert(2, f"<table>{rows}</table>")
    if text.listed:
        parts.insert(2, _html_list(safe))
    if text.link is not None and link is not None:
        parts.append(
            f'<p><a href="{escape(link)}" style="display:inline-block;padding:.6em 1.2em;'
            'background:#1d4ed8;color:#fff;border-radius:6px;text-decoration:none">'
            f"{escape(text.link.label)}</a></p>"
        )
        parts.append(f"<p>{_good_for(text, safe)}</p>")
        parts.append(
            '<p style="color:#666">The token alone, for whoever uses the API by hand:<br>'
            f"<code>{escape(token or '')}</code></p>"
        )
    parts += [f"<p>{_filled(paragraph, safe)}</p>" for paragraph in text.after]
    parts.append(f'<p style="color:#666;font-size:13px">{_footer(values)}</p>')
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_filled(text.subject, safe)}</title></head>\n"
        '<body style="font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:1.5em auto;'
        f'padding:0 1em">\n{body}\n</body></html>\n'
    )


def _listed(values: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    for number in itertools.count(1):
        if f"item{number}" not in values:
            return
        yield values[f"item{number}"], values.get(f"link{number}")


def _plain_list(values: Mapping[str, str]) -> str:
    lines = []
    for item, link in _listed(values):
        lines.append(textwrap.indent(_wrapped(item), "    ").replace("    ", "  - ", 1))
        lines += [f"    {link}"] if link else []
    return "\n".join([*lines, *_left_out(values)])


def _html_list(safe: Mapping[str, str]) -> str:
    rows = "".join(
        f'<li>{item}<br><a href="{link}">{link}</a></li>' if link else f"<li>{item}</li>"
        for item, link in _listed(safe)
    )
    return f"<ul>{rows}</ul>" + "".join(f"<p>{each}</p>" for each in _left_out(safe))


def _left_out(values: Mapping[str, str]) -> list[str]:
    return [f"And {values['more']} more."] if "more" in values else []


def _greeting(values: Mapping[str, str]) -> str:
    name = values.get("name", UNKNOWN)
    return f"Hello {name}," if name != UNKNOWN and not _LINK_LIKE.search(name) else "Hello,"


def _good_for(text: Text, values: Mapping[str, str]) -> str:
    assert text.link is not None
    if expires := values.get("expires"):
        return f"The link is good until {expires}, and can be used once."
    return text.link.good_for


def _footer(values: Mapping[str, str]) -> str:
    return _FOOTER_STRANGER if "inviter" in values else _FOOTER


def _filled(text: str, values: Mapping[str, str]) -> str:
    return Template(text).substitute(values)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 76, break_long_words=False, break_on_hyphens=False)


def _shown(value: str) -> str:
    """A value on one line, not too long; an instant as people write it."""
    text = one_line(value[: 4 * LONGEST])
    if (instant := instant_of(text)) is not None:
        return f"{instant.day} {instant:%B %Y, %H:%M} UTC"
    return (text if len(text) <= LONGEST else text[: LONGEST - 1] + "…") or UNKNOWN
