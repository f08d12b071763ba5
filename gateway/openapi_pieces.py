"""Pieces of the OpenAPI document: the schema of a parameter, the heading of a route."""

from __future__ import annotations

from typing import Any


def tag_of(path: str) -> str:
    """The heading of a path: what it is about, in one word."""
    if path.startswith("/v1/orgs/{org}/"):
        return path.split("/")[4]
    if path.startswith("/v1/"):
        return {"orgs": "organizations", "me": "auth"}.get(path.split("/")[2], path.split("/")[2])
    return "files" if path.startswith("/files") else "about"


def plain(schema: dict[str, Any], local: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema without references and null: an absent parameter is simply absent."""
    shown = {key: value for key, value in schema.items() if key not in ("title", "description")}
    if "$ref" in shown:
        shown = dict(local[shown["$ref"].rpartition("/")[2]])
    if "anyOf" in shown:
        options = [option for option in shown.pop("anyOf") if option.get("type") != "null"]
        if shown.get("default", 0) is None:
            shown.pop("default")
        shown.update(plain(options[0], local))
    return {key: value for key, value in shown.items() if key not in ("title", "description")}
