"""THE table: every route, in one place, each with who may use it."""

from __future__ import annotations

from gateway.routes.about import ABOUT
from gateway.routes.account import ACCOUNT
from gateway.routes.assets import ASSETS
from gateway.routes.brands import BRANDS
from gateway.routes.identity import IDENTITY
from gateway.routes.realtime import REALTIME
from gateway.routes.tenancy import TENANCY
from gateway.table import Route

ROUTES: list[Route] = [
    *IDENTITY,
    *TENANCY,
    *BRANDS,
    *ASSETS,
    *REALTIME,
    *ACCOUNT,
    *ABOUT,
]
"""Order matters only where two paths overlap: the literal one comes first."""
