"""`grid8 bench images`, at a size that says nothing but that both sides make the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.bench.images import MODULES, measure
from scripts.bench.photos import make_photos
from tests.infra.pictures import busy


@pytest.mark.skipif(
    shutil.which("node") is None or not (MODULES / "sharp").exists(), reason="sharp is missing"
)
async def test_both_sides_make_the_same_renditions(tmp_path: Path) -> None:
    for number in range(2):
        busy(900, 700).write_to_file(str(tmp_path / f"{number}.jpg"))
    said: list[str] = []
    result = await measure(1, tmp_path, 0, said.append)
    assert (result["photos"], len(said)) == (2, 3)
    for side in result["sides"].values():
        assert side["images_per_second"] > 0
        assert side["peak_mib"] > 10
        assert side["written_mib"] > 0


def test_drawn_photos_are_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.bench.photos.SHAPES", ((400, 300),))
    drawn = [
        [path.read_bytes() for path in make_photos(tmp_path / name, 4)] for name in ("one", "two")
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 4
