"""A copy of one channel's roster, and what those who watch it were told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from handlers.notifier.frames import Told
from handlers.notifier.peer import Subscription
from handlers.notifier.presence.life import Life
from infra.presence.rosters import Changes, Entry, Present, Roster, in_order, together


class Copy:
    """As far as this notifier knows. ``shown`` is what watchers have been told."""

    def __init__(self, address: str, life: Life) -> None:
        self.address = address
        self.channel = address.partition("/")[2]
        self.watchers: dict[Subscription, None] = {}
        self.waiting: dict[Subscription, None] = {}
        """Those who have asked, and were not told yet."""
        self.epoch = ""
        self.number = -1
        self._life = life
        self._entries: dict[str, dict[str, Entry]] = {}
        """User → notifier → what it says."""
        self._shown: dict[str, Present] = {}
        self._touched: set[str] = set()
        self._rendered: Told | None = None
        """The list of members, as long as it is the same."""

    @property
    def touched(self) -> bool:
        """Whether watchers may have to be told something."""
        return bool(self._touched)

    def take(self, roster: Roster) -> None:
        """Have it all from the roster, unless the copy is newer."""
        same = roster.epoch == self.epoch
        if same and roster.number <= self.number:
            return
        if self.epoch and not same and self._entries:
            self._life.doubt()
        self.epoch, self.number = roster.epoch, roster.number
        self._touched.update(self._entries)
        self._entries = {}
        self._put(roster.entries)

    def apply(self, changes: Changes) -> bool:
        """Follow; False when something before it was missed, and the roster must be read."""
        if changes.epoch != self.epoch or changes.number > self.number + 1:
            return False
        if changes.number == self.number + 1:
            self.number = changes.number
            self._put(changes.entries)
        return True

    def suspect(self) -> None:
        """Look at everybody again: other notifiers live than before."""
        self._touched.update(self._entries)
        self._touched.update(self._shown)

    def members(self, limit: int) -> Told:
        """Everybody who is shown, or the first of them."""
        if self._rendered is None:
            people = in_order(self._shown.values())
            members = [view(each) for each in people[:limit]]
            self._rendered = Told("presence", self.channel, members=members, total=len(people))
        return self._rendered

    def news(self, limit: int) -> Iterator[Told]:
        """Who has come and who has gone since the last time, ``limit`` in a message at most.

        Absences are kept for later while nobody can be sure of them.
        """
        joined: list[Present] = []
        left: list[str] = []
        later: set[str] = set()
        for user in self._touched:
            present = self._present(user)
            if present is not None:
                if user not in self._shown:
                    joined.append(present)
                self._shown[user] = present
            elif user in self._shown and self._life.unsettled:
                later.add(user)
            elif self._shown.pop(user, None) is not None:
                left.append(user)
        if self._touched != later:
            self._rendered = None
        self._touched = later
        total = len(self._shown)
        for some in _pages([view(each) for each in in_order(joined)], limit):
            yield Told("presence", self.channel, joined=some, total=total)
        for gone in _pages(sorted(left), limit):
            yield Told("presence", self.channel, left=gone, total=total)

    def _put(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._touched.add(entry.user)
            if entry.connections:
                self._entries.setdefault(entry.user, {})[entry.notifier] = entry
            else:
                known = self._entries.get(entry.user, {})
                known.pop(entry.notifier, None)
                if not known:
                    self._entries.pop(entry.user, None)

    def _present(self, user: str) -> Present | None:
        entries = self._entries.get(user, {})
        living = [each for id, each in entries.items() if self._life.is_living(id)]
        return together(user, living) if living else None


def view(present: Present) -> dict[str, Any]:
    """A person as clients see them."""
    return {
        "user": present.user,
        "since": present.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "connections": present.connections,
    }


def _pages(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
