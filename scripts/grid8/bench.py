"""``grid8 bench …``: measurements, printed as a table or as JSON."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from scripts.grid8.bench_fanout import fanout
from scripts.grid8.verdict import verdict as _verdict


@click.group()
def bench() -> None:
    """Measure, beside something to compare with, in one run on one machine."""


bench.add_command(fanout)


@bench.command()
@click.option("--connections", default="1,32,128", show_default=True, help="Comma-separated.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of each side.")
@click.option("--seconds", default=3.0, show_default=True, help="Length of a round.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def commands(connections: str, rounds: int, seconds: float, as_json: bool) -> None:
    """Creating brands over HTTP, beside a lean direct service; starts a stack of its own."""
    from infra.embedded.errors import CannotStartError
    from scripts.bench.commands import measure

    try:
        counts = [int(part) for part in connections.split(",")]
    except ValueError as error:
        raise click.BadParameter("numbers, comma-separated", param_hint="--connections") from error
    try:
        result = asyncio.run(
            measure(counts, rounds, seconds, lambda line: click.echo(line, err=True))
        )
    except CannotStartError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(result, indent=2) if as_json else _table(result))


@bench.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds of each side.")
@click.option("--messages", default=100_000, show_default=True, help="Messages of a round.")
@click.option("--writes", default=15_000, show_default=True, help="Commands with real writes.")
@click.option("--memory-messages", default=1_000_000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def bus(rounds: int, messages: int, writes: int, memory_messages: int, as_json: bool) -> None:
    """The bus alone beside a raw redis-py loop, with real writes, and its memory."""
    from infra.embedded.errors import CannotStartError
    from scripts.bench.bus import measure

    try:
        result = asyncio.run(
            measure(
                rounds, messages, writes, memory_messages, lambda line: click.echo(line, err=True)
            )
        )
    except CannotStartError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(result, indent=2) if as_json else _bus_table(result))


@bench.command()
@click.option("--connections", default=32, show_default=True, help="Of the verified reads.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of each side.")
@click.option("--seconds", default=3.0, show_default=True, help="Length of a round.")
@click.option("--rate", default=50, show_default=True, help="Reads a second beside sign-ins.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def auth(connections: int, rounds: int, seconds: float, rate: int, as_json: bool) -> None:
    """Verified reads beside open ones, sign-ins beside raw bcrypt; starts a stack of its own."""
    from infra.embedded.errors import CannotStartError
    from scripts.bench.auth import measure

    try:
        result = asyncio.run(
            measure(connections, rounds, seconds, rate, lambda line: click.echo(line, err=True))
        )
    except CannotStartError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(result, indent=2) if as_json else _auth_table(result))


@bench.command()
@click.option("--rounds", default=3, show_default=True, help="Rounds of each side.")
@click.option(
    "--photos",
    type=click.Path(file_okay=False, path_type=Path),
    help="JPEG files, or where to draw some; else they are drawn and removed.",
)
@click.option("--count", default=20, show_default=True, help="Photos to draw.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def images(rounds: int, photos: Path | None, count: int, as_json: bool) -> None:
    """Renditions of photos of 12 to 24 megapixels, beside sharp (Node.js) doing the same."""
    from scripts.bench.images import NoSharp, measure

    try:
        result = asyncio.run(
            measure(rounds, photos, count, lambda line: click.echo(line, err=True))
        )
    except NoSharp as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(result, indent=2) if as_json else _images_table(result))


@bench.command()
@click.option("--connections", default=32, show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Rounds of each side.")
@click.option("--seconds", default=3.0, show_default=True, help="Length of a round.")
@click.option("--size", default=1_000_000, show_default=True, help="Bytes of a file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def uploads(connections: int, rounds: int, seconds: float, size: int, as_json: bool) -> None:
    """Uploads beside bare aiohttp that writes the same to a file; starts a stack of its own."""
    from infra.embedded.errors import CannotStartError
    from scripts.bench.uploads import measure

    try:
        result = asyncio.run(
            measure(connections, rounds, seconds, size, lambda line: click.echo(line, err=True))
        )
    except CannotStartError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(result, indent=2) if as_json else _uploads_table(result))


def _auth_table(result: dict[str, Any]) -> str:
    reads, signing = result["reads"], result["sign_ins"]
    rows = [
        ("verified reads", f"{reads['verified_per_second']:.0f}/s"),
        ("the same without authentication", f"{reads['open_per_second']:.0f}/s"),
        ("processor of the gateway, verified", f"{reads['verified_cpu_ms']:.3f} ms each"),
        ("processor of the gateway, open", f"{reads['open_cpu_ms']:.3f} ms each"),
        ("sign-ins", f"{signing['per_second']:.2f}/s"),
        (f"raw bcrypt on {signing['threads']} threads", f"{signing['raw_per_second']:.2f}/s"),
        (
            f"reads beside sign-ins, {signing['reads_rate']}/s",
            f"p50 {signing['reads_p50_ms']:.1f} ms",
        ),
        ("", f"p99 {signing['reads_p99_ms']:.1f} ms"),
    ]
    targets = [
        _verdict("verified reads/s ÷ without authentication", reads["ratio"], "≥", 0.6),
        _verdict("sign-ins/s ÷ raw bcrypt", signing["ratio"], "≥", 0.8),
        _verdict("p99 ms of reads beside sign-ins", signing["reads_p99_ms"], "≤", 50),
    ]
    head = f"Medians of {result['rounds']} rounds of {result['seconds']:g} s, sides in turn.\n\n"
    table = "\n".join(f"{name:<36}{figure:>22}" for name, figure in rows)
    lines = [head + table, "", "Targets:", *targets]
    odd = reads["other_answers"] + signing["other_answers"]
    if odd:
        lines += ["", f"{odd} requests were answered with neither 200 nor 201."]
    return "\n".join(lines)


def _images_table(result: dict[str, Any]) -> str:
    sides = result["sides"]
    lines = [
        f"Medians of {result['rounds']} rounds of {result['photos']} photos, sides in turn, "
        f"{result['cores']} cores.",
        "",
        f"{'side':<24}{'images/s':>9}{'÷ sharp':>9}{'CPU ms':>8}{'peak MiB':>10}{'÷ sharp':>9}{'written MiB':>13}",
    ]
    lines += [
        f"{side:<24}{each['images_per_second']:>9.2f}{each['times_sharp']:>9.2f}"
        f"{each['cpu_ms_per_image']:>8.0f}"
        f"{each['peak_mib']:>10.0f}{each['memory_times_sharp']:>9.2f}{each['written_mib']:>13.1f}"
        for side, each in sides.items()
    ]
    ours = sides["grid8"]
    targets = [
        _verdict("images/s ÷ sharp", ours["times_sharp"], "≥", 1.5),
        _verdict("peak memory ÷ sharp", ours["memory_times_sharp"], "≤", 1.0),
    ]
    return "\n".join([*lines, "", "Targets:", *targets])


def _uploads_table(result: dict[str, Any]) -> str:
    sides = result["sides"]
    names = {
        "grid8": "through the gateway: stored, on disk, registered",
        "cached": "bare aiohttp, written to a file",
        "synced": "bare aiohttp, written to a file and on disk",
    }
    lines = [
        f"Medians of {result['rounds']} rounds of {result['seconds']:g} s, sides in turn: files of "
        f"{result['bytes']:,} bytes, {result['connections']} connections.",
        "",
        f"{'':<50}{'files/s':>9}{'p50 ms':>9}{'p99 ms':>9}",
    ]
    for side, name in names.items():
        each = sides[side]
        lines.append(
            f"{name:<50}{each['per_second']:>9.0f}{each['p50_ms']:>9.1f}{each['p99_ms']:>9.1f}"
        )
    lines += ["", "Processor milliseconds per file:"]
    for side in names:
        shown = "  ".join(
            f"{name} {figure:.2f}"
            for name, figure in sides[side]["cpu_ms_per_request"].items()
            if figure >= 0.005
        )
        lines.append(f"{side:<8}{shown}")
    lines += [
        "",
        "Targets:",
        _verdict(
            "files/s ÷ bare aiohttp, written to a file", sides["grid8"]["times_cached"], "≥", 0.5
        ),
        _verdict("files/s ÷ the same, and on disk", sides["grid8"]["times_synced"], "≥", 0.5),
    ]
    odd = sum(each["other_answers"] for each in sides.values())
    if odd:
        lines += ["", f"{odd} uploads were not answered with 201."]
    return "\n".join(lines)


def _bus_table(result: dict[str, Any]) -> str:
    alone, writes, memory = result["alone"], result["writes"], result["memory"]
    targets = [
        _verdict("bus alone, no-op handler ÷ raw loop", alone["ratio"], "≥", 0.25),
        _verdict("commands/s of one worker with a real write", writes["per_second"], "≥", 3000),
        _verdict(
            f"memory after {memory['messages']:,} messages ÷ after 10,000",
            memory["ratio"],
            "≤",
            1.1,
        ),
    ]
    rows = [
        ("bus alone, no-op handler", f"{alone['grid8_per_second']:.0f} messages/s"),
        ("raw redis-py loop, batch XACK", f"{alone['raw_per_second']:.0f} messages/s"),
        ("bus alone ÷ raw loop", f"{alone['ratio']:.2f}"),
        ("one worker with a real write", f"{writes['per_second']:.0f} commands/s"),
        ("memory after 10,000 messages", f"{memory['early_mib']:.1f} MiB"),
        (f"memory after {memory['messages']:,} messages", f"{memory['late_mib']:.1f} MiB"),
        ("the second ÷ the first", f"{memory['ratio']:.2f}"),
    ]
    head = f"Medians of {result['rounds']} rounds, sides in turn.\n\n"
    table = "\n".join(f"{name:<36}{figure:>22}" for name, figure in rows)
    return "\n".join([head + table, "", "Targets:", *targets])


def _table(result: dict[str, Any]) -> str:
    lines = [
        f"Medians of {result['rounds']} rounds of {result['seconds']:g} s, sides in turn.",
        "",
        f"{'connections':>11}  {'side':<12}{'req/s':>8}{'÷ lean':>8}{'p50 ms':>9}{'÷ lean':>8}"
        f"{'p99 ms':>9}",
    ]
    for each in result["results"]:
        for side, figures in each["sides"].items():
            lines.append(
                f"{each['connections']:>11}  {side:<12}{figures['per_second']:>8.0f}"
                f"{figures['times_lean']:>8.2f}{figures['p50_ms']:>9.1f}"
                f"{figures['latency_times_lean']:>8.2f}{figures['p99_ms']:>9.1f}"
            )
    lines += ["", "Processor milliseconds per request:"]
    names = list(result["results"][0]["sides"]["grid8"]["cpu_ms_per_request"])
    lines.append(f"{'connections':>11}  {'side':<12}" + "".join(f"{name:>13}" for name in names))
    for each in result["results"]:
        for side, figures in each["sides"].items():
            lines.append(
                f"{each['connections']:>11}  {side:<12}"
                + "".join(f"{figures['cpu_ms_per_request'][name]:>13.2f}" for name in names)
            )
    sides = {each["connections"]: each["sides"] for each in result["results"]}
    targets = []
    if 128 in sides:
        sync, later = sides[128]["grid8"], sides[128]["grid8 async"]
        targets += [
            _verdict("synchronous create at 128 ÷ lean", sync["times_lean"], "≥", 1.0),
            _verdict("the same with Prefer: respond-async", later["times_lean"], "≥", 2.0),
        ]
    if 1 in sides:
        median = sides[1]["grid8"]["latency_times_lean"]
        targets.append(_verdict("median latency at 1 connection ÷ lean", median, "≤", 2.5))
    if targets:
        lines += ["", "Targets:", *targets]
    odd = sum(s["other_answers"] for e in result["results"] for s in e["sides"].values())
    if odd:
        lines += ["", f"{odd} requests were answered with neither 201 nor 202."]
    return "\n".join(lines)
