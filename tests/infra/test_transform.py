"""Pictures made of pictures: the right part, the right size, the right colours, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from infra.images import ImagePipeline, ImageRejected, Wanted
from infra.images import transform as module
from infra.images.geometry import cut_from, filled, fitted, scaled_to, within
from infra.images.results import Limits
from infra.images.transform import transform
from infra.settings import AssetSettings
from tests.infra.pictures import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    animation,
    busy,
    near,
    plain,
    png_header,
    quarters,
)

LIMITS = Limits(max_pixels=100_000_000, max_side=65_535, max_frames=500)


def made(source: Path, wanted: Wanted) -> pyvips.Image:
    """The picture, decoded anew with all its frames."""
    into = source.with_suffix(".made")
    format_ = transform(source, into, LIMITS, wanted)
    data = into.read_bytes()
    image = pyvips.Image.new_from_buffer(data, "[n=-1]" if format_ == "webp" else "")
    loader = {"avif": "heif"}.get(format_, format_)
    assert image.get("vips-loader").startswith(loader)
    return image


def frames_of(image: pyvips.Image) -> int:
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


def corners(image: pyvips.Image) -> list[list[float]]:
    at = ((0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9))
    return [image.getpoint(int(x * image.width), int(y * image.height)) for x, y in at]


def shows(image: pyvips.Image, *colours: list[int], within: int = 14) -> bool:
    found = [point[:3] for point in corners(image)]
    return all(near(point, colour, within) for point, colour in zip(found, colours, strict=True))


@pytest.fixture
def square(tmp_path: Path) -> Path:
    path = tmp_path / "square.png"
    quarters(400, 400).write_to_file(str(path))
    return path


# --- how large, and of what ----------------------------------------------------------------

SIDES = st.integers(1, 70_000)
MAYBE = st.none() | st.integers(1, 16_383)


@given(SIDES, SIDES, MAYBE, MAYBE)
def test_what_fits_is_within_the_box_and_never_larger_than_its_original(
    w: int, h: int, width: int | None, height: int | None
) -> None:
    found = fitted((w, h), width, height, side=4096)
    assert 1 <= found[0] <= min(w, width or w, 4096)
    assert 1 <= found[1] <= min(h, height or h, 4096)
    assert abs(found[0] * h - found[1] * w) <= max(w, h)  # half a pixel of each side


@given(SIDES, SIDES, st.integers(1, 16_383), st.integers(1, 16_383))
def test_what_is_filled_has_the_boxs_proportions_and_is_covered(
    w: int, h: int, width: int, height: int
) -> None:
    found = filled((w, h), width, height)
    assert 1 <= found[0] <= min(w, width)
    assert 1 <= found[1] <= min(h, height)
    assert abs(found[0] * height - found[1] * width) <= max(width, height)
    wanted = Wanted("fill", *found, "webp", gravity="bottom")
    scaled = scaled_to((w, h), wanted)
    assert found[0] <= scaled[0] <= w
    assert found[1] <= scaled[1] <= h
    box = cut_from(scaled, wanted)
    assert box is not None
    assert within(scaled, box)


@given(st.data(), st.integers(1, 5000), st.integers(1, 5000), MAYBE, MAYBE)
def test_what_is_cropped_lies_within_the_original(
    data: st.DataObject, w: int, h: int, width: int | None, height: int | None
) -> None:
    x, y = data.draw(st.integers(0, w - 1)), data.draw(st.integers(0, h - 1))
    region = (x, y, data.draw(st.integers(1, w - x)), data.draw(st.integers(1, h - y)))
    assert within((w, h), region)
    size = fitted(region[2:], width, height, side=4096)
    wanted = Wanted("crop", *size, "webp", region=region)
    scaled = scaled_to((w, h), wanted)
    box = cut_from(scaled, wanted)
    assert box is not None
    assert box[2:] == size
    assert within(scaled, box)
    if size == region[2:]:
        assert (scaled, box) == ((w, h), region), "unscaled, it is cut to the pixel"


@pytest.mark.parametrize("region", [(0, 0, 0, 1), (0, 0, 1, 0), (1, 0, 4, 1), (0, 9, 1, 1)])
def test_a_region_outside_is_none(region: tuple[int, int, int, int]) -> None:
    assert not within((4, 9), region)


@pytest.mark.parametrize("format_", ["avif", "webp", "jpeg", "png", "still"])
def test_the_whole_is_scaled(square: Path, format_: str) -> None:
    image = made(square, Wanted("fit", 100, 100, format_))
    assert (image.width, image.height) == (100, 100)
    assert shows(image, RED, GREEN, BLUE, WHITE)


@pytest.mark.parametrize(
    ("gravity", "size", "colours"),
    [
        ("centre", (200, 100), (RED, GREEN, BLUE, WHITE)),
        ("top", (200, 60), (RED, GREEN, RED, GREEN)),
        ("bottom", (200, 60), (BLUE, WHITE, BLUE, WHITE)),
        ("left", (60, 200), (RED, RED, BLUE, BLUE)),
        ("right", (60, 200), (GREEN, GREEN, WHITE, WHITE)),
        # What has no room to move along is the middle.
        ("left", (200, 100), (RED, GREEN, BLUE, WHITE)),
    ],
)
def test_a_box_is_filled_from_the_side_that_is_asked_for(
    square: Path, gravity: str, size: tuple[int, int], colours: tuple[list[int], ...]
) -> None:
    image = made(square, Wanted("fill", *size, "webp", gravity=gravity, quality=95))
    assert (image.width, image.height) == size
    assert shows(image, *colours)


@pytest.mark.parametrize("grey", [False, True])
def test_attention_keeps_what_there_is_to_see(tmp_path: Path, grey: bool) -> None:
    path = tmp_path / "far.png"
    scene = plain(900, 300, [128, 128, 128]).insert(plain(80, 80, RED), 760, 110)
    for n in range(8):
        scene = scene.insert(plain(6, 80, WHITE), 760 + n * 12, 110)
    (scene.colourspace("b-w") if grey else scene).write_to_file(str(path))
    image = made(path, Wanted("fill", 100, 100, "png", gravity="attention"))
    assert (image.width, image.height) == (100, 100)
    assert image.max() > 200, "the detail is at the right end"
    centred = made(path, Wanted("fill", 100, 100, "png", gravity="centre"))
    assert centred.max() < 140


def test_a_region_is_cut_to_the_pixel(square: Path) -> None:
    image = made(square, Wanted("crop", 100, 60, "png", region=(150, 170, 100, 60)))
    source = quarters(400, 400).crop(150, 170, 100, 60)
    assert (image - source).abs().max() == 0


def test_a_region_is_reduced_after_it_is_cut(square: Path) -> None:
    image = made(square, Wanted("crop", 50, 50, "png", region=(200, 0, 200, 200)))
    assert shows(image, GREEN, GREEN, GREEN, GREEN, within=2)


# --- what pictures bring along -------------------------------------------------------------


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_region_is_of_the_upright_picture(tmp_path: Path, turn: int) -> None:
    upright = quarters(400, 200)
    stored = {
        1: upright,
        2: upright.fliphor(),
        3: upright.rot180(),
        4: upright.flipver(),
        5: upright.rot90().fliphor(),
        6: upright.rot270(),
        7: upright.rot270().fliphor(),
        8: upright.rot90(),
    }[turn].copy()
    stored.set_type(pyvips.GValue.gint_type, "orientation", turn)
    path = tmp_path / "turned.jpg"
    stored.write_to_file(str(path), Q=95)
    whole = made(path, Wanted("fit", 200, 100, "jpeg"))
    assert shows(whole, RED, GREEN, BLUE, WHITE)
    part = made(path, Wanted("crop", 100, 50, "jpeg", region=(0, 0, 200, 100)))
    assert shows(part, RED, RED, RED, RED)
    filled_ = made(path, Wanted("fill", 50, 100, "jpeg", gravity="right"))
    assert shows(filled_, GREEN, GREEN, WHITE, WHITE)


@pytest.mark.parametrize("format_", ["avif", "webp", "jpeg", "png"])
def test_nothing_is_told_of_where_and_with_what_it_was_taken(tmp_path: Path, format_: str) -> None:
    image = quarters(300, 300).copy()
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Make", "Camera-of-somebody")
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd3-GPSLatitude", "52/1 31/1 12/1")
    path = tmp_path / "told.jpg"
    image.write_to_file(str(path))
    assert b"Camera-of-somebody" in path.read_bytes()
    result = made(path, Wanted("fit", 100, 100, format_))
    data = path.with_suffix(".made").read_bytes()
    assert b"Camera-of-somebody" not in data
    assert not [name for name in result.get_fields() if "GPS" in name or "icc" in name]


def test_a_profile_becomes_srgb(tmp_path: Path) -> None:
    path = tmp_path / "p3.jpg"
    plain(200, 200, [200, 80, 60]).icc_transform("p3", input_profile="srgb").write_to_file(
        str(path), Q=98, subsample_mode="off"
    )
    raw = pyvips.Image.new_from_file(str(path)).getpoint(100, 100)
    assert not near(raw, [200, 80, 60], 4), "the file has other numbers for the same colour"
    image = made(path, Wanted("fit", 100, 100, "png"))
    assert near(image.getpoint(50, 50), [200, 80, 60], 4)


def test_transparency_is_kept_or_else_put_on_white(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    half = plain(200, 200, [*RED, 255]).insert(plain(100, 200, [0, 0, 0, 0]), 0, 0)
    half.write_to_file(str(path))
    for format_ in ("avif", "webp", "png", "still"):
        image = made(path, Wanted("fit", 100, 100, format_))
        assert image.hasalpha(), format_
        assert image.getpoint(20, 50)[3] == 0
        assert near(image.getpoint(80, 50), [*RED, 255], 14)
    image = made(path, Wanted("fit", 100, 100, "jpeg"))
    assert not image.hasalpha()
    assert near(image.getpoint(20, 50), [255, 255, 255])


def test_what_only_seems_transparent_is_a_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "opaque.png"
    plain(100, 100, [*BLUE, 255]).write_to_file(str(path))
    assert transform(path, tmp_path / "x", LIMITS, Wanted("fit", 50, 50, "still")) == "jpeg"


def test_a_drawing_is_drawn_at_the_size_that_is_asked_for_and_reaches_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "drawing.svg"
    secret = tmp_path / "secret.png"
    plain(100, 100, RED).write_to_file(str(secret))
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">'
        f'<rect width="100" height="100" fill="rgb(40,60,200)"/><script>alert(1)</script>'
        f'<image href="file://{secret}" width="100" height="100"/></svg>'
    )
    image = made(path, Wanted("fit", 50, 50, "png"))
    assert (image.width, image.height) == (50, 50)
    assert near(image.getpoint(25, 25)[:3], BLUE)


# --- what moves ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_moves_on_as_webp(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a{suffix}", 5, 120, 60, [40, 50, 60, 70, 80], 3)
    fit = made(path, Wanted("fit", 60, 30, "webp", moving=True))
    fill = made(path, Wanted("fill", 30, 30, "webp", moving=True, gravity="attention"))
    crop = made(path, Wanted("crop", 20, 10, "webp", moving=True, region=(10, 10, 20, 10)))
    for image, height in ((fit, 30), (fill, 30), (crop, 10)):
        assert frames_of(image) == 5
        assert image.get("page-height") == height
        assert image.get("delay") == [40, 50, 60, 70, 80]
        assert image.get("loop") == 3
        shades = [image.getpoint(5, n * height + 5)[0] for n in range(5)]
        assert all(abs(shade - n * 40) < 14 for n, shade in enumerate(shades)), shades


@pytest.mark.parametrize("format_", ["avif", "jpeg", "png", "still"])
def test_what_cannot_move_shows_the_first_frame(tmp_path: Path, format_: str) -> None:
    path = animation(tmp_path / "a.gif", 5, 120, 60, [40] * 5, 0)
    image = made(path, Wanted("fit", 60, 30, format_, moving=True))
    assert (image.width, image.height, frames_of(image)) == (60, 30, 1)
    assert image.getpoint(5, 5)[0] < 14
    still = made(path, Wanted("fit", 60, 30, "webp", moving=False))
    assert (still.height, frames_of(still)) == (30, 1)


def test_an_animation_of_too_many_pixels_shows_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = animation(tmp_path / "a.gif", 5, 120, 60, [40] * 5, 0)
    monkeypatch.setattr(module, "MOVING_PIXELS", 5 * 60 * 30 - 1)
    image = made(path, Wanted("fit", 60, 30, "webp", moving=True))
    assert (image.height, frames_of(image)) == (30, 1)


# --- what must not be ----------------------------------------------------------------------


def test_what_is_broken_or_too_large_is_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.jpg"
    busy(400, 400).write_to_file(str(cut))
    cut.write_bytes(cut.read_bytes()[:20_000])
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_header(60_000, 60_000))
    text = tmp_path / "text.png"
    text.write_bytes(b"no picture at all")
    for path, code in (
        (cut, "asset.image_corrupt"),
        (bomb, "asset.image_too_large"),
        (text, "asset.image_unsupported"),
    ):
        for wanted in (
            Wanted("fit", 100, 100, "webp"),
            Wanted("crop", 10, 10, "webp", region=(0, 0, 10, 10)),
        ):
            into = tmp_path / "never"
            with pytest.raises(ImageRejected) as refused:
                transform(path, into, LIMITS, wanted)
            assert refused.value.code == code
            assert not into.exists()


async def test_the_same_bytes_give_the_same_picture_in_whichever_process(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source.png"
    busy(900, 700).write_to_file(str(source))
    moving = animation(tmp_path / "a.gif", 5, 120, 60, [40] * 5, 0)
    asked = [
        (source, Wanted("fit", 450, 350, format_)) for format_ in ("avif", "webp", "jpeg", "png")
    ]
    asked += [
        (source, Wanted("fill", 300, 300, "avif", gravity="attention")),
        (source, Wanted("crop", 100, 100, "webp", region=(50, 60, 200, 200))),
        (moving, Wanted("fill", 40, 40, "webp", moving=True)),
    ]

    async def digests() -> list[str]:
        pipeline = ImagePipeline(AssetSettings(image_workers=1))
        await pipeline.start()
        found = []
        for path, wanted in asked:
            into = tmp_path / "made"
            await pipeline.transform(path, into, wanted)
            found.append(hashlib.sha256(into.read_bytes()).hexdigest())
        await pipeline.close()
        return found

    first = await digests()
    assert first == await digests()
    assert len(set(first)) == len(asked)


async def test_a_quality_is_what_makes_a_picture_small(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    busy(500, 500).write_to_file(str(source))
    for format_ in ("avif", "webp", "jpeg"):
        sizes = []
        for quality in (10, None, 95):
            into = tmp_path / "made"
            wanted = Wanted("fit", 250, 250, format_, quality=quality)
            transform(source, into, LIMITS, replace(wanted, quality=quality))
            sizes.append(into.stat().st_size)
        assert sizes == sorted(set(sizes)), f"{format_}: {sizes}"
