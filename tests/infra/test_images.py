from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pyvips

from infra.images import ImagePipeline, ImageRejected, Rendered, Rendition
from infra.settings import AssetSettings
from tests.infra.pictures import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    animation,
    busy,
    near,
    pixel,
    plain,
    png_header,
    quarters,
)

TAGS = {
    2: ("fliphor", None),
    3: ("rot180", None),
    4: ("flipver", None),
    5: ("rot90", "fliphor"),
    6: ("rot270", None),
    7: ("rot270", "fliphor"),
    8: ("rot90", None),
}
"""What was done to the pixels, so that the tag says how to undo it."""


@pytest.fixture(scope="module")
async def pipeline() -> AsyncIterator[ImagePipeline]:
    running = ImagePipeline(AssetSettings(image_timeout=60))
    await running.start()
    yield running
    await running.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def saved(image: pyvips.Image, path: Path, **options: object) -> Path:
    image.write_to_file(str(path), **options)
    return path


def by_name(rendered: Rendered) -> dict[str, Rendition]:
    return {rendition.name: rendition for rendition in rendered.renditions}


def sizes(rendered: Rendered) -> list[tuple[str, int, int]]:
    return [(r.name, r.width, r.height) for r in rendered.renditions]


async def rejected(pipeline: ImagePipeline, path: Path, out: Path) -> ImageRejected:
    with pytest.raises(ImageRejected) as refusal:
        await pipeline.render(path, out)
    assert list(out.iterdir()) == []
    assert "vips" not in refusal.value.detail.lower()
    assert refusal.value.detail.endswith(".")
    return refusal.value


async def test_a_large_photo_gets_three_sizes_in_two_formats(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    source = saved(quarters(2400, 1200), tmp_path / "a.jpg")
    rendered = await pipeline.render(source, out)
    assert (rendered.media_type, rendered.width, rendered.height, rendered.frames) == (
        "image/jpeg",
        2400,
        1200,
        1,
    )
    wanted = [(n, n // 2) for n in (320, 800, 1600)]
    assert sizes(rendered) == [(f"{w}.{f}", w, h) for w, h in wanted for f in ("webp", "jpeg")]
    for made in rendered.renditions:
        image = pyvips.Image.new_from_file(str(made.path))
        assert (image.width, image.height) == (made.width, made.height)
        assert made.path.stat().st_size == made.bytes
        assert made.path.parent == out
        assert near(pixel(made.path, 0.25, 0.25), RED)
        assert near(pixel(made.path, 0.75, 0.75), WHITE)


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (1, [("320", 1)]),
        (200, [("320", 200)]),
        (320, [("320", 320)]),
        (321, [("320", 320), ("800", 321)]),
        (800, [("320", 320), ("800", 800)]),
        (1000, [("320", 320), ("800", 800), ("1600", 1000)]),
    ],
)
async def test_nothing_is_ever_made_larger_than_it_was(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, width: int, wanted: list[tuple[str, int]]
) -> None:
    rendered = await pipeline.render(saved(plain(width, 40, BLUE), tmp_path / "a.png"), out)
    assert [(n, w) for n, w, _ in sizes(rendered) if n.endswith("webp")] == [
        (f"{name}.webp", w) for name, w in wanted
    ]


async def test_an_image_taller_than_webp_can_be_is_still_rendered(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    rendered = await pipeline.render(saved(plain(500, 20000, BLUE), tmp_path / "a.png"), out)
    assert sizes(rendered)[-1] == ("800.png", 410, 16383)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
async def test_every_exif_orientation_comes_out_upright(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, orientation: int, suffix: str
) -> None:
    upright = quarters(480, 360)
    stored = upright
    for step in TAGS.get(orientation, ()):
        if step:
            stored = getattr(stored, step)()
    stored = stored.copy()
    stored.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    rendered = await pipeline.render(saved(stored, tmp_path / f"a{suffix}"), out)
    assert (rendered.width, rendered.height) == (480, 360)
    for made in rendered.renditions:
        assert made.height * 4 == made.width * 3
        shown = pyvips.Image.new_from_file(str(made.path))
        assert shown.get_typeof("orientation") == 0 or shown.get("orientation") == 1
        difference = (shown - upright.thumbnail_image(made.width)).abs()
        assert difference.avg() < 3, made.name


@pytest.mark.parametrize("suffix", [".jpg", ".tiff"])
async def test_cmyk_becomes_the_same_colours_in_srgb(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, suffix: str
) -> None:
    cmyk = quarters(600, 400).icc_transform("cmyk", input_profile="srgb")
    expected = cmyk.icc_transform("srgb", intent="perceptual")
    rendered = await pipeline.render(saved(cmyk, tmp_path / f"a{suffix}"), out)
    assert {r.media_type for r in rendered.renditions} == {"image/webp", "image/jpeg"}
    for made in rendered.renditions:
        shown = pyvips.Image.new_from_file(str(made.path))
        assert (shown.interpretation, shown.bands) == ("srgb", 3)
        for x, y in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)):
            wanted = expected.getpoint(int(600 * x), int(400 * y))
            assert near(pixel(made.path, x, y), wanted)


async def test_cmyk_without_a_profile_is_converted_too(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    cmyk = quarters(600, 400).icc_transform("cmyk", input_profile="srgb")
    source = saved(cmyk, tmp_path / "a.jpg", keep="none")
    assert pyvips.Image.new_from_file(str(source)).get_typeof("icc-profile-data") == 0
    rendered = await pipeline.render(source, out)
    assert near(pixel(by_name(rendered)["320.jpeg"].path, 0.75, 0.25), GREEN, within=40)


async def test_a_wide_gamut_profile_is_applied_and_dropped(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    p3 = plain(400, 300, [200, 60, 60]).icc_transform("p3", input_profile="srgb")
    assert not near(p3.getpoint(9, 9), [200, 60, 60], within=8)
    rendered = await pipeline.render(saved(p3, tmp_path / "a.jpg"), out)
    for made in rendered.renditions:
        assert near(pixel(made.path, 0.5, 0.5), [200, 60, 60], within=6)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
async def test_sixteen_bits_become_eight(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, bands: int
) -> None:
    values = [50 * 257, 100 * 257, 200 * 257, 128 * 257]
    chosen = {1: values[:1], 2: [values[0], values[3]], 3: values[:3], 4: values}[bands]
    image = (pyvips.Image.black(400, 300, bands=bands) + chosen).cast("ushort")
    image = image.copy(interpretation="rgb16" if bands > 2 else "grey16")
    rendered = await pipeline.render(saved(image, tmp_path / "a.png"), out)
    shown = pyvips.Image.new_from_file(str(by_name(rendered)["320.png"].path))
    assert shown.format == "uchar"
    assert near(shown.getpoint(100, 100), [round(value / 257) for value in chosen], within=2)


async def test_transparency_is_kept(pipeline: ImagePipeline, tmp_path: Path, out: Path) -> None:
    clear = plain(200, 300, [*RED, 0])
    half = plain(200, 300, [*GREEN, 128])
    source = saved(clear.join(half, "horizontal"), tmp_path / "a.png")
    rendered = await pipeline.render(source, out)
    assert {r.media_type for r in rendered.renditions} == {"image/webp", "image/png"}
    for made in rendered.renditions:
        assert pixel(made.path, 0.25, 0.5)[3] == 0
        assert near(pixel(made.path, 0.75, 0.5), [*GREEN, 128])
    assert near(list(bytes.fromhex(rendered.dominant_color[1:])), GREEN, within=2)


@pytest.mark.parametrize(
    ("suffix", "alpha", "family"),
    [
        (".webp", 255, "jpeg"),
        (".webp", 100, "png"),
        (".tiff", 100, "png"),
        (".avif", 255, "jpeg"),
        (".avif", 100, "png"),
        (".png", 255, "png"),
        (".gif", 255, "png"),
    ],
)
async def test_the_second_format_is_the_one_that_keeps_what_matters(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, suffix: str, alpha: int, family: str
) -> None:
    source = saved(plain(64, 64, [*RED, alpha]), tmp_path / f"a{suffix}")
    rendered = await pipeline.render(source, out)
    assert [r.name for r in rendered.renditions] == ["320.webp", f"320.{family}"]


@pytest.mark.parametrize("loop", [0, 1, 3])
async def test_an_animated_gif_keeps_frames_delays_and_loop(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, loop: int
) -> None:
    delay = [100, 200, 300, 40]
    rendered = await pipeline.render(animation(tmp_path / "a.gif", 4, 500, 200, delay, loop), out)
    assert (rendered.frames, rendered.width, rendered.height) == (4, 500, 200)
    assert [r.name for r in rendered.renditions] == ["320.webp", "320.gif", "800.webp", "800.gif"]
    for made in rendered.renditions:
        shown = pyvips.Image.new_from_file(str(made.path), n=-1)
        assert (shown.get("n-pages"), shown.get("page-height")) == (4, made.height)
        assert (shown.get("delay"), shown.get("loop")) == (delay, loop)
        for frame in range(4):
            found = shown.getpoint(5, frame * made.height + 5)[:3]
            assert near(found, [frame * 50] * 3, within=3)


async def test_an_animated_webp_stays_animated(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    source = animation(tmp_path / "a.webp", 3, 500, 200, [100, 200, 300], 2)
    rendered = await pipeline.render(source, out)
    assert rendered.frames == 3
    assert [r.name for r in rendered.renditions] == ["320.webp", "800.webp"]
    shown = pyvips.Image.new_from_file(str(rendered.renditions[0].path), n=-1)
    assert (shown.get("n-pages"), shown.get("delay"), shown.get("loop")) == (3, [100, 200, 300], 2)


async def test_frames_that_are_alike_are_not_lost_from_a_gif(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    frames = pyvips.Image.arrayjoin(
        [plain(40, 40, c) for c in (RED, RED, RED, BLUE)], across=1
    ).copy()
    frames.set_type(pyvips.GValue.gint_type, "page-height", 40)
    source = saved(frames, tmp_path / "a.gif", keep_duplicate_frames=True)
    rendered = await pipeline.render(source, out)
    shown = pyvips.Image.new_from_file(str(by_name(rendered)["320.gif"].path), n=-1)
    assert (rendered.frames, shown.get("n-pages")) == (4, 4)


async def test_of_a_tiff_of_many_pages_the_first_is_rendered(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    pages = plain(64, 64, RED).join(plain(64, 64, BLUE), "vertical").copy()
    pages.set_type(pyvips.GValue.gint_type, "page-height", 64)
    rendered = await pipeline.render(saved(pages, tmp_path / "a.tiff"), out)
    assert (rendered.width, rendered.height, rendered.frames) == (64, 64, 1)
    assert near(pixel(by_name(rendered)["320.jpeg"].path, 0.5, 0.5), RED)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", ".tiff"])
async def test_no_metadata_gets_through(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, suffix: str
) -> None:
    image = quarters(400, 300).copy()
    text = pyvips.GValue.gstr_type
    for field, value in (
        ("exif-ifd3-GPSLatitude", "50/1 5/1 12/1 (50, 5, 12, Rational, 3 components, 24 bytes)"),
        ("exif-ifd0-Artist", "Someone (Someone, ASCII, 8 components, 8 bytes)"),
    ):
        image.set_type(text, field, value)
    image.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta>secret-place</x:xmpmeta>")
    source = saved(image, tmp_path / f"a{suffix}", profile="srgb")
    assert {"icc-profile-data", "xmp-data"} <= set(
        pyvips.Image.new_from_file(str(source)).get_fields()
    )
    rendered = await pipeline.render(source, out)
    for made in rendered.renditions:
        shown = pyvips.Image.new_from_file(str(made.path))
        assert not [f for f in shown.get_fields() if f.startswith(("exif", "xmp", "iptc", "icc"))]
        for mark in (b"Someone", b"secret-place", b"Exif", b"ICC_PROFILE", b"GPS"):
            assert mark not in made.path.read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif"])
async def test_the_same_bytes_give_the_same_renditions(
    pipeline: ImagePipeline, tmp_path: Path, suffix: str
) -> None:
    source = saved(busy(900, 700), tmp_path / f"a{suffix}")
    results = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        rendered = await pipeline.render(source, tmp_path / name)
        files = {made.name: made.path.read_bytes() for made in rendered.renditions}
        results.append((files, rendered.placeholder, rendered.dominant_color))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "image", [busy(900, 700), busy(900, 700, 4), busy(3000, 8), plain(1, 1, RED), busy(9, 9, 1)]
)
async def test_the_placeholder_is_a_tiny_webp(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, image: pyvips.Image
) -> None:
    rendered = await pipeline.render(saved(image, tmp_path / "a.png"), out)
    head, data = rendered.placeholder.split(",")
    assert head == "data:image/webp;base64"
    assert len(rendered.placeholder) < 1000
    tiny = pyvips.Image.new_from_buffer(base64.b64decode(data), "")
    assert max(tiny.width, tiny.height) <= 24


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (plain(100, 100, [18, 52, 86]), "#123456"),
        (plain(100, 70, BLUE).join(plain(100, 30, WHITE), "vertical"), "#283cc8"),
        (plain(50, 50, [*RED, 0]), "#ffffff"),
        (plain(60, 60, [77]).copy(interpretation="b-w"), "#4d4d4d"),
    ],
)
async def test_the_dominant_colour_is_the_most_frequent_one_that_shows(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, image: pyvips.Image, colour: str
) -> None:
    rendered = await pipeline.render(saved(image, tmp_path / "a.png"), out)
    assert rendered.dominant_color == colour


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".tiff", ".avif"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
async def test_a_truncated_image_is_rejected_with_a_reason(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, suffix: str, share: float
) -> None:
    source = saved(busy(700, 500), tmp_path / f"a{suffix}")
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * share)])
    refusal = await rejected(pipeline, source, out)
    assert refusal.code == "asset.image_corrupt"
    assert "cut off" in refusal.detail or "damaged" in refusal.detail


async def test_a_truncated_animation_is_rejected(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    for suffix in (".gif", ".webp"):
        source = animation(tmp_path / f"a{suffix}", 20, 300, 300, [50] * 20, 0)
        data = source.read_bytes()
        source.write_bytes(data[: len(data) * 2 // 3])
        assert (await rejected(pipeline, source, out)).code == "asset.image_corrupt"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".gif"])
async def test_scrambled_bytes_never_harm_more_than_the_image(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, suffix: str
) -> None:
    source = saved(busy(300, 200), tmp_path / f"a{suffix}")
    data = bytearray(source.read_bytes())
    for at in range(200, len(data), 997):
        data[at] ^= 0xFF
    source.write_bytes(data)
    result = (await asyncio.gather(pipeline.render(source, out), return_exceptions=True))[0]
    assert isinstance(result, Rendered) or (
        isinstance(result, ImageRejected) and result.code == "asset.image_corrupt"
    )
    await pipeline.render(saved(plain(9, 9, RED), tmp_path / "ok.png"), out)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "asset.image_unsupported"),
        (b"just words", "asset.image_unsupported"),
        (b"\xff\xd8\xff", "asset.image_corrupt"),
        (b"\x89PNG\r\n\x1a\n", "asset.image_corrupt"),
        (b"GIF89a", "asset.image_corrupt"),
        (b"RIFF\x04\x00\x00\x00WEBP", "asset.image_corrupt"),
        (b"%PDF-1.7\n", "asset.image_unsupported"),
        (b"1,2\n3,4\n", "asset.image_unsupported"),
        (b"P5 1 1 255\n\x00", "asset.image_unsupported"),
    ],
)
async def test_what_is_no_image_is_rejected(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, data: bytes, code: str
) -> None:
    (tmp_path / "a.png").write_bytes(data)
    assert (await rejected(pipeline, tmp_path / "a.png", out)).code == code


@pytest.mark.parametrize(
    ("width", "height"), [(65_536, 1), (1, 65_536), (20_000, 20_000), (2**31 - 1, 2**31 - 1)]
)
async def test_a_header_that_claims_too_much_is_refused_before_decoding(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, width: int, height: int
) -> None:
    (tmp_path / "a.png").write_bytes(png_header(width, height))
    refusal = await rejected(pipeline, tmp_path / "a.png", out)
    assert refusal.code in {"asset.image_too_large", "asset.image_corrupt"}
    if width < 2**30:
        assert refusal.code == "asset.image_too_large"
        assert f"{width:,} × {height:,}" in refusal.detail


async def test_a_missing_file_is_not_the_images_fault(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await pipeline.render(tmp_path / "none.png", out)
    with pytest.raises(FileNotFoundError):
        await pipeline.render(saved(plain(9, 9, RED), tmp_path / "a.png"), tmp_path / "nowhere")


async def test_a_file_name_is_never_read_as_options(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    saved(quarters(64, 64), tmp_path / "a.png")
    source = (tmp_path / "a.png").rename(tmp_path / "a.png[page=1,n=9]%s.jpg")
    assert (await pipeline.render(source, out)).media_type == "image/png"
