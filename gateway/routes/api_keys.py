"""Routes of an organization's API keys."""

from __future__ import annotations

from bus.paging import Page
from contracts.auth.commands import CreateApiKey, RevokeApiKey, RotateApiKey
from contracts.auth.views import ApiKeyView, NewApiKeyView
from contracts.permissions import Permission
from gateway.table import Route, command, query
from handlers.auth.queries import get_api_key, list_api_keys

KEYS = "/v1/orgs/{org}/api-keys"
KEY = KEYS + "/{key_id}"

API_KEYS: list[Route] = [
    query(
        KEYS,
        list_api_keys,
        allow=Permission.APIKEY_READ,
        answers=Page[ApiKeyView],
    ),
    command(
        "POST",
        KEYS,
        CreateApiKey,
        allow=Permission.APIKEY_WRITE,
        answers=NewApiKeyView,
        location=KEYS + "/{id}",
    ),
    query(
        KEY,
        get_api_key,
        allow=Permission.APIKEY_READ,
        answers=ApiKeyView,
        revised=False,
    ),
    command(
        "POST",
        KEY + "/rotate",
        RotateApiKey,
        allow=Permission.APIKEY_WRITE,
        answers=NewApiKeyView,
    ),
    command("DELETE", KEY, RevokeApiKey, allow=Permission.APIKEY_WRITE),
]
