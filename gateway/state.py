"""What the gateway's routes share, made once at start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from bus.accepted import Accepted
from bus.committer import Committer
from bus.replies import Replies
from gateway.auth import Authenticator
from gateway.idempotency import KEPT, Idempotency
from gateway.rates import Rates
from gateway.senders import Senders
from gateway.serving.pictures import Pictures
from gateway.uploading.quota import Quota
from gateway.uploading.resumable import Resumables
from handlers.asset.queries import use_signer
from handlers.auth.queries import use_uses
from handlers.domain import Context
from handlers.runtime import DOMAINS, connected, init_documents
from infra.api_keys import KeyUses
from infra.object_store import ObjectStore, open_store
from infra.quota_ledger import Ledger
from infra.secrets import file_signer, fingerprint_key, open_sessions, sender_keys
from infra.sessions import SessionStore
from infra.settings import Settings
from infra.signing import FileSigner
from infra.tickets import TicketStore
from infra.tokens import KeyRing


@dataclass(frozen=True, slots=True)
class Gateway:
    """Connections and services of one gateway process."""

    settings: Settings
    context: Context
    replies: Replies
    accepted: Accepted
    senders: Senders
    keys: KeyRing
    sessions: SessionStore
    auth: Authenticator
    rates: Rates
    idempotency: Idempotency
    store: ObjectStore
    resumables: Resumables
    signer: FileSigner
    quota: Quota
    pictures: Pictures
    tickets: TicketStore
    committer: Committer
    """Of events that producers send: commands are carried out by workers alone."""


GATEWAY = web.AppKey("gateway", Gateway)


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Connect; raises when Redis cannot be subscribed to or a key is missing."""
    keys = KeyRing(settings.auth)
    async with connected(settings, "gateway") as context:
        await init_documents(context.database, DOMAINS)
        sessions = open_sessions(context.redis, settings)
        replies = Replies(context.redis)
        committer = Committer(
            context.database.client, context.database, limit=settings.worker.flush_limit
        )
        rates = Rates(settings.redis.url, settings.limits)
        store = open_store(settings.store, context.breakers, free_disk=settings.assets.free_disk)
        use_signer(file_signer(settings))
        uses = KeyUses(context.redis)
        use_uses(uses)
        await replies.start()
        await store.start()
        quota = Quota(
            Ledger(
                context.redis,
                context.publisher.pipeline.execute,
                context.publisher.pipeline.execute_later,
            ),
            settings.uploads.quota,
        )
        try:
            yield Gateway(
                settings=settings,
                context=context,
                replies=replies,
                accepted=Accepted(context.publisher, context.database, kept=KEPT),
                senders=Senders(sender_keys(settings)),
                keys=keys,
                sessions=sessions,
                auth=Authenticator(keys, sessions, uses, believe=settings.auth.session_cache),
                rates=rates,
                idempotency=Idempotency(
                    context.redis,
                    fingerprint_key(settings),
                    patience=settings.gateway.reply_timeout + 2,
                ),
                store=store,
                resumables=Resumables(store, context.redis, settings),
                signer=file_signer(settings),
                quota=quota,
                pictures=Pictures(
                    store,
                    context.publisher,
                    replies,
                    pause=settings.files.transform_pause,
                    wait=settings.gateway.reply_timeout,
                ),
                tickets=TicketStore(context.redis, settings.notifier.ticket_ttl),
                committer=committer,
            )
        finally:
            await quota.close()
            await rates.close()
            await uses.close()
            await committer.close()
            await store.close()
            await replies.close()
