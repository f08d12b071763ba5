"""How much an SVG draws once its references are followed, found without drawing it."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from infra.images.results import ImageRejected

MAX_DRAWN = 200_000
"""Elements drawn, counting what is referred to each time it is."""
MAX_CHAIN = 64
"""References that lead from one to the next."""
_MAX_STEPS = 2_000_000

_URL = re.compile(r"url\(\s*[\"']?#([^)\"']+)", re.IGNORECASE)
_CHEAP = frozenset({"linearGradient", "radialGradient", "filter", "a", "stop"})


def check_uses(root: Element) -> None:
    """Take out references that lead back to themselves.

    Raises ImageRejected when what is left draws more than MAX_DRAWN elements, as do ten
    groups which each use the one before ten times.
    """
    by_id: dict[str, Element] = {}
    for element in root.iter():
        if name := element.get("id"):
            by_id.setdefault(name, element)
    _Count(by_id).of(root, 0)


class _Count:
    def __init__(self, by_id: dict[str, Element]) -> None:
        self._by_id = by_id
        self._known: dict[Element, int] = {}
        self._open: set[Element] = set()
        self._steps = 0

    def of(self, element: Element, chain: int) -> int:
        """Elements drawn by ``element``; ``chain`` references have led here."""
        if element in self._known:
            return self._known[element]
        if chain > MAX_CHAIN:
            raise _too_large(f"SVG's references lead through more than {MAX_CHAIN} elements")
        total = 0
        waiting: list[tuple[Element, bool]] = [(element, False)]
        while waiting:
            each, left = waiting.pop()
            if left:
                self._open.discard(each)
                continue
            self._open.add(each)
            waiting.append((each, True))
            total += 1
            self._steps += 1
            for attribute, target in self._targets(each):
                if target in self._open:
                    each.attrib.pop(attribute, None)
                    continue
                total += self.of(target, chain + 1)
            if total > MAX_DRAWN or self._steps > _MAX_STEPS:
                raise _too_large(f"SVG draws more than {MAX_DRAWN:,} elements by reference")
            waiting.extend((child, False) for child in each)
        self._known[element] = total
        return total

    def _targets(self, element: Element) -> list[tuple[str, Element]]:
        found = []
        for attribute, value in list(element.attrib.items()):
            if attribute in ("href", "xlink:href"):
                names = [value.strip().removeprefix("#")]
            elif "url(" in value.lower():
                names = _URL.findall(value)
            else:
                continue
            for name in names:
                target = self._by_id.get(name.strip())
                if target is not None and target.tag not in _CHEAP:
                    found.append((attribute, target))
        return found


def _too_large(why: str) -> ImageRejected:
    return ImageRejected("asset.image_too_large", f"The {why}.")
