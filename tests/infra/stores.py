"""Object stores for the tests: a folder, or a bucket of the S3 at some address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aioboto3

from infra.breaker import Breakers
from infra.object_store import ObjectStore, open_store
from infra.settings import BreakerSettings, StoreSettings

BUCKET = "files"


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


@asynccontextmanager
async def opened_store(settings: StoreSettings) -> AsyncIterator[ObjectStore]:
    """The store, started; its breaker never opens."""
    breakers = Breakers(None, BreakerSettings(threshold=1000))
    await breakers.start()
    store = open_store(settings, breakers)
    await store.start()
    yield store
    await store.close()


def local_settings(folder: Path) -> StoreSettings:
    return StoreSettings(folder=folder)


def s3_settings(url: str, **more: Any) -> StoreSettings:
    return StoreSettings.model_validate(
        {
            "backend": "s3",
            "bucket": BUCKET,
            "endpoint_url": url,
            "access_key": "key",
            "secret_key": "secret",
            "timeout": 5.0,
            **more,
        }
    )


async def make_bucket(url: str) -> None:
    async with aioboto3.Session().client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    ) as client:
        await client.create_bucket(Bucket=BUCKET)
