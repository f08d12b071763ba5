"""SVG made safe to draw and to show: rebuilt from what is known to draw, reaching for nothing."""

from __future__ import annotations

import re
import zlib
from typing import Any
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml.common import DefusedXmlException, ExternalReferenceForbidden
from defusedxml.ElementTree import DefusedXMLParser

from infra.images.results import ImageRejected
from infra.images.svg_allowed import (
    ANIMATIONS,
    ATTRIBUTES,
    ELEMENTS,
    FILTER_PRIMITIVES,
    GREATEST,
    LINKED,
    MOVED,
    PICTURES,
)
from infra.images.svg_css import EMBEDDED, closed_css
from infra.images.svg_uses import check_uses

MAX_BYTES = 10_000_000
MAX_ELEMENTS = 200_000
MAX_DEPTH = 256
MAX_PRIMITIVES = 500
_ENTITIES = 64
_ENTITY_CHARS = 1024
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"
_FRAGMENT = re.compile(r"\s*#[^\s\"'<>()\\]{1,200}\s*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")


def safe_svg(source: bytes) -> bytes:
    """The same drawing, of elements and attributes that draw, and without what reaches out.

    ``source`` may be gzipped. Scripts, handlers, HTML, links out of the file, and animations
    of links are left out. Raises ImageRejected when it is not well-formed XML, is no SVG,
    declares entities that are external or grow, or draws without end.
    """
    if source.startswith(b"\x1f\x8b"):
        source = _unzipped(source)
    if len(source) > MAX_BYTES:
        raise _too_large(f"is larger than {MAX_BYTES // 1_000_000} MB")
    parsed = _parsed(source)
    space, local = _split(parsed.tag)
    if local != "svg" or space not in (_SVG, ""):
        raise ImageRejected("asset.image_unsupported", "The file is XML, but not an SVG drawing.")
    root = _rebuilt(parsed, space)
    check_uses(root)
    # What is drawn is written anew from what was checked, so nothing unseen gets through.
    drawing: bytes = tostring(root, encoding="utf-8")
    return drawing


def _unzipped(source: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(source, MAX_BYTES + 1)
    except zlib.error:
        raise ImageRejected(
            "asset.image_corrupt", "The compressed SVG is damaged or cut off."
        ) from None


def _too_large(why: str) -> ImageRejected:
    return ImageRejected("asset.image_too_large", f"The SVG {why}.")


def _parsed(source: bytes) -> Element:
    parser = DefusedXMLParser(forbid_dtd=False, forbid_entities=False, forbid_external=True)
    declared = 0

    def entity(name: str, is_parameter: bool, value: str | None, *_: Any) -> None:
        # Drawing programs declare namespaces as entities; anything that grows is an attack.
        nonlocal declared
        declared += 1
        if value is None or is_parameter:
            raise ExternalReferenceForbidden(name, None, None, None)
        if declared > _ENTITIES or len(value) > _ENTITY_CHARS or "&" in value:
            raise ImageRejected(
                "asset.image_unsupported", f"The SVG declares the XML entity {name[:40]!r}."
            )

    parser.parser.EntityDeclHandler = entity
    try:
        parser.feed(source)
        return parser.close()
    except DefusedXmlException:
        raise ImageRejected(
            "asset.image_unsupported",
            "The SVG declares an external XML entity, which is not loaded.",
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        raise ImageRejected(
            "asset.image_corrupt", f"The SVG is not well-formed XML: {error}."
        ) from None


def _rebuilt(parsed: Element, space: str) -> Element:
    """A tree of what is allowed of ``parsed``. ``space`` is the namespace its root is in."""
    root = Element("svg", {"xmlns": _SVG, "xmlns:xlink": _XLINK})
    root.attrib.update(_attributes(parsed, "svg"))
    root.text = parsed.text
    # By hand and not by recursion: what is nested is as deep as its author likes.
    waiting = [(parsed, root, 1)]
    elements = primitives = 0
    while waiting:
        source, target, depth = waiting.pop()
        last: Element | None = None
        for child in source:
            elements += 1
            kept = _kept(child, space)
            if kept is None:
                last = _keep_tail(child, target, last)
                continue
            primitives += kept.tag in FILTER_PRIMITIVES
            if elements > MAX_ELEMENTS:
                raise _too_large(f"has more than {MAX_ELEMENTS:,} elements")
            if primitives > MAX_PRIMITIVES:
                raise _too_large(f"has more than {MAX_PRIMITIVES:,} filter primitives")
            if depth >= MAX_DEPTH:
                raise _too_large(f"is nested more than {MAX_DEPTH} deep")
            target.append(kept)
            last = kept
            if kept.tag != "style":
                waiting.append((child, kept, depth + 1))
    return root


def _kept(child: Element, space: str) -> Element | None:
    """The element anew, without its children; None when it is left out with all of them."""
    within, local = _split(child.tag)
    if within != space or local not in ELEMENTS:
        return None
    kept = Element(local, _attributes(child, local))
    kept.text, kept.tail = child.text, child.tail
    if local == "style":
        kept.text = closed_css(child.text or "")
    if local in ANIMATIONS and local != "animateMotion" and kept.get("attributeName") not in MOVED:
        return None
    return kept


def _keep_tail(dropped: Element, target: Element, last: Element | None) -> Element | None:
    """The text after an element that is left out belongs to what is around it."""
    if dropped.tail:
        if last is None:
            target.text = (target.text or "") + dropped.tail
        else:
            last.tail = (last.tail or "") + dropped.tail
    return last


def _attributes(element: Element, local: str) -> dict[str, str]:
    kept = {}
    for qualified, value in element.attrib.items():
        space, name = _split(qualified)
        if name == "href" and space in ("", _XLINK):
            if local in LINKED | ANIMATIONS and _refers_inside(local, value):
                kept["href" if not space else "xlink:href"] = value.strip()
        elif space == _XML and name in {"space", "lang"}:
            kept[f"xml:{name}"] = value
        elif not space and name in ATTRIBUTES:
            kept[name] = _value(name, value)
    return kept


def _refers_inside(local: str, value: str) -> bool:
    return bool(_FRAGMENT.fullmatch(value)) or (local in PICTURES and bool(EMBEDDED.match(value)))


def _value(name: str, value: str) -> str:
    if name == "style" or "(" in value or "\\" in value:
        value = closed_css(value)
    if (greatest := GREATEST.get(name)) is not None:
        return _NUMBER.sub(
            lambda found: found[0] if float(found[0]) <= greatest else f"{greatest:g}", value
        )
    return value


def _split(tag: object) -> tuple[str, str]:
    """Namespace and local name; of a comment or instruction two empty strings."""
    if not isinstance(tag, str):
        return "", ""
    space, _, local = tag.rpartition("}")
    return space.removeprefix("{"), local
