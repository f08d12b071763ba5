"""Counting mails: what was asked for, what is on record, and what the sink has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from typing import Any

from bus.documents import EVENTS, INBOX
from infra.embedded.running import RunningStack
from tests.faults.harness.stack import Stores
from tests.faults.harness.waiting import until

ENDS = ("mail.message.sent", "mail.message.failed")


@dataclass(frozen=True, slots=True)
class KeptMail:
    """A mail in the sink, by the id that is in its Message-ID."""

    id: str
    to: str


def kept(stack: RunningStack) -> list[KeptMail]:
    """Every mail that the sink of a stack has taken; none where it has no sink."""
    found = []
    for path in stack.mails.glob("*.eml"):
        message = message_from_bytes(path.read_bytes(), policy=default)
        id = str(message["Message-ID"]).strip("<>").partition("@")[0]
        found.append(KeptMail(id, str(message["Delivered-To"])))
    return found


async def check_mails(stack: RunningStack, stores: Stores, *, exact: bool) -> None:
    """Each mail on record has one end, which was told once, and is in the sink if it was sent.

    ``exact``: in the sink once. Else a worker was killed, perhaps between the server's answer
    and its note of it: then twice, with one Message-ID. Waits until every mail has its end.
    """
    mails = stores.database["mails"]

    async def none_queued() -> Any:
        left = await mails.count_documents({"status": "queued"})
        return left == 0 or left

    await until(none_queued, "every mail is sent or given up")
    everything = [each async for each in mails.find()]
    status = {each["_id"]: each["status"] for each in everything}
    reasons = Counter((each["cause"], each["to"], each["template"]) for each in everything)
    assert set(reasons.values()) <= {1}, reasons.most_common(3)
    told = Counter(
        [
            (each["data"]["mail_id"], each["type"].rpartition(".")[2])
            async for each in stores.database[EVENTS].find({"type": {"$in": ENDS}})
        ]
    )
    assert told == Counter(status.items())
    assert await mails.count_documents({"token": {"$ne": None}}) == 0
    handled = await stores.database[INBOX].count_documents({"_id": {"$regex": "^mail:"}})
    assert handled >= 2 * len(status), "each mail was asked for, and delivered"
    if not stack.layout.owns_smtp:
        return
    there = Counter(each.id for each in kept(stack))
    assert set(there) == {id for id, end in status.items() if end == "sent"}
    if exact:
        assert {id: count for id, count in there.items() if count != 1} == {}
