"""Pictures as programs and cameras really write them, and as transport really breaks them."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pyvips

from infra.images import ImagePipeline, Rendered
from infra.settings import AssetSettings
from tests.infra.pictures import BLUE, RED, WHITE, busy, near, pixel, plain, quarters
from tests.infra.test_images import by_name, rejected, saved


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


def jpeg(image: pyvips.Image, **options: object) -> bytes:
    data: bytes = image.jpegsave_buffer(**options)
    return data


async def test_a_jpeg_damaged_in_its_middle_is_rejected_rather_than_shown_half_grey(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    data = jpeg(busy(600, 400))
    middle = len(data) // 2
    source = tmp_path / "a.jpg"
    source.write_bytes(data[:middle] + data[middle + 20_000 :])
    assert (await rejected(pipeline, source, out)).code == "asset.image_corrupt"


async def test_a_gif_with_damaged_data_is_rejected(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    source = saved(busy(200, 200), tmp_path / "a.gif")
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    source.write_bytes(data)
    assert (await rejected(pipeline, source, out)).code == "asset.image_corrupt"


async def test_what_cameras_get_wrong_in_whole_jpegs_is_no_matter(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    data = jpeg(quarters(400, 300))
    after = 4 + int.from_bytes(data[4:6], "big")
    source = tmp_path / "a.jpg"
    source.write_bytes(data[:after] + b"\x00\x00\x00" + data[after:])
    with pytest.raises(pyvips.Error, match="extraneous bytes"):
        pyvips.Image.new_from_file(str(source), fail_on="warning").copy_memory()
    rendered = await pipeline.render(source, out)
    assert near(pixel(by_name(rendered)["320.jpeg"].path, 0.25, 0.25), RED)
    assert len(rendered.renditions) == 4


@pytest.mark.parametrize(
    "options",
    [
        {"interlace": True},
        {"restart_interval": 4},
        {"subsample_mode": "off"},
        {"subsample_mode": "on", "Q": 97},
    ],
)
async def test_jpegs_of_every_making_look_the_same(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, options: dict[str, object]
) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(quarters(900, 600), **options))
    looks_like_quarters(await pipeline.render(tmp_path / "a.jpg", out))


def looks_like_quarters(rendered: Rendered) -> None:
    for made in rendered.renditions:
        wanted = quarters(900, 600).resize(made.width / 900, vscale=made.height / 600)
        difference = (pyvips.Image.new_from_file(str(made.path)) - wanted).abs()
        assert difference.avg() < 3, made.name


@pytest.mark.parametrize("precision", [12, 16])
async def test_a_jpeg_of_more_bits_than_can_be_decoded_is_refused_as_such(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, precision: int
) -> None:
    data = bytearray(jpeg(quarters(64, 64)))
    data[data.index(b"\xff\xc0") + 4] = precision
    (tmp_path / "a.jpg").write_bytes(data)
    assert (await rejected(pipeline, tmp_path / "a.jpg", out)).code == "asset.image_unsupported"


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw"},
        {"compression": "deflate", "predictor": "horizontal"},
        {"compression": "packbits"},
        {"compression": "jpeg", "Q": 95},
        {"tile": True, "pyramid": True},
        {"bigtiff": True},
    ],
)
async def test_tiffs_of_every_making_look_the_same(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, options: dict[str, object]
) -> None:
    source = saved(quarters(900, 600), tmp_path / "a.tiff", **options)
    looks_like_quarters(await pipeline.render(source, out))


@pytest.mark.parametrize("compression", ["ccittfax4", "packbits"])
async def test_a_tiff_of_one_bit_keeps_its_black_and_white(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, compression: str
) -> None:
    image = plain(200, 200, [0]).join(plain(200, 200, [255]), "horizontal")
    source = saved(
        image.copy(interpretation="b-w"), tmp_path / "a.tiff", bitdepth=1, compression=compression
    )
    made = by_name(await pipeline.render(source, out))["320.jpeg"].path
    assert pixel(made, 0.2, 0.5)[0] < 10
    assert pixel(made, 0.8, 0.5)[0] > 245


@pytest.mark.parametrize(
    ("scale", "offset", "kind"),
    [(1 / 255, 0, "float"), (1, 0, "float"), (300, -9000, "float"), (70000, 0, "int")],
)
async def test_measured_values_of_any_range_are_shown_as_shades(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, scale: float, offset: float, kind: str
) -> None:
    ramp = pyvips.Image.identity().resize(2, vscale=100).cast("float")
    values = (ramp * scale + offset).cast(kind)
    rendered = await pipeline.render(saved(values, tmp_path / "a.tiff"), out)
    shown = by_name(rendered)["320.jpeg"].path
    for x in (0.1, 0.5, 0.9):
        assert near(pixel(shown, x, 0.5), [round(255 * x)], within=8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("profile", [b"garbage" * 100, b"", "cmyk"])
async def test_a_profile_that_does_not_fit_is_ignored(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, suffix: str, profile: bytes | str
) -> None:
    image = quarters(400, 300).copy()
    if profile == "cmyk":
        profile = image.icc_transform("cmyk", input_profile="srgb").get("icc-profile-data")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    rendered = await pipeline.render(saved(image, tmp_path / f"a{suffix}"), out)
    for made in rendered.renditions:
        assert near(pixel(made.path, 0.25, 0.25), RED)
        assert near(pixel(made.path, 0.75, 0.75), WHITE)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".avif"])
async def test_a_wide_gamut_is_brought_into_srgb_whatever_the_format(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, suffix: str
) -> None:
    wide = plain(400, 300, [200, 60, 60]).icc_transform("p3", input_profile="srgb")
    rendered = await pipeline.render(saved(wide, tmp_path / f"a{suffix}"), out)
    for made in rendered.renditions:
        assert near(pixel(made.path, 0.5, 0.5), [200, 60, 60], within=6)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
async def test_no_frame_of_an_animation_shows_in_the_edges_of_the_next(
    pipeline: ImagePipeline, tmp_path: Path, out: Path, suffix: str
) -> None:
    shades = [plain(500, 300, [0 if n % 2 else 255] * 3) for n in range(6)]
    roll = pyvips.Image.arrayjoin(shades, across=1).copy()
    roll.set_type(pyvips.GValue.gint_type, "page-height", 300)
    roll.set_type(pyvips.GValue.array_int_type, "delay", [80] * 6)
    rendered = await pipeline.render(saved(roll, tmp_path / f"a{suffix}"), out)
    for made in rendered.renditions:
        shown = pyvips.Image.new_from_file(str(made.path), n=-1)
        assert shown.get("n-pages") == 6
        for frame in range(6):
            for row in (0, made.height - 1):
                found = shown.getpoint(9, frame * made.height + row)[0]
                assert abs(found - (0 if frame % 2 else 255)) < 6, (made.name, frame, row)


async def test_an_animation_too_large_for_memory_is_rendered_all_the_same(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    # 72 megapixels over all frames: 288 MB.
    frames = [plain(3000, 2000, colour) for colour in [RED, BLUE] * 6]
    roll = pyvips.Image.arrayjoin(frames, across=1).copy()
    roll.set_type(pyvips.GValue.gint_type, "page-height", 2000)
    rendered = await pipeline.render(saved(roll, tmp_path / "a.gif", effort=1), out)
    shown = pyvips.Image.new_from_file(str(by_name(rendered)["320.gif"].path), n=-1)
    assert (rendered.frames, shown.get("n-pages")) == (12, 12)
    for frame, colour in ((0, RED), (11, BLUE)):
        assert near(shown.getpoint(9, frame * 213 + 99)[:3], colour)


async def test_threads_and_processes_make_no_difference_to_the_bytes(
    tmp_path: Path, pipeline: ImagePipeline
) -> None:
    source = saved(busy(2500, 1800), tmp_path / "a.jpg")
    single = ImagePipeline(AssetSettings(image_workers=1))
    await single.start()
    try:
        made = []
        for number, each in enumerate((pipeline, single, pipeline)):
            into = tmp_path / str(number)
            into.mkdir()
            rendered = await each.render(source, into)
            files = {one.name: one.path.read_bytes() for one in rendered.renditions}
            made.append((files, rendered.placeholder, rendered.dominant_color))
    finally:
        await single.close()
    assert made[0] == made[1] == made[2]


async def test_progress_is_told_after_decoding_and_after_each_rendition(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    told: list[tuple[int, int]] = []

    async def progress(done: int, total: int) -> None:
        told.append((done, total))

    await pipeline.render(saved(busy(900, 600), tmp_path / "a.jpg"), out, progress)
    assert told == [(done, 6) for done in range(7)]


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def heic() -> bytes:
    """A HEIC as phones write it, as far as what is compressed: that is beside the point."""
    nothing = bytes(4)
    config = bytes([1, 1, 0x60, *bytes(3), 0x90, *bytes(5), 93, 0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8])
    properties = box(
        b"ipco",
        box(b"hvcC", config, b"\x00\x00\x0f\x00"),
        box(b"ispe", nothing, struct.pack(">II", 64, 64)),
    )
    said = struct.pack(">IIHBBB", 0, 1, 1, 2, 0x81, 2)
    entry = box(b"infe", b"\x02\x00\x00\x00", struct.pack(">HH", 1, 0), b"hvc1", b"\x00")
    head = box(b"ftyp", b"heic", nothing, b"mif1heic")

    def meta(at: int) -> bytes:
        place = struct.pack(">IHHHHHII", 0, 0x4400, 1, 1, 0, 1, at, 16)
        return box(
            b"meta",
            nothing,
            box(b"hdlr", nothing, nothing, b"pict", bytes(13)),
            box(b"pitm", nothing, b"\x00\x01"),
            box(b"iinf", nothing, b"\x00\x01", entry),
            box(b"iprp", properties, box(b"ipma", said)),
            box(b"iloc", place),
        )

    at = len(head) + len(meta(0)) + 8
    return head + meta(at) + box(b"mdat", bytes(16))


async def test_a_heic_is_refused_with_what_would_do_instead(
    pipeline: ImagePipeline, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "a.heic").write_bytes(heic())
    refusal = await rejected(pipeline, tmp_path / "a.heic", out)
    assert refusal.code == "asset.image_unsupported"
    assert "JPEG" in refusal.detail
