"""The event stream format of the WHATWG HTML standard (9.2.5 and 9.2.6), to the letter.

``strict`` refuses what a browser would pass over, or what says nothing: a server that writes
such a thing means something that does not arrive.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass


class Unclean(AssertionError):
    """A stream holds what a browser ignores."""


@dataclass(frozen=True, slots=True)
class Block:
    """What lies between two empty lines; ``data`` is None when no event is dispatched."""

    type: str
    data: str | None
    last_event_id: str
    """Of the event source, once this is over."""


class Parser:
    """Fed with bytes as they come, cut anywhere."""

    def __init__(self, *, strict: bool = False) -> None:
        self.comments: list[str] = []
        self.retry: int | None = None
        self.last_event_id = ""
        """Of the event source: what a reconnect sends."""
        self._strict = strict
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict" if strict else "replace")
        self._text = ""
        self._begun = False
        self._after_cr = False
        self._data: list[str] = []
        self._type = ""
        self._id = ""
        self._fields: set[str] = set()

    def feed(self, chunk: bytes) -> list[Block]:
        """The blocks that these bytes complete. What is incomplete at the end is no block."""
        text = self._decoder.decode(chunk)
        if text and not self._begun:
            self._begun = True
            if text[0] == "\ufeff":
                self._refuse("a byte order mark")
                text = text[1:]
        self._text += text
        blocks = []
        while (line := self._line()) is not None:
            if line:
                self._take(line)
            else:
                blocks.append(self._dispatch())
        return blocks

    def _line(self) -> str | None:
        if self._after_cr and self._text:
            self._after_cr = False
            self._text = self._text.removeprefix("\n")
        ends = [at for at in (self._text.find("\n"), self._text.find("\r")) if at >= 0]
        if not ends:
            return None
        at = min(ends)
        if self._text[at] == "\r":
            self._refuse("a carriage return")
            self._after_cr = True
        line, self._text = self._text[:at], self._text[at + 1 :]
        return line

    def _take(self, line: str) -> None:
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if colon and not name:
            self.comments.append(value)
            return
        if name in self._fields and name != "data":
            self._refuse(f"{name} twice")
        self._fields.add(name)
        match name:
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)
            case _:
                self._refuse(f"a line that is ignored: {line[:80]!r}")

    def _dispatch(self) -> Block:
        self.last_event_id = self._id
        data = "\n".join(self._data) if "".join(self._data) or len(self._data) > 1 else None
        if data is None and ("event" in self._fields or self._data):
            self._refuse("an event without data")
        block = Block(self._type or "message", data, self.last_event_id)
        self._data, self._type, self._fields = [], "", set()
        return block

    def _refuse(self, what: str) -> None:
        if self._strict:
            raise Unclean(what)
