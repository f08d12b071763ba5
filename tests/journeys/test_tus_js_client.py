"""tus-js-client, which nobody here wrote, uploads, is cut, goes on, and gives up."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_client import Api, Person, new_person

from infra.embedded.layout import ROOT

MODULE = ROOT / "infra" / "lock" / "js" / "node_modules" / "tus-js-client"
PROGRAM = Path(__file__).parent / "js" / "tus_client.cjs"
SIZE = 6_000_011

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine"),
    pytest.mark.skipif(not MODULE.exists(), reason="npm has not installed infra/lock/js"),
]

Run = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def owner(api: Api) -> Person:
    return await new_person(api, "Tus user")


@pytest.fixture
async def org(owner: Person) -> str:
    made = await owner.api.post("/v1/orgs", {"name": "Uploads"})
    return str(made.json["id"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def run(owner: Person, org: str, file: Path, tmp_path: Path) -> Run:
    """Run the client once; what it says."""

    async def run(**given: Any) -> dict[str, Any]:
        options = {
            "module": str(MODULE),
            "endpoint": f"{owner.api.base}/v1/orgs/{org}/uploads",
            "token": owner.api.token,
            "file": str(file),
            "storage": str(tmp_path / "urls.json"),
            "metadata": {"filename": "film.bin", "filetype": "application/octet-stream"},
            **given,
        }
        node = await asyncio.create_subprocess_exec(
            "node",
            str(PROGRAM),
            json.dumps(options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, wrong = await asyncio.wait_for(node.communicate(), 60)
        assert said, wrong.decode()
        answer: dict[str, Any] = json.loads(said)
        return answer

    return run


async def check_asset(owner: Person, org: str, file: Path) -> dict[str, Any]:
    """There is one asset, of the file's bytes."""
    listed = await owner.api.get(f"/v1/orgs/{org}/assets")
    [asset] = listed.json["items"]
    assert asset["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (asset["bytes"], asset["name"]) == (SIZE, "film.bin")
    found: dict[str, Any] = asset
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunkSize": 700_001},
        {"uploadDataDuringCreation": True},
        {"uploadDataDuringCreation": True, "chunkSize": 2_000_000},
        {"uploadLengthDeferred": True, "chunkSize": 1_000_000},
    ],
    ids=["in one go", "in chunks", "with its creation", "begun with its creation", "length later"],
)
async def test_it_uploads(
    run: Run, owner: Person, org: str, file: Path, options: dict[str, Any]
) -> None:
    said = await run(**options)
    assert said["outcome"] == "success", said
    asset = await check_asset(owner, org, file)
    last = said["requests"][-1]
    assert last["location"] == f"/v1/orgs/{org}/assets/{asset['id']}"


async def test_it_goes_on_after_it_was_stopped(
    run: Run, owner: Person, org: str, file: Path
) -> None:
    stopped = await run(chunkSize=1_000_000, stopAfter=3_000_000)
    assert stopped["outcome"] == "aborted", stopped
    view = await owner.api.get(stopped["url"].removeprefix(owner.api.base))
    assert 3_000_000 <= view.json["offset"] < SIZE
    resumed = await run(chunkSize=1_000_000, resume=True)
    assert resumed["outcome"] == "success", resumed
    assert resumed["url"] == stopped["url"]
    assert [each["method"] for each in resumed["requests"]][:2] == ["HEAD", "PATCH"]
    assert len(resumed["requests"]) <= 5
    await check_asset(owner, org, file)


async def test_it_goes_on_after_its_connection_was_cut(
    run: Run, owner: Person, org: str, file: Path
) -> None:
    """In the middle of its only request."""
    cut = await run(cutAfter=1)
    assert cut["outcome"] == "aborted", cut
    resumed = await run(resume=True)
    assert resumed["outcome"] == "success", resumed
    assert resumed["url"] == cut["url"]
    await check_asset(owner, org, file)


async def test_it_gives_up(run: Run, owner: Person, org: str) -> None:
    said = await run(chunkSize=1_000_000, stopAfter=2_000_000, terminate=True)
    assert said["outcome"] == "aborted", said
    assert said["requests"][-1]["method"] == "DELETE"
    assert said["requests"][-1]["status"] == 204
    gone = await owner.api.get(said["url"].removeprefix(owner.api.base))
    assert gone.is_problem(404)["code"] == "asset.upload_not_found"
    assert (await owner.api.get(f"/v1/orgs/{org}/assets")).json["items"] == []


async def test_it_is_told_why_it_cannot_upload(run: Run) -> None:
    said = await run(metadata={"project_id": "prj_nobody"}, retryDelays=None)
    assert said["outcome"] == "error"
    assert "reference_unknown" in said["reason"]


async def test_it_begins_again_when_what_it_had_is_gone(
    run: Run, owner: Person, org: str, file: Path
) -> None:
    stopped = await run(chunkSize=1_000_000, stopAfter=1_000_000)
    path = stopped["url"].removeprefix(owner.api.base)
    assert (await owner.api.delete(path, headers={"Tus-Resumable": "1.0.0"})).status == 204
    again = await run(resume=True)
    assert again["outcome"] == "success", again
    assert again["url"] != stopped["url"]
    await check_asset(owner, org, file)
