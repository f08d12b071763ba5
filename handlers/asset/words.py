"""Names and tags as they are compared, sorted and searched: whatever their case and accents."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

KEPT = 120
"""Characters of a name that are compared: some letters become many."""
WORDS = 256
"""Words of one asset that are found; its name's come first."""
WORD = 40
"""Characters of a word that are looked at."""
LAST = "\U0010ffff"
"""Sorts behind whatever a text may go on with."""

_ALIKE = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not take apart, though most who look for them do."""
_WORD = re.compile(r"[^\W_]+|[\u2600-\u27bf\U0001f300-\U0001faff]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
"""Scripts that are written without spaces, where a word may begin at each letter."""


def fold(text: str) -> str:
    """The text without case, accents, invisible characters and differences of form."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(each for each in apart if unicodedata.category(each) not in ("Mn", "Cf"))
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", bare.translate(_ALIKE))).strip()


def name_key(name: str) -> str:
    """By which an asset is sorted and found by name."""
    return fold(name)[:KEPT]


def folder_key(name: str) -> str:
    """Two folders in one place have not the same: names that look the same are the same.

    Accents count: they tell words apart.
    """
    plain = unicodedata.normalize("NFKC", name)
    visible = "".join(each for each in plain if unicodedata.category(each) != "Cf")
    key = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", visible.casefold())).strip()
    if len(key) > 2 * KEPT:  # some letters become eighteen
        key = key[:KEPT] + hashlib.sha256(key.encode()).hexdigest()
    return key


def words_of(texts: Iterable[str]) -> list[str]:
    """What is found by: each word, and of unspaced scripts what begins at each letter."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(fold(text)):
            starts = (place.start() for place in _UNSPACED.finditer(word))
            for start in {0, *starts}:
                found[word[start : start + WORD]] = None
            if len(found) >= WORDS:
                return list(found)[:WORDS]
    return list(found)


def words_sought(text: str) -> list[str]:
    """The words of a search; each is the beginning of a word of what is found."""
    return [word[:WORD] for word in dict.fromkeys(_WORD.findall(fold(text)))]


def label(tag: str) -> str:
    """A tag that sorts and is found whatever its case, and still is what it is."""
    return f"{label_key(tag)}\n{tag}"


def label_key(text: str) -> str:
    """How the label of a tag begins, or of all that begin so."""
    return fold(text)[:KEPT]


def tag_of(label: str) -> str:
    """The tag of a label."""
    return label.partition("\n")[2]


def beginning(text: str) -> dict[str, str]:
    """What begins with a text, as a range of an index."""
    return {"$gte": text, "$lt": text + LAST}
