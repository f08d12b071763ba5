"""Showing tables, and texts that others have written, on whatever standard output is."""

from __future__ import annotations

import os

from rich.console import Console
from rich.table import Table

_ENDLESS = 10_000
"""Columns of a line that nobody looks at: nothing is folded that is to be searched."""


def width_of(console: Console) -> int:
    """The columns of the terminal; where there is none, as many as anybody could want."""
    return console.width if console.is_terminal or "COLUMNS" in os.environ else _ENDLESS


def print_table(table: Table) -> None:
    """Print it as wide as the terminal; where there is none, one line for each row."""
    console = Console(highlight=False)
    console.width = width_of(console)
    console.print(table)


def printable(text: str) -> str:
    """The text on one line, without what a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in text)


def printable_lines(text: str) -> str:
    """The same, line by line."""
    return "\n".join(map(printable, text.rstrip().splitlines()))
