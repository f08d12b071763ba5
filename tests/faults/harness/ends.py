"""How a command ended, told from its answers, and followed where they do not tell."""

from __future__ import annotations

from typing import Any

from tests.faults.harness.caller import UNSENT, Answer, Caller
from tests.faults.harness.mix import REFUSALS, Record
from tests.faults.harness.waiting import until


def judge(record: Record, *, forgetful: bool) -> None:
    """Note how it ended, as far as its last answer tells. Fails for an answer it must not get."""
    answer = record.answers[-1]
    if all(each.status == UNSENT for each in record.answers):
        record.end = "unsent"
    elif answer.unknown or _waits(answer):
        record.end = "unknown"
    elif answer.status in (200, 201, 202):
        record.end, record.result = "done", answer.body
    else:
        _refused(record, answer.code, answer, forgetful=forgetful)


async def follow(record: Record, caller: Caller, *, forgetful: bool) -> None:
    """A 202 is a promise: see what came of it."""
    last = record.answers[-1]
    if not _waits(last):
        return
    view: Any = {}

    async def over() -> Any:
        nonlocal view
        answer = await caller.send("GET", last.body["status_url"])
        assert answer.status == 200 or answer.unknown, (record, answer)
        view = answer.body
        return (answer.status == 200 and view["status"] != "pending") or answer

    await until(over, f"{record.mark} comes to an end")
    if view["status"] == "succeeded":
        record.end, record.result = "done", view["result"]
    else:
        _refused(record, view["problem"]["code"], view, forgetful=forgetful)


async def replay(record: Record, caller: Caller) -> None:
    """The same key and body again get the first answer again."""
    again = await caller.send(**record.request)
    wanted = record.first
    assert (again.status, _same(again)) == (wanted.status, _same(wanted)), (record, again)


def _refused(record: Record, code: str, why: Any, *, forgetful: bool) -> None:
    if code == "command_lost" and forgetful:
        record.end = "lost"
    else:
        assert code in REFUSALS.get(record.kind, ()), (record.kind, record.mark, why)
        record.end = "refused"


def _waits(answer: Answer) -> bool:
    return answer.status == 202 and "status_url" in answer.body


def _same(answer: Answer) -> Any:
    """What must be the same in the answer to a repeated request."""
    if not isinstance(answer.body, dict):
        return answer.body
    return {name: value for name, value in answer.body.items() if name != "request_id"}
