"""Renditions of images, made in processes that hostile bytes may take down."""

from __future__ import annotations

from infra.images.geometry import Wanted
from infra.images.pipeline import ImagePipeline
from infra.images.results import ImageRejected, Rendered, Rendition

__all__ = ["ImagePipeline", "ImageRejected", "Rendered", "Rendition", "Wanted"]
