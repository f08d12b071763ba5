"""The lean direct service: what creating a brand costs without a bus.

One aiohttp handler: check the token, insert with write concern majority, publish once. The
same token, the same MongoDB and the same Redis (fsync before the reply) as Grid8's.
"""

from __future__ import annotations

import sys
from typing import Any

import uvloop
from aiohttp import web
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from contracts.types import new_id, now
from infra.settings import settings
from infra.tokens import KeyRing

configured = settings()
keys = KeyRing(configured.auth)


async def create(request: web.Request) -> web.Response:
    """POST /brands {"name"}."""
    claims = keys.verify(request.headers["Authorization"].removeprefix("Bearer "))
    body = await request.json()
    brand: dict[str, Any] = {"_id": new_id("brd"), "name": body["name"], "by": claims.user}
    await request.app["brands"].insert_one({**brand, "created_at": now()})
    await request.app["redis"].xadd("lean:events", {"type": "brand.created", "id": brand["_id"]})
    return web.json_response({"id": brand["_id"], "name": brand["name"]}, status=201)


async def make() -> web.Application:
    """The application, connected."""
    app = web.Application()
    mongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(configured.mongo.url, w="majority")
    app["brands"] = mongo["lean"]["brands"]
    app["redis"] = Redis.from_url(configured.redis.url, max_connections=512)
    app.router.add_post("/brands", create)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(make(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
