"""``grid8 bench fanout``: the measurement of sockets, printed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from scripts.grid8.verdict import verdict


@click.command()
@click.option("--sockets", default="200,1000", show_default=True, help="Comma-separated.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of each side.")
@click.option("--seconds", default=3.0, show_default=True, help="Length of each half of a round.")
@click.option(
    "--under-way",
    default=50_000,
    show_default=True,
    help="Deliveries not yet made, when saturated.",
)
@click.option("--size", default=400, show_default=True, help="Bytes of an event, about.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def fanout(
    sockets: str, rounds: int, seconds: float, under_way: int, size: int, as_json: bool
) -> None:
    """Events to many sockets, beside Socket.IO with Redis; starts a stack of its own."""
    from infra.embedded.errors import CannotStartError
    from scripts.bench.fanout import measure
    from scripts.bench.fanout_sides import NoSocketIo

    try:
        counts = [int(part) for part in sockets.split(",")]
    except ValueError as error:
        raise click.BadParameter("numbers, comma-separated", param_hint="--sockets") from error
    try:
        result = asyncio.run(
            measure(
                counts, rounds, seconds, under_way, size, lambda line: click.echo(line, err=True)
            )
        )
    except (CannotStartError, NoSocketIo) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(result, indent=2) if as_json else table(result))


def table(result: dict[str, Any]) -> str:
    """What was measured, for people."""
    lines = [
        f"Medians of {result['rounds']} rounds of 2 × {result['seconds']:g} s, sides in turn: "
        f"events of about {result['bytes']} bytes.",
        f"Saturated: {result['under_way']:,} deliveries under way. Steady: 20,000 a second.",
        "",
        f"{'sockets':>7}  {'side':<10}{'deliveries/s':>13}{'÷ its':>7}{'of a core':>11}"
        f"{'steady: p50 ms':>16}{'p99 ms':>8}{'÷ its':>7}",
    ]
    for each in result["results"]:
        for side, figures in each["sides"].items():
            most, steady = figures["most"], figures["steady"]
            lines.append(
                f"{each['sockets']:>7}  {side:<10}{most['per_second']:>13,.0f}"
                f"{most['times_socketio']:>7.2f}{most['server_busy']:>11.0%}{steady['p50_ms']:>16.1f}"
                f"{steady['p99_ms']:>8.1f}{steady['times_socketio']:>7.2f}"
            )
    lines += ["", "Processor milliseconds for 1,000 deliveries:"]
    names = list(result["results"][0]["sides"]["grid8"]["most"]["cpu_ms_per_1000"])
    lines.append(f"{'sockets':>7}  {'side':<10}{'':<10}" + "".join(f"{n:>11}" for n in names))
    for each in result["results"]:
        for side, figures in each["sides"].items():
            for phase, shown in (("most", "saturated"), ("steady", "steady")):
                used = figures[phase]["cpu_ms_per_1000"]
                lines.append(
                    f"{each['sockets']:>7}  {side:<10}{shown:<10}"
                    + "".join(f"{used[name]:>11.2f}" for name in names)
                )
    memory = result["memory"]
    lines += ["", f"KiB of the server for an idle socket, of {memory['sockets']:,}:"]
    lines.append(f"{'side':<10}{'garbage':<12}{'private':>9}{'resident':>10}")
    for side in ("grid8", "socketio"):
        for kind, figures in memory[side].items():
            lines.append(
                f"{side:<10}{kind:<12}{figures['private']:>9.1f}{figures['resident']:>10.1f}"
            )
    return "\n".join([*lines, "", "Targets:", *_targets(result)])


def _targets(result: dict[str, Any]) -> list[str]:
    lines = []
    for each in result["results"]:
        ours, count = each["sides"]["grid8"], f"{each['sockets']:,} sockets"
        lines += [
            verdict(f"{count}: deliveries/s ÷ Socket.IO", ours["most"]["times_socketio"], "≥", 1.2),
            verdict(
                f"{count}: p99 at 20,000 deliveries/s ÷ Socket.IO",
                ours["steady"]["times_socketio"],
                "≤",
                1.0,
            ),
        ]
    memory = result["memory"]
    for kind, figures in memory["socketio"].items():
        ratio = memory["grid8"]["as it is"]["private"] / figures["private"]
        lines.append(verdict(f"memory of an idle socket ÷ Socket.IO, {kind}", ratio, "≤", 1.0))
    return lines
