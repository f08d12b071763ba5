"""Every measurement can be asked for by its name."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.embedded.ports import free_port
from scripts.bench.load import run
from scripts.grid8.bench import bench


@pytest.mark.parametrize("name", ["commands", "bus", "auth", "images", "uploads"])
def test_a_benchmark_says_what_it_measures(name: str) -> None:
    answer = CliRunner().invoke(bench, [name, "--help"])
    assert answer.exit_code == 0, answer.output
    assert "--json" in answer.output


async def test_the_bare_service_writes_what_it_is_sent(tmp_path: Path) -> None:
    import asyncio

    import aiohttp

    port = free_port()
    bare = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.bench.bare_uploads", str(port), str(tmp_path)
    )
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(30):
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{port}/"):
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
        for side in ("cached", "synced"):
            spec = {
                "url": f"http://127.0.0.1:{port}/{side}",
                "token": "",
                "headers": {},
                "media_type": "application/octet-stream",
                "size": 300_000,
                "connections": 2,
                "seconds": 0.2,
                "prefix": "",
            }
            result = json.loads(json.dumps(await run(spec)))
            assert result["statuses"] == {"201": result["requests"]}
        written = [path.read_bytes() for path in tmp_path.iterdir()]
        assert {len(each) for each in written} == {300_000}
        assert len(set(written)) == len(written), "the same file was sent twice"
    finally:
        bare.terminate()
        await bare.wait()
