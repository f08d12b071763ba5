"""What a notifier has written, and where: what is cleared when it has died."""

from __future__ import annotations

from infra.presence import notifiers, rosters, sockets
from infra.presence.notifiers import Command, Execute

PAGE = 200


def note(notifier: str, *where: str) -> Command:
    """The command that notes where something of a notifier will be: see ``roster``, ``scope``."""
    return ("SADD", _key(notifier), *where)


def strike(notifier: str, *where: str) -> Command:
    """The command that notes that nothing of a notifier is there any more."""
    return ("SREM", _key(notifier), *where)


def roster(address: str) -> str:
    """The roster of a channel, as ``note`` takes it."""
    return f"roster {address}"


def scope(name: str) -> str:
    """A count of sockets, as ``note`` takes it."""
    return f"sockets {name}"


async def bury(execute: Execute, notifier: str) -> int:
    """Clear what a dead notifier has left; in how many places. Raises redis.RedisError."""
    [members] = await execute([("SMEMBERS", _key(notifier))])
    places = [each.decode().split(" ", 1) for each in members]
    for at in range(0, len(places), PAGE):
        await execute(
            [
                rosters.clear(name, notifier) if kind == "roster" else sockets.free(name, notifier)
                for kind, name in places[at : at + PAGE]
            ]
        )
    await execute(none_left(notifier))
    await execute([notifiers.buried(notifier)])
    return len(places)


def none_left(notifier: str) -> list[Command]:
    """The commands that forget what a notifier noted."""
    return [sockets.forget_all(notifier), ("DEL", _key(notifier))]


def _key(notifier: str) -> str:
    return f"grid8:{{notifier:{notifier}}}:estate"
