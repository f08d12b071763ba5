"""The signing key is rotated while requests run: nobody is refused."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from gateway_client import Api, new_person, sign_in
from gateway_stack import eventually
from jose import jwt

from infra.embedded.layout import ROOT
from infra.embedded.running import RunningStack


def grid8(stack: RunningStack, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.grid8", "keys", *arguments],
        cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


async def test_a_rotation_refuses_nobody(api: Api, stack: RunningStack) -> None:
    person = await new_person(api, "Rotation")
    second = Api(api._http, stack.process("gateway-small").process.shown)
    (before,) = json.loads(grid8(stack, "list", "--json"))
    assert before["state"] == "signs"
    done, statuses, kids = asyncio.Event(), [], []

    async def use() -> None:
        """Sign in again and again, and use each new token on both gateways at once."""
        while not done.is_set():
            signed = await sign_in(api, person.email)
            assert signed.status == 201, str(signed)
            token = signed.json["access_token"]
            kids.append(jwt.get_unverified_header(token)["kid"])
            answers = await asyncio.gather(
                *(each.get("/v1/me") for each in (api.as_(token), second.as_(token), person.api))
            )
            statuses.extend(each.status for each in answers)

    users = [asyncio.create_task(use()) for _ in range(3)]
    try:
        kid = (await asyncio.to_thread(grid8, stack, "rotate")).split()[0]

        async def several() -> bool:
            return kids.count(kid) > 20

        await eventually(several, within=30)
    finally:
        done.set()
        await asyncio.gather(*users)
    assert set(statuses) == {200}
    assert set(kids) == {before["kid"], kid}
    published = await api.get("/.well-known/jwks.json")
    assert {key["kid"] for key in published.json["keys"]} == {before["kid"], kid}
    assert published.headers["Cache-Control"] == "public, max-age=3"
    states = {row["kid"]: row["state"] for row in json.loads(grid8(stack, "list", "--json"))}
    assert states[kid] == "signs"
    assert states[before["kid"]].startswith("verifies until ")
    assert grid8(stack, "prune", "--yes") == "There is nothing to remove.\n"
    await back_to(before["kid"], kid, api, stack, person.email)


async def back_to(old: str, new: str, api: Api, stack: RunningStack, email: str) -> None:
    """Leave the stack as it was for the tests that come."""
    (Path(stack.env["GRID8_AUTH__KEYS_FOLDER"]) / f"{new}.pem").unlink()

    async def signs_with() -> str:
        token = (await sign_in(api, email)).json["access_token"]
        kid: str = jwt.get_unverified_header(token)["kid"]
        return kid

    await eventually(signs_with, lambda kid: kid == old)
    for each in (api, Api(api._http, stack.process("gateway-small").process.shown)):
        await eventually(
            lambda each=each: each.get("/.well-known/jwks.json"),  # type: ignore[misc]
            lambda answer: [key["kid"] for key in answer.json["keys"]] == [old],
        )
