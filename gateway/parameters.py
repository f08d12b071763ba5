"""Query parameters as models, made of what a query or a command takes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from contracts.base import Command, FromRequest

TEMPLATE = "#/components/schemas/{model}"
"""Where OpenAPI keeps a schema."""


def parameters_of_command(contract: type[Command]) -> type[BaseModel] | None:
    """The query parameters of a command, where it has some."""
    fields: dict[str, Any] = {
        name: (info.annotation, Field(info.default, description=info.description))
        for name, info in contract.model_fields.items()
        if FromRequest("parameter") in info.metadata
    }
    if not fields:
        return None
    return create_model(
        f"{contract.__name__}_parameters",
        __config__=ConfigDict(extra="forbid", hide_input_in_errors=True),
        **fields,
    )


def grouped(function: Callable[..., Awaitable[Any]]) -> dict[str, type[BaseModel]]:
    """Parameters of a function that are models, by name: their fields are the query parameters."""
    return {
        name: hint
        for name, hint in typing.get_type_hints(function).items()
        if name != "return" and isinstance(hint, type) and issubclass(hint, BaseModel)
    }


def parameters_of_query(
    function: Callable[..., Awaitable[Any]], in_path: set[str]
) -> type[BaseModel] | None:
    """The query parameters of a query: the function's own, but for its actor and the path's."""
    hints = typing.get_type_hints(function, include_extras=True)
    groups = grouped(function)
    fields: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        if name in in_path:
            continue
        if name in groups:
            own = typing.get_type_hints(hints[name], include_extras=True)
            fields.update(
                {key: (own[key], info) for key, info in groups[name].model_fields.items()}
            )
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (hints[name], default)
    return create_model(
        f"{function.__name__}_parameters",
        __config__=ConfigDict(extra="forbid", hide_input_in_errors=True),
        **fields,
    )


def parameters_shown(parameters: type[BaseModel] | None) -> list[dict[str, Any]]:
    """Query parameters as OpenAPI has them."""
    if parameters is None:
        return []
    schema = parameters.model_json_schema(ref_template=TEMPLATE)
    local = schema.get("$defs", {})
    required = set(schema.get("required", []))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            **({"description": found["description"]} if "description" in found else {}),
            **({} if shown.get("type") != "array" else {"style": "form", "explode": False}),
            "schema": shown,
        }
        for name, found in schema.get("properties", {}).items()
        for shown in (_plain(found, local),)
    ]


def _plain(schema: dict[str, Any], local: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema without references and null: an absent parameter is simply absent."""
    shown = {key: value for key, value in schema.items() if key not in ("title", "description")}
    if "$ref" in shown:
        shown = dict(local[shown["$ref"].rpartition("/")[2]])
    if "anyOf" in shown:
        options = [option for option in shown.pop("anyOf") if option.get("type") != "null"]
        if shown.get("default", 0) is None:
            shown.pop("default")
        shown.update(_plain(options[0], local))
    return {key: value for key, value in shown.items() if key not in ("title", "description")}
