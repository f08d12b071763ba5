"""``grid8 demo photo.jpg …``: the main job, end to end, against a running stack."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from scripts.grid8 import stack_env


@click.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--url", help="The gateway; default: the stack that runs here.")
@click.option("--timeout", default=120.0, show_default=True, help="Seconds to wait for one photo.")
def demo(photos: tuple[Path, ...], url: str | None, timeout: float) -> None:
    """Register, sign in, make an organization, brand and project, upload PHOTOS, watch live.

    Every photo ends ready, or failed or refused with a reason. The exit code is 1 when a step
    cannot be done, a photo reaches no end, or not one of them becomes ready.
    """
    for photo in photos:
        if not photo.is_file():
            raise click.ClickException(f"{photo} is not a file.")
    running = stack_env.load()
    if url is None and not running:
        raise click.ClickException(
            "No stack runs here. Start one with ./scripts/up in another terminal, or name "
            "one with --url."
        )
    from infra.settings import settings
    from scripts.demo.client import DemoError
    from scripts.demo.story import play

    try:
        fine = asyncio.run(play(url or settings().gateway_url, photos, timeout))
    except DemoError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if fine else 1)
