"""Points a command at the stack that runs in the data folder."""

from __future__ import annotations

import os

from infra.embedded import state
from infra.embedded.layout import data_folder, upper


def load() -> bool:
    """Take over the variables of the running stack; whatever is set already stays.

    Returns whether a stack runs in the data folder. Call it before `infra.settings.settings`.
    """
    found = state.read(data_folder() / "stack.env")
    given = upper(os.environ)
    for name, value in found.items():
        if name not in given:
            os.environ[name] = value
    return bool(found)
