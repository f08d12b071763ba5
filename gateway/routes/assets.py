"""Routes of the library of assets."""

from __future__ import annotations

from bus.paging import Page
from contracts.asset.commands import DeleteAsset, UpdateAsset
from contracts.asset.views import AssetView
from contracts.permissions import Permission
from gateway.table import Route, command, query
from handlers.asset.queries import get_asset, list_assets
from handlers.corp.queries import get_open_project

ORG = "/v1/orgs/{org}"
ASSET = ORG + "/assets/{asset}"

ASSETS: list[Route] = [
    query(ORG + "/assets", list_assets, allow=Permission.ASSET_READ, answers=Page[AssetView]),
    query(ASSET, get_asset, allow=Permission.ASSET_READ, answers=AssetView, revised=False),
    command(
        "PATCH",
        ASSET,
        UpdateAsset,
        allow=Permission.ASSET_WRITE,
        answers=AssetView,
        references={"project_id": get_open_project},
    ),
    command("DELETE", ASSET, DeleteAsset, allow=Permission.ASSET_DELETE),
]
