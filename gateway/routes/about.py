"""Routes about the interface itself."""

from __future__ import annotations

from gateway.table import Access, Route, custom
from gateway.web.docs import get_docs
from gateway.web.documents import (
    ProblemKindsView,
    ProblemKindView,
    get_index,
    get_openapi,
    get_problem_kind,
    get_problem_kinds,
)
from gateway.web.served import SERVED, served_route

PUBLIC = Access.PUBLIC


ABOUT: list[Route] = [
    custom("GET", "/", get_index, allow=PUBLIC, produces="text/html"),
    custom("GET", "/openapi.json", get_openapi, allow=PUBLIC),
    custom("GET", "/docs", get_docs, allow=PUBLIC, produces="text/html"),
    custom("GET", "/problems", get_problem_kinds, allow=PUBLIC, answers=ProblemKindsView),
    custom("GET", "/problems/{code}", get_problem_kind, allow=PUBLIC, answers=ProblemKindView),
    *map(served_route, SERVED),
]
