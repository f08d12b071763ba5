"""MongoDB restarts, dies, stalls and changes its primary under a mixed load; one hot document."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bus.documents import EVENTS
from infra.embedded.running import RunningStack
from tests.faults.harness import Answer, Load, check_everything, fault_stack, stores_of, until
from tests.faults.replica_set import replica_set

AROUND = 60
"""Answers before a fault and after it."""
STALL = 10.0
STORM = 200


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    env = {"GRID8_MONGO__TIMEOUT": "3"}
    async with fault_stack(tmp_path_factory.mktemp("mongo"), env) as running:
        yield running


async def check(load: Load) -> None:
    """The rest of the load, and then everything."""
    await load.answered(AROUND)
    await check_everything(load)
    print(f"answers {load.seen}; ends {load.ends()}")
    assert load.ends()["done"] > len(load.records) / 3, load.ends()


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGTERM, id="restarted", marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, id="killed"),
    ],
)
async def test_mongodb_may_end_and_come_back_under_load(
    stack: RunningStack, number: signal.Signals
) -> None:
    async with Load(stack) as load:
        await load.answered(AROUND)
        await stack.hold("mongod", number)
        await load.met(503)
        await stack.release("mongod")
        await check(load)


@pytest.mark.slow
async def test_while_mongodb_stalls_callers_wait_and_nothing_is_lost(stack: RunningStack) -> None:
    async with Load(stack) as load:
        await load.answered(AROUND)
        stack.process("mongod").signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(STALL)
        finally:
            stack.process("mongod").signal(signal.SIGCONT)
        await check(load)


@pytest.mark.slow
async def test_another_primary_takes_over_when_one_steps_down_and_when_one_is_killed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with replica_set(tmp_path_factory.mktemp("set")) as members:
        folder = tmp_path_factory.mktemp("stepdown")
        async with (
            fault_stack(folder, {"GRID8_MONGO__URL": members.url}) as stack,
            Load(stack) as load,
        ):
            await load.answered(AROUND)
            second = await members.step_down()
            await load.answered(AROUND)
            members.kill(second)
            await members.primary()
            await load.answered(AROUND)
            members.start(second)
            await check(load)


async def test_a_storm_of_changes_to_one_document_answers_each_by_its_if_match(
    stack: RunningStack,
) -> None:
    async with Load(stack, callers=2, pace=0.2) as load:
        other = await load.owner.send("POST", "/v1/orgs", json={"name": "Storm"})
        path = f"/v1/orgs/{other.body['id']}/brands"
        await load.owner.send("POST", path, json={"name": "Taken"})
        made = await load.owner.send("POST", path, json={"name": "Hot"})
        hot = f"{path}/{made.body['id']}"

        async def change(index: int) -> tuple[str, Answer]:
            kind = ("free", "first", "stale", "taken")[index % 4]
            wanted = {"first": '"1"', "stale": '"999"'}.get(kind)
            answer = await load.owner.send(
                "PATCH",
                hot,
                json={"name": "Taken" if kind == "taken" else f"hot {index}"},
                headers={"If-Match": wanted} if wanted else {},
            )
            return kind, await followed(load, answer)

        answers = await asyncio.gather(*(change(index) for index in range(STORM)))
        ended = Counter((kind, answer.status, answer.code) for kind, answer in answers)
        each = STORM // 4
        won = ended["first", 200, ""]
        assert won <= 1, "two changes were made to revision 1"
        assert ended == Counter(
            {
                ("free", 200, ""): each,
                ("first", 200, ""): won,
                ("first", 412, "revision_mismatch"): each - won,
                ("stale", 412, "revision_mismatch"): each,
                ("taken", 409, "corp.brand_name_taken"): each,
            }
        ) - Counter({("first", 200, ""): 0}), ended
        revisions = sorted(a.body["revision"] for _, a in answers if a.status == 200)
        assert revisions == list(range(2, each + won + 2)), "a revision is missing or double"
        async with stores_of(stack) as stores:
            document = await stores.database["brands"].find_one({"_id": made.body["id"]})
            events = stores.database[EVENTS].find({"subject": made.body["id"]})
            counted = sorted([event["revision"] async for event in events])
        assert document is not None
        assert document["revision"] == each + won + 1
        assert counted == list(range(1, each + won + 2))
        await check_everything(load)


async def followed(load: Load, answer: Answer) -> Answer:
    """The answer, or what a 202 has become."""
    if answer.status != 202:
        return answer
    view: dict[str, Any] = {}

    async def over() -> Any:
        nonlocal view
        view = (await load.owner.send("GET", answer.body["status_url"])).body
        return view["status"] != "pending" or view

    await until(over, "a change comes to its end")
    if view["status"] == "succeeded":
        return Answer(200, view["result"])
    return Answer(view["problem"]["status"], view["problem"])
