"""Routes about the interface itself."""

from __future__ import annotations

from gateway.table import Access, Route, custom
from gateway.web import ProblemKindView, get_docs, get_openapi, get_problem_kind

PUBLIC = Access.PUBLIC


ABOUT: list[Route] = [
    custom("GET", "/openapi.json", get_openapi, allow=PUBLIC),
    custom("GET", "/docs", get_docs, allow=PUBLIC, produces="text/html"),
    custom("GET", "/problems/{code}", get_problem_kind, allow=PUBLIC, answers=ProblemKindView),
]
