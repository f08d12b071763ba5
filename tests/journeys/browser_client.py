"""The realtime client in a tab, told what to do, and everything that it said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from browser import Tab
from gateway_client import Api, Person, new_person

QUICK = {"backoffBase": 100, "backoffLimit": 800, "answerWithin": 3000}
"""Milliseconds; nobody shares the server with this client."""

_START = """async (given) => {
  const { Realtime } = await import(`${given.host}/web/realtime.js`);
  window.token = given.token;
  window.renewed = given.renewed;
  window.told = [];
  window.rt = new Realtime({
    api: given.api, org: given.org, transport: given.transport, timing: given.timing,
    token: ({ renew }) => {
      told.push({ what: "token", renew });
      if (renew && renewed) window.token = renewed;
      return window.token;
    },
    onState: (state, { transport, error }) => told.push({ what: "state", state, transport, code: error?.code ?? null }),
    onError: ({ code, message, problem }) => told.push({ what: "error", code, message, status: problem?.status ?? null }),
  });
  window.subs = {};
  window.listen = (channel, more = {}) => {
    subs[channel] = rt.subscribe(channel, {
      ...more,
      onEvent: ({ channel, cursor, event }) => told.push({ what: "event", channel, cursor, id: event.id, n: event.data.n ?? null, type: event.type }),
      onReset: ({ channel }) => told.push({ what: "reset", channel }),
      onProgress: ({ channel, progress }) => told.push({ what: "progress", channel, progress }),
      onState: (state) => told.push({ what: "channel", channel, state }),
      onClosed: (channel, code) => told.push({ what: "closed", channel, code }),
    });
  };
}"""


@dataclass(slots=True)
class Home:
    """An organization, and who owns it."""

    owner: Person
    org: str

    async def tell(self, numbers: Iterable[int], pad: int = 0) -> None:
        """Publish an event for each number, in order."""
        batch = [
            {
                "specversion": "1.0",
                "id": f"{self.org}-{n}",
                "source": "/tests",
                "type": "custom.tick",
                "data": {"n": n, **({"pad": "x" * pad} if pad else {})},
            }
            for n in numbers
        ]
        answer = await self.owner.api(
            "POST",
            f"/v1/orgs/{self.org}/events",
            batch,
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )
        assert answer.status == 202, str(answer)


async def new_home(api: Api, name: str) -> Home:
    owner = await new_person(api, name)
    made = await owner.api.post("/v1/orgs", {"name": f"{name} org"})
    assert made.status == 201, str(made)
    return Home(owner, made.json["id"])


class Client:
    """The client in a tab."""

    def __init__(self, tab: Tab, home: Home) -> None:
        self.tab = tab
        self.home = home

    async def start(
        self,
        *channels: str,
        transport: str = "auto",
        api: str | None = None,
        timing: dict[str, int] | None = None,
        renewed: str | None = None,
    ) -> None:
        """Begin, and wait until every channel is open."""
        base = self.home.owner.api.base
        await self.tab.run(
            _START,
            {
                "host": base,
                "api": api or base,
                "org": self.home.org,
                "transport": transport,
                "timing": {**QUICK, **(timing or {})},
                "token": self.home.owner.api.token,
                "renewed": renewed,
            },
        )
        for channel in channels:
            await self.listen(channel)
        if channels:
            await self.open()

    async def listen(self, channel: str, **more: Any) -> None:
        await self.tab.run("(channel, more) => listen(channel, more)", channel, more)

    async def open(self) -> None:
        """Wait until every channel is open."""
        await self.tab.until(
            "() => Object.values(subs).every(({ state }) => state === 'open') && rt.state === 'open'"
        )

    async def state(self, *states: str, within: float = 30.0) -> None:
        await self.tab.until("() => rt.state", fits=lambda state: state in states, within=within)

    async def told(self, what: str, **fields: Any) -> list[dict[str, Any]]:
        """What it said so far of one kind."""
        said: list[dict[str, Any]] = await self.tab.run("() => told")
        return [
            each
            for each in said
            if each["what"] == what and all(each[name] == value for name, value in fields.items())
        ]

    async def ticks(self, channel: str = "org") -> list[int]:
        """The numbers of the events that came on a channel, in their order."""
        script = """(channel) =>
          told.filter((each) => each.what === "event" && each.channel === channel && each.n !== null).map(({ n }) => n)"""
        found: list[int] = await self.tab.run(script, channel)
        return found

    async def heard(self, count: int, channel: str = "org", within: float = 60.0) -> list[int]:
        """Wait for that many numbers at least; all of them."""
        script = """(channel) =>
          told.filter((each) => each.what === "event" && each.channel === channel && each.n !== null).length"""
        await self.tab.until(script, channel, fits=lambda n: n >= count, within=within)
        return await self.ticks(channel)
