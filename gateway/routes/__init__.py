"""THE table: every route, in one place, each with who may use it."""

from __future__ import annotations

from gateway.routes.about import ABOUT
from gateway.routes.account import ACCOUNT
from gateway.routes.admin import ADMIN
from gateway.routes.api_keys import API_KEYS
from gateway.routes.assets import ASSETS
from gateway.routes.brands import BRANDS
from gateway.routes.files import FILES
from gateway.routes.identity import IDENTITY
from gateway.routes.notifications import NOTIFICATIONS
from gateway.routes.presigned import PRESIGNED_UPLOADS
from gateway.routes.realtime import REALTIME
from gateway.routes.tenancy import TENANCY
from gateway.routes.uploads import UPLOADS
from gateway.routes.versions import VERSIONED
from gateway.table import Route

ROUTES: list[Route] = [
    *IDENTITY,
    *NOTIFICATIONS,
    *TENANCY,
    *BRANDS,
    *API_KEYS,
    *PRESIGNED_UPLOADS,
    *UPLOADS,
    *ASSETS,
    *VERSIONED,
    *FILES,
    *REALTIME,
    *ACCOUNT,
    *ADMIN,
    *ABOUT,
]
"""Order matters only where two paths overlap: the literal one comes first."""
