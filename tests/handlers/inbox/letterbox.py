"""The inbox's desk, with organizations and people that corp and auth have stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bus import streams
from bus.broker import FIELD, decode, encode
from bus.delivery import Delivery, Entry
from bus.documents import EVENTS
from bus.handling import Handling, Policy
from bus.logged import event_document, logged_event
from bus.paging import Page
from bus.replay.lane import Again, ReplayHandling
from bus.replay.run import waves
from contracts.actor import Actor
from contracts.envelope import Envelope
from contracts.inbox.views import NotificationView, UnreadView
from contracts.mail.commands import SendMail
from contracts.permissions import Role
from contracts.sealed import OPEN
from contracts.types import new_id, now
from handlers.auth.documents import User
from handlers.corp.documents import Membership, Organization
from handlers.inbox.clocks import clocks_of
from handlers.inbox.documents import DOCUMENTS, Inbox, Notification
from handlers.inbox.queries import NotificationCursor, get_unread_notifications, list_notifications
from handlers.inbox.worker import REBUILDS
from infra.settings import InboxSettings
from tests.bus.desk import Desk

LINKS = "https://grid8.example"
SETTINGS = InboxSettings(kept=10, instant_mails=2)
ORG, OTHER = "org_acme", "org_other"
OLGA, ADAM, ED, VERA = "usr_olga", "usr_adam", "usr_ed", "usr_vera"
STRANGER = "usr_stranger"
"""Of the other organization alone."""
_POLICY = Policy(max_deliveries=3, backoff_base=0.01, claim_after=1.0, timeout=20.0)


@dataclass
class Letterbox(Desk):
    """A desk that knows what arrives for whom."""

    async def furnish(self) -> None:
        since = now() - timedelta(days=30)
        for org, name in ((ORG, "Acme"), (OTHER, "Other")):
            await Organization(id=org, name=name, slug=name.lower()).insert()
        for user, role in (
            (OLGA, Role.OWNER), (ADAM, Role.ADMIN), (ED, Role.EDITOR), (VERA, Role.VIEWER),
        ):  # fmt: skip
            await self.join(user, ORG, role, since)
        await self.join(STRANGER, OTHER, Role.OWNER, since)

    async def join(self, user: str, org: str, role: Role, since: Any) -> None:
        name = user.removeprefix("usr_").title()
        email = f"{name.lower()}@example.org"
        await Membership(
            id=f"{org}:{user}", organization_id=org, user_id=user, email=email, name=name,
            role=role, created_at=since,
        ).insert()  # fmt: skip
        if await User.get(user) is None:
            made = User(id=user, email=email, name=name, password_hash="x", verified=True)
            await made.insert()

    async def tell(self, *events: Envelope) -> None:
        """Let events of other domains arrive, and carry out all that follows."""
        await asyncio.gather(*(self.hear(each) for each in events))
        await self.run_sent()

    async def hear(self, event: Envelope) -> None:
        logged = event_document(event)
        await self.database[EVENTS].replace_one({"_id": event.id}, logged, upsert=True)
        await self._handle(event, streams.events(event.type.partition(".")[0]))

    async def of(self, user: str, **filters: Any) -> list[NotificationView]:
        return list((await self.page(user, **filters)).items)

    async def page(self, user: str, *, limit: int = 50, **filters: Any) -> Page[NotificationView]:
        cursor = NotificationCursor(limit=limit, cursor=filters.pop("cursor", None))
        return await list_notifications(Actor(user=user), cursor, **filters)

    async def unread(self, user: str) -> UnreadView:
        """The number that is kept, which must be the number that there are."""
        view = await get_unread_notifications(Actor(user=user))
        there = {"user_id": user, "shown": True, "read_at": None}
        assert view.count == await Notification.find(there).count()
        inbox = await Inbox.get(user)
        kept = await Notification.find({"user_id": user}).count()
        assert kept == (inbox.kept if inbox is not None else 0)
        return view

    async def told(self, user: str) -> list[dict[str, Any]]:
        """The inbox's own events that a user is shown, by revision."""
        wanted = {"type": {"$regex": r"^inbox\."}, "data.user_id": user}
        return await self.database[EVENTS].find(wanted).sort("revision").to_list()

    async def mails(self) -> list[SendMail]:
        """What mail was asked to send; takes it."""
        stream, found = streams.commands("mail"), []
        for id, fields in await self.redis.xrange(stream):
            sent = Envelope.model_validate_json(decode(fields))
            found.append(SendMail.model_validate(sent.data, context=OPEN))
            await self.redis.xdel(stream, id)
        return found

    async def ring(self, name: str) -> list[str]:
        """What a clock finds due now, carried out."""
        (clock,) = (each for each in clocks_of(SETTINGS) if each.name == name)
        due = await clock.due()
        for command in due:
            await self.do(command)
        return [type(each).__name__ for each in due]

    async def forget(self) -> None:
        """Drop all that the inbox stores."""
        for document in DOCUMENTS:
            await document.get_pymongo_collection().delete_many({})

    async def replay(
        self, *, effects: bool = False, backwards: bool = False, only: Sequence[str] = ()
    ) -> str:
        """Feed the log to the inbox as ``grid8 replay --group inbox`` does, wave by wave."""
        why = Again(new_id("rpl"), effects=effects)
        table = {**self.handling.table, **REBUILDS}
        lane = ReplayHandling(
            "inbox", table, committer=self.committer, publisher=self.publisher,
            database=self.database,
        )  # fmt: skip
        logged = [logged_event(each) async for each in self.database[EVENTS].find().sort("time", 1)]
        wires = {contract.wire for contract in table}
        chosen = [
            each
            for each in logged
            if (each.type in wires or each.type.startswith("custom."))
            and (not only or each.type in only)
        ]
        ordered = waves(chosen)
        for wave in reversed(ordered) if backwards else ordered:
            await asyncio.gather(*(self._again(each, lane, why) for each in wave))
        return why.replay

    async def _again(self, event: Envelope, lane: Handling, why: Again) -> None:
        stream = streams.replay("inbox")
        delivery = Delivery(self.redis, self.publisher.pipeline, stream, "inbox", "desk", 1.0)
        value = encode(event.wire(), id=event.id, correlation=None)
        names = why.fields()
        more = {k.encode(): v.encode() for k, v in zip(names[::2], names[1::2], strict=True)}
        key = f"inbox:replay:{why.replay}:{event.id}"
        for attempt in range(50):
            entry = Entry(f"1-{attempt}", {FIELD.encode(): value, **more}, 1, again=attempt > 0)
            await lane.handle(entry, delivery, _POLICY)
            if await self.database["inbox"].find_one(key):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{event.type} was not handled")


def custom(
    data: dict[str, Any], *, org: str = ORG, type: str = "custom.comment.added", **more: Any
) -> Envelope:
    """What a producer has sent, as it is logged."""
    given = {"id": new_id("evt"), "source": "/notes", "time": now(), "org": org, **more}
    return Envelope(type=type, data=data, **given)


def happened(
    event: Any, *, org: str | None = ORG, actor: str | None = None, **more: Any
) -> Envelope:
    """What another domain tells, as it is logged."""
    cause = Envelope(
        id=new_id("cmd"), source="/grid8/tests", type="tests.thing.do", time=now(), data={},
        org=org, actor=actor,
    )  # fmt: skip
    made = cause.caused_event(event, salt="x", revision=1, org=org)
    return made.model_copy(update=more)
