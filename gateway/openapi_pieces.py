"""The headings of the OpenAPI document."""

from __future__ import annotations


def tag_of(path: str) -> str:
    """The heading of a path: what it is about, in one word."""
    if path.startswith("/v1/orgs/{org}/"):
        return path.split("/")[4]
    if path.startswith("/v1/"):
        return {"orgs": "organizations", "me": "auth"}.get(path.split("/")[2], path.split("/")[2])
    return "files" if path.startswith("/files") else "about"
