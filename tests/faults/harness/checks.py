"""What must hold after a fault, whatever it was."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bus.documents import EVENTS
from tests.faults.harness.load import Load
from tests.faults.harness.mails import check_mails
from tests.faults.harness.mix import TRACES, Record
from tests.faults.harness.quiet import check_quiet
from tests.faults.harness.stack import Stores, stores_of
from tests.faults.harness.waiting import until

HOMES = {
    "corp.brand": "brands",
    "corp.organization": "organizations",
    "corp.member": "memberships",
    "auth.user": "users",
    "asset.asset": "assets",
}
"""The collection of the document that an event's subject is, by what stands before the verb."""

NOT_OF_INBOXES = {"$not": {"$regex": r"^inbox\."}}
"""Types of events: several of an inbox may be about one change of it, and only its owner sees them."""


async def check_everything(
    load: Load, *, dead: dict[str, int] | None = None, seconds: float = 60.0
) -> None:
    """Everything that was answered is true, and nothing happened twice.

    Waits until it is quiet, at most for so many ``seconds``. ``dead`` is how many dead
    letters there must be, by domain.
    """
    await load.finish()
    async with stores_of(load.stack) as stores:
        await check_quiet(stores, dead=dead, seconds=seconds)
        await _until_processed(stores)
        found = await _found(stores, load.org)
        for record in load.records:
            _check_record(record, found, load)
        _check_nothing_else(load, found)
        await _check_replies(load, stores)
        await check_revisions(stores)
        await check_inboxes(stores)
        await check_mails(load.stack, stores, exact=not load.mail_killed())
        await check_shown(load, stores)


async def _until_processed(stores: Stores) -> None:
    """The reaction to a registration, and the processing of an asset, come to their ends."""

    async def over() -> Any:
        users = {each["_id"] async for each in stores.database["users"].find({}, {"_id": 1})}
        people = {each["_id"] async for each in stores.database["corp_people"].find({}, {"_id": 1})}
        processing = await stores.database["assets"].count_documents({"status": "processing"})
        return (users == people and not processing) or (users ^ people, processing)

    await until(over, "corp knows every user, and every asset is processed")


async def _found(stores: Stores, org: str) -> dict[str, Counter[str]]:
    """The marks that are found in each place."""
    database = stores.database
    found: dict[str, Counter[str]] = {
        place: Counter() for places in TRACES.values() for place in places
    }
    emails = {each["_id"]: each["email"] async for each in database["users"].find()}
    for place, field in (("users", "email"), ("corp_people", "email")):
        found[place] = Counter([each[field] async for each in database[place].find()])
    verify = {"template": "verify_address"}
    found["mails"] = Counter([each["to"] async for each in database["mails"].find(verify)])
    for place, field in (("brands", "name"), ("memberships", "email"), ("assets", "name")):
        query = {"organization_id": org}
        found[place] = Counter([each[field] async for each in database[place].find(query)])
    async for event in database[EVENTS].find({"org": {"$in": [org, None]}}):
        if event["type"] in found:
            data = event["data"]
            mark = data.get("name") if event["type"] != "auth.user.registered" else data["email"]
            found[event["type"]][mark or emails[data["user_id"]]] += 1
    return found


def _check_record(record: Record, found: dict[str, Counter[str]], load: Load) -> None:
    """It left its mark once in each place, or in none."""
    counts = {place: found[place][record.mark] for place in record.traces}
    # A shared brand bears the name of the last of its updates only.
    wanted = {"done": {1}, "unknown": {0, 1}}.get(record.end, {0})
    assert len(set(counts.values())) <= 1, (record, counts)
    assert set(counts.values()) <= wanted, (record, counts)


def _check_nothing_else(load: Load, found: dict[str, Counter[str]]) -> None:
    """There is nothing that nobody asked for."""
    asked: dict[str, set[str]] = {place: set() for place in found}
    for record in load.records:
        for place in record.traces:
            asked[place].add(record.mark)
    own = {"Taken", "Shared", load.owner.credentials["email"]}
    shared = asked["corp.brand.updated"]
    for place in ("brands", "corp.brand.created", "corp.brand.updated", "assets", "memberships"):
        others = set(found[place]) - asked[place] - own - (shared if place == "brands" else set())
        assert not others, (place, others)
    assert found["corp.brand.created"]["Taken"] == found["brands"]["Taken"] == 1


async def _check_replies(load: Load, stores: Stores) -> None:
    """Each answer speaks of the very document, in the state that its command left it in."""
    events = {
        (each["type"], each["data"].get("name")): each
        async for each in stores.database[EVENTS].find({"org": load.org})
    }
    for record in load.records:
        if record.end != "done" or record.kind.startswith(("person", "member")):
            continue
        event = events[record.traces[-1 if record.kind.startswith("update") else 1], record.mark]
        reply = record.result
        assert reply["id"] == event["subject"], (record, event)
        assert reply["name"] == record.mark, record
        assert reply["revision"] == event["revision"], (record, event)


async def check_revisions(stores: Stores) -> None:
    """Events of one aggregate count its revisions from 1, each once, up to the stored one."""
    revisions: dict[tuple[str, str], list[int]] = {}
    async for event in stores.database[EVENTS].find(
        {"revision": {"$exists": True}, "type": NOT_OF_INBOXES}
    ):
        noun = event["type"].rpartition(".")[0]
        subject = event["subject"]
        if noun == "corp.member":
            subject = f"{event['org']}:{subject}"
        revisions.setdefault((noun, subject), []).append(event["revision"])
    stored: dict[str, dict[str, int]] = {}
    for noun, collection in HOMES.items():
        documents = stores.database[collection].find({}, {"revision": 1})
        stored[noun] = {each["_id"]: each["revision"] async for each in documents}
    for (noun, subject), counted in revisions.items():
        assert sorted(counted) == list(range(1, len(counted) + 1)), (noun, subject, counted)
        revision = stored[noun].get(subject)
        assert revision in (None, len(counted)), (noun, subject, revision, counted)


async def check_inboxes(stores: Stores) -> None:
    """What has arrived is in its inbox once, and the number of unread ones is that."""
    notifications, arrivals = (
        stores.database["notifications"],
        stores.database["notification_arrivals"],
    )
    placed = 0
    async for inbox in stores.database["inboxes"].find():
        theirs = await notifications.find({"user_id": inbox["_id"]}).to_list()
        unread = [each for each in theirs if each["shown"] and not each.get("read_at")]
        assert sum(inbox["unread"].values()) == len(unread), inbox
        assert inbox["kept"] == len(theirs), inbox
        told = (
            await stores.database[EVENTS]
            .find({"type": {"$regex": r"^inbox\.notif"}, "subject": inbox["_id"]})
            .sort("revision", -1)
            .to_list(1)
        )
        assert told[0]["revision"] <= inbox["revision"], (told, inbox)
        assert told[0]["data"]["unread"] == len(unread), (told, inbox)
        placed += sum(each["size"] for each in theirs)
    # Whose notifications were removed, as of a membership that ended, has arrivals all the same.
    assert placed <= await arrivals.count_documents({"placed": True})


async def check_shown(load: Load, stores: Stores) -> None:
    """Every socket was shown every event of the organization once, and was never reset."""
    owner = await stores.database["users"].find_one({"email": load.owner.credentials["email"]})
    assert owner is not None
    # What made the organization ready may have been shown before anybody subscribed.
    early = {"corp.organization.created", "Taken", "Shared", owner["_id"]}
    wanted = {
        each["_id"]
        async for each in stores.database[EVENTS].find({"org": load.org, "type": NOT_OF_INBOXES})
        if not early & {each["type"], each["data"].get("name"), each["data"].get("user_id")}
    }
    assert wanted

    async def all_shown() -> Any:
        missing = [len(wanted - set(each.seen)) for each in load.watchers]
        return not any(missing) or f"missing {missing} of {len(wanted)}"

    await until(all_shown, "every socket is shown every event")
    for watcher in load.watchers:
        twice = {id: count for id, count in watcher.seen.items() if count > 1}
        assert not twice, f"shown twice: {twice}"
        assert load.forgetful or watcher.resets == 0, f"{watcher.resets} resets"
