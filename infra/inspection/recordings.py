"""Size and length of video and audio."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from pymediainfo import MediaInfo

from infra.inspection.results import Facts

_LARGEST = 65_535
_LONGEST = 10_000_000.0


def inspect_recording(path: Path) -> Facts:
    """Raises OSError where there is no libmediainfo for this platform.

    The library follows references to other files and addresses, which a hostile file may hold:
    so it is told not to, and once the file is open this process may open nothing more.
    """
    with path.open("rb") as file:
        MediaInfo.can_parse()  # loads the library
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        tracks: list[Any] = MediaInfo.parse(
            file, parse_speed=0.3, mediainfo_options={"File_IsReferenced": "1"}
        ).tracks
    durations = [each.duration for each in tracks if each.duration is not None]
    whole = [each.duration for each in tracks if each.track_type == "General" and each.duration]
    milliseconds = float((whole or durations or [0])[0])
    seconds = round(milliseconds / 1000, 3)
    duration = seconds if 0 < seconds <= _LONGEST else None
    for track in tracks:
        if track.track_type == "Video" and track.width and track.height:
            width, height = int(track.width), int(track.height)
            if float(track.rotation or 0) % 180 == 90:
                width, height = height, width
            if 0 < width <= _LARGEST and 0 < height <= _LARGEST:
                return Facts(duration=duration, width=width, height=height)
    return Facts(duration=duration)
