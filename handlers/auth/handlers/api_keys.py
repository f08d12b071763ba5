"""API keys: one function per command."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.auth.commands import CreateApiKey, RevokeApiKey, RotateApiKey
from contracts.auth.errors import KeyNotFound, TooManyKeys
from contracts.auth.events import ApiKeyCreated, ApiKeyRevoked, ApiKeyRotated
from contracts.auth.views import NewApiKeyView
from contracts.permissions import Permission
from contracts.sealed import Sealed
from contracts.types import now
from handlers.auth.documents import ApiKey
from handlers.auth.queries import key_view
from handlers.auth.rules.api_keys import KEYS_LIMIT, check_expiry, check_scopes, check_unexpired
from infra.api_keys import new_key
from infra.random_tokens import digest_of


async def create_api_key(command: CreateApiKey, uow: UnitOfWork) -> NewApiKeyView:
    scopes = sorted(set(command.scopes))
    check_scopes(scopes)
    check_expiry(command.expires_at, now())
    _require(scopes, uow)
    if await ApiKey.find({"organization_id": uow.org}).count() >= KEYS_LIMIT:
        raise TooManyKeys(f"An organization has at most {KEYS_LIMIT} API keys.")
    id = uow.new_id("key")
    text = new_key(id)
    key = ApiKey(
        id=id,
        organization_id=uow.org,
        name=command.name,
        scopes=scopes,
        created_by=uow.actor.user,
        digest=digest_of(text),
        expires_at=command.expires_at,
    )
    uow.add(key)
    uow.emit(
        ApiKeyCreated(
            key_id=key.id, name=key.name, scopes=tuple(scopes), expires_at=key.expires_at
        ),
        key,
    )
    return _shown(key, text)


async def rotate_api_key(command: RotateApiKey, uow: UnitOfWork) -> NewApiKeyView:
    key = await _load(command.key_id, uow)
    check_revision(key, command.if_revision)
    # Whoever rotates a key holds it then, so it may not be able to do more than they may.
    _require(key.scopes, uow)
    # A new secret of a key whose time is over would be refused like the old one.
    check_unexpired(key.expires_at, now())
    text = new_key(key.id)
    key.previous_digest, key.digest = key.digest, digest_of(text)
    key.previous_until = now() + timedelta(seconds=command.grace)
    uow.save(key)
    uow.emit(ApiKeyRotated(key_id=key.id, previous_valid_until=key.previous_until), key)
    return _shown(key, text)


async def revoke_api_key(command: RevokeApiKey, uow: UnitOfWork) -> None:
    key = await _load(command.key_id, uow)
    check_revision(key, command.if_revision)
    uow.remove(key)
    uow.emit(ApiKeyRevoked(key_id=key.id), key)


async def _load(id: str, uow: UnitOfWork) -> ApiKey:
    key = await ApiKey.find_one({"_id": id, "organization_id": uow.org})
    if key is None:
        raise KeyNotFound()
    return key


def _require(scopes: Iterable[Permission], uow: UnitOfWork) -> None:
    actor = uow.actor
    for scope in scopes:
        actor.require(scope)


def _shown(key: ApiKey, text: str) -> NewApiKeyView:
    return NewApiKeyView(**key_view(key).model_dump(), key=Sealed(text))
