"""What can be told of servers and processes by asking them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from redis.asyncio import Redis

from infra.embedded import probes, state
from infra.embedded.layout import Layout
from infra.mailer import PORTS
from scripts.grid8.doctor.finding import Finding
from scripts.grid8.env import without_password

TRANSACTION_LIMIT = 6
"""Seconds; MongoDB takes half of it again to enforce it, and the feed waits for 10 (bus/feed/log.py)."""

_PATIENCE = 5.0
_DURABLE = {
    "appendonly": ("yes",),
    "appendfsync": ("always", "everysec"),
    "maxmemory-policy": ("noeviction",),
}


async def examine(layout: Layout) -> list[Finding]:
    """Everything about a stack that runs."""
    checks: list[Awaitable[Finding]] = [
        _mongo(layout),
        _redis(layout),
        _smtp(layout),
        _store(layout),
        _ready("gateway", f"http://{layout.gateway_host}:{layout.gateway_port}"),
        _ready("notifier", f"http://{layout.notifier_host}:{layout.notifier_port}"),
    ]
    for entry in filter(None, os.environ.get(state.OPS_PORTS, "").split(",")):
        name, _, port = entry.partition("=")
        checks.append(_ready(name, f"http://{layout.ops_host}:{port}"))
    return [*await asyncio.gather(*checks), await _streams(layout)]


async def examine_own_servers(layout: Layout) -> list[Finding]:
    """The servers that the user names by URL, which no stack has to run for."""
    checks: list[Awaitable[Finding]] = []
    if not layout.owns_mongo:
        checks.append(_mongo(layout))
    if not layout.owns_redis:
        checks.append(_redis(layout))
    if not layout.owns_smtp:
        checks.append(_smtp(layout))
    return list(await asyncio.gather(*checks))


async def _asked(
    what: str, url: str, remedy: str, question: Callable[[], Awaitable[Finding]]
) -> Finding:
    try:
        return await asyncio.wait_for(question(), _PATIENCE)
    except TimeoutError:
        reason = f"no answer within {_PATIENCE:g} s"
    except Exception as error:
        reason = str(error).partition(", Timeout:")[0] or type(error).__name__
    return Finding(what, "bad", f"{without_password(url)}: {without_password(reason)}", remedy)


async def _mongo(layout: Layout) -> Finding:
    async def question() -> Finding:
        async with AsyncMongoClient[dict[str, object]](
            layout.mongo_url, serverSelectionTimeoutMS=3000
        ) as client:
            hello = await client.admin.command("hello")
            version = (await client.admin.command("buildInfo"))["version"]
            limit = await _transaction_limit(client)
        if hello.get("msg") == "isdbgrid":
            return Finding("MongoDB", "ok", f"{version}, sharded cluster")
        if not hello.get("setName"):
            remedy = "start it with --replSet: transactions need a replica set"
            return Finding("MongoDB", "bad", f"{version}, no replica set", remedy)
        if not hello.get("isWritablePrimary"):
            detail = f"{version}, replica set {hello['setName']} without a reachable primary"
            return Finding("MongoDB", "bad", detail, "wait for, or force, an election")
        detail = f"{version}, replica set {hello['setName']}, primary"
        if limit is not None and limit > TRANSACTION_LIMIT:
            return Finding(
                "MongoDB",
                "off",
                f"{detail}, transactions may last {limit:g} s: what a killed worker had in hand "
                "waits as long, and the feed of events may leave out what commits later than 10 s",
                f"setParameter transactionLifetimeLimitSeconds: {TRANSACTION_LIMIT} or less",
            )
        return Finding("MongoDB", "ok", detail)

    return await _asked("MongoDB", layout.mongo_url, "check GRID8_MONGO__URL", question)


async def _transaction_limit(client: AsyncMongoClient[dict[str, object]]) -> float | None:
    """Seconds that a transaction may last; None where we may not ask."""
    name = "transactionLifetimeLimitSeconds"
    try:
        return float((await client.admin.command({"getParameter": 1, name: 1}))[name])
    except OperationFailure:
        return None


async def _redis(layout: Layout) -> Finding:
    async def question() -> Finding:
        async with Redis.from_url(layout.redis_url, decode_responses=True) as redis:
            server = await redis.info("server")
            version = server.get("valkey_version") or server.get("redis_version")
            found = {name: (await redis.config_get(name)).get(name, "?") for name in _DURABLE}
        detail = f"{version}, " + ", ".join(f"{name} {value}" for name, value in found.items())
        unsafe = [name for name, value in found.items() if value not in (*_DURABLE[name], "?")]
        if unsafe:
            remedy = "; ".join(f"CONFIG SET {name} {_DURABLE[name][0]}" for name in unsafe)
            return Finding("Redis", "bad", detail, f"accepted commands could be lost: {remedy}")
        return Finding("Redis", "ok", detail)

    return await _asked("Redis", layout.redis_url, "check GRID8_REDIS__URL", question)


async def _smtp(layout: Layout) -> Finding:
    async def question() -> Finding:
        url = urlsplit(layout.smtp_url)
        host, port = url.hostname or "127.0.0.1", url.port or PORTS[url.scheme]
        if url.scheme == "smtps":
            _, writer = await asyncio.open_connection(host, port, ssl=True)
            writer.close()
        elif not await probes.smtp_ready(host, port)():
            return Finding(
                "SMTP", "bad", f"{host}:{port} does not greet", "check GRID8_MAIL__SMTP_URL"
            )
        return Finding("SMTP", "ok", without_password(layout.smtp_url))

    return await _asked("SMTP", layout.smtp_url, "check GRID8_MAIL__SMTP_URL", question)


async def _store(layout: Layout) -> Finding:
    store = layout.settings.store
    if store.backend == "s3":
        where = f"s3 bucket {store.bucket} at {store.endpoint_url or 'Amazon'}"

        async def question() -> Finding:
            import aioboto3

            keys = (store.access_key, store.secret_key)
            access, secret = (key.get_secret_value() if key else None for key in keys)
            async with aioboto3.Session().client(
                "s3",
                endpoint_url=store.endpoint_url,
                region_name=store.region,
                aws_access_key_id=access,
                aws_secret_access_key=secret,
            ) as s3:
                await s3.head_bucket(Bucket=store.bucket)
            return Finding("object store", "ok", where)

        return await _asked("object store", where, "check GRID8_STORE__… and the bucket", question)
    folder = store.folder.absolute()
    if folder.is_dir() and not os.access(folder, os.W_OK):
        return Finding(
            "object store", "bad", f"{folder} cannot be written", f"chown or chmod {folder}"
        )
    return Finding("object store", "ok", f"local, {folder}")


async def _ready(name: str, url: str) -> Finding:
    async def question() -> Finding:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/ready") as answer:
            if answer.status == 200:
                return Finding(name, "ok", f"{url}/ready")
            said = (await answer.text())[:300].replace("\n", " ")
            detail = f"{url}/ready answers {answer.status} {said}"
            return Finding(name, "bad", detail, f"see logs/{name}.log in the data folder")

    return await _asked(name, url, f"see logs/{name}.log in the data folder", question)


async def _streams(layout: Layout) -> Finding:
    async def question() -> Finding:
        streams = groups = lag = pending = 0
        async with Redis.from_url(layout.redis_url, decode_responses=True) as redis:
            async for key in redis.scan_iter(match="grid8:*", count=1000, _type="stream"):
                streams += 1
                for group in await redis.xinfo_groups(key):
                    groups += 1
                    lag += group.get("lag") or 0
                    pending += group["pending"]
        if not groups:
            remedy = ".venv/bin/python -m handlers prepare creates them"
            return Finding("streams", "bad", f"{streams} streams without a group", remedy)
        detail = f"{streams} streams, {groups} groups, {lag} not read, {pending} in hand"
        return Finding("streams", "ok", detail)

    return await _asked("streams", layout.redis_url, "check GRID8_REDIS__URL", question)
