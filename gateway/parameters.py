"""Query parameters as models, made of what a query or a command takes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from contracts.base import Command, FromRequest


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
