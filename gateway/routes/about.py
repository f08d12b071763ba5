"""Routes about the interface itself."""

from __future__ import annotations

from gateway.table import Access, Route, custom
from gateway.web import (
    ProblemKindsView,
    ProblemKindView,
    get_docs,
    get_index,
    get_openapi,
    get_problem_kind,
    get_problem_kinds,
)

PUBLIC = Access.PUBLIC


ABOUT: list[Route] = [
    custom("GET", "/", get_index, allow=PUBLIC, produces="text/html"),
    custom("GET", "/openapi.json", get_openapi, allow=PUBLIC),
    custom("GET", "/docs", get_docs, allow=PUBLIC, produces="text/html"),
    custom("GET", "/problems", get_problem_kinds, allow=PUBLIC, answers=ProblemKindsView),
    custom("GET", "/problems/{code}", get_problem_kind, allow=PUBLIC, answers=ProblemKindView),
]
