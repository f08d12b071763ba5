"""CSS of an SVG, without whatever would load something or run."""

from __future__ import annotations

import re

EMBEDDED = re.compile(
    r"\s*data:image/(?:png|jpe?g|gif|webp)(?:;[a-z0-9=._-]{1,40}){0,3}[;,]", re.IGNORECASE
)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))?", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9 _-]")
_AT_RULE = re.compile(
    r"@(?!(?:-\w+-)?(?:media|keyframes|supports|font-face|layer|container)\b)[^;{}]*;?", re.I
)
_URL = re.compile(r"url\(([^)]*)\)?", re.IGNORECASE)
_LOADING = re.compile(
    r"(?:-\w+-)?(?:image-set|cross-fade|image|src|expression|element|paint|attr)\s*\([^;{}]*",
    re.I,
)
_NEVER = re.compile(
    r"@\s*import|(?:https?|ftp|file)\s*:|javascript\s*:|vbscript\s*:|data\s*:\s*text|behaviou?r\s*:|-moz-binding",
    re.I,
)


def closed_css(css: str) -> str:
    """The same style, reaching for nothing outside; empty when it cannot be made so."""
    css = _COMMENT.sub(" ", css)
    css = _ESCAPE.sub(_unescaped, css)
    css = css.replace("/*", " ").replace("*/", " ").replace("<", "").replace("\x00", "")
    css = _AT_RULE.sub(" ", css)
    css = _LOADING.sub("none", css)
    css = _URL.sub(lambda found: found[0] if inside(found[1].strip("\"' \t\r\n")) else "none", css)
    return "" if _NEVER.search(css) else css


def inside(reference: str) -> bool:
    """Whether a reference stays in the file: an id, or a picture that it carries."""
    wanted = reference.strip()
    return not wanted or wanted.startswith("#") or bool(EMBEDDED.match(wanted))


def _unescaped(found: re.Match[str]) -> str:
    """What an escape stands for where that is a plain letter; nothing otherwise."""
    digits, letter = found.groups()
    code = int(digits, 16) if digits else 0
    shown = chr(code) if digits and code < 0x110000 else letter or ""
    return shown if _PLAIN.fullmatch(shown) else ""
