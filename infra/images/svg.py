"""SVG made safe to render: nothing outside the file is reached."""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml.common import DefusedXmlException, ExternalReferenceForbidden
from defusedxml.ElementTree import DefusedXMLParser

from infra.images.results import ImageRejected

MAX_BYTES = 10_000_000
_ENTITIES = 64
_ENTITY_CHARS = 1024
_EMBEDDED = re.compile(r"\s*data:image/(?:png|jpe?g|gif|webp)\s*[;,]", re.IGNORECASE)
_URL = re.compile(r"url\(([^)]*)\)?", re.IGNORECASE)
_IMPORT = re.compile(r"@\s*import[^;]*;?", re.IGNORECASE)
_LINKS = {"href", "src", "base"}


def safe_svg(source: bytes) -> bytes:
    """The same drawing, without anything that lies outside the file.

    References to files and addresses are dropped, as a browser drops them where an SVG is
    used as an image. Raises ImageRejected when it is not well-formed XML, is no SVG, or
    declares entities that are external or grow.
    """
    if len(source) > MAX_BYTES:
        raise ImageRejected(
            "asset.image_too_large", f"The SVG is larger than {MAX_BYTES // 1_000_000} MB."
        )
    root = _parsed(source)
    if not isinstance(root.tag, str) or root.tag.rpartition("}")[2] != "svg":
        raise ImageRejected("asset.image_unsupported", "The file is XML, but not an SVG drawing.")
    for element in root.iter():
        _close(element)
    # What is drawn is written anew from what was checked, so nothing unseen gets through.
    drawing: bytes = tostring(root, encoding="utf-8")
    return drawing


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


def _close(element: Element) -> None:
    """Take from the element whatever it would load from outside the file."""
    name = str(element.tag).rpartition("}")[2].lower()
    if "XInclude" in str(element.tag):
        element.clear()
        return
    for attribute, value in list(element.attrib.items()):
        plain = str(attribute).rpartition("}")[2].lower()
        # A link is only followed by a person, and drawn like any group.
        if plain in _LINKS and name != "a" and not _inside(value):
            del element.attrib[attribute]
        elif "(" in value:
            element.attrib[attribute] = _closed_css(value)
    if name == "style" and element.text:
        element.text = _closed_css(element.text)


def _closed_css(css: str) -> str:
    css = _IMPORT.sub("", css)
    return _URL.sub(lambda found: found[0] if _inside(found[1].strip("\"' ")) else "none", css)


def _inside(reference: str) -> bool:
    wanted = reference.strip()
    return not wanted or wanted.startswith("#") or bool(_EMBEDDED.match(wanted))
