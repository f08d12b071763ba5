"""Kinds of option values that several commands take."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from bus import streams

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)", re.ASCII)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


class Since(click.ParamType[datetime]):
    """An instant: RFC 3339 (UTC without an offset), a date, or how long ago (``2h``)."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The instant, in UTC."""
        if isinstance(value, datetime):
            return value
        try:
            if ago := _AGO.fullmatch(value.removesuffix(" ago")):
                seconds = float(ago[1]) * _UNITS[ago[2]]
                return datetime.now(UTC) - timedelta(seconds=seconds)
            instant = datetime.fromisoformat(value)
            return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a time (2026-11-23T10:00Z) nor how long ago (2h)")


class EventDomain(click.Choice[str]):
    """One of these domains, by its name or by that of its event stream."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The domain."""
        domain = streams.domain_of(value)
        named = domain if value == streams.events(domain) else value
        return super().convert(named, param, ctx)


class Rate(click.ParamType[float]):
    """So many per second: ``50`` or ``50/s``."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number per second."""
        try:
            rate = float(str(value).removesuffix("/s"))
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            self.fail(f"{value!r} is no rate: a number above 0, as 50 or 50/s")
        return rate
