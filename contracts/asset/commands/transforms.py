"""Commands that make pictures of pictures."""

from __future__ import annotations

from contracts.asset.transforms import MadeFormat, Transform
from contracts.base import Command
from contracts.types import Id


class RenderTransform(Command):
    """Make a picture of an original and store it, unless that was done before."""

    wire = "asset.transform.render"

    organization_id: Id
    blob_id: Id
    transform: Transform
    format: MadeFormat
