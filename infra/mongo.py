"""The MongoDB client."""

from __future__ import annotations

from typing import Any

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from infra.settings import MongoSettings

Client = AsyncMongoClient[dict[str, Any]]


def connect(settings: MongoSettings) -> tuple[Client, AsyncDatabase[dict[str, Any]]]:
    """A client and its database: majority writes, times in UTC."""
    client: Client = AsyncMongoClient(
        settings.url,
        w="majority",
        readConcernLevel="majority",
        serverSelectionTimeoutMS=int(settings.timeout * 1000),
        connectTimeoutMS=int(settings.timeout * 1000),
        maxPoolSize=100,
        tz_aware=True,
        appname="grid8",
    )
    options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
    return client, client.get_database(settings.database, codec_options=options)
