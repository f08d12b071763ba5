"""SVG: drawn like any image, and reaching for nothing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pyvips

from infra.images import ImagePipeline, ImageRejected, Rendered
from infra.settings import AssetSettings
from tests.infra.pictures import BLUE, GREEN, RED, near, pixel, plain

NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
GREEN_CSS = "rgb(30,180,60)"


@pytest.fixture(scope="module")
async def pipeline() -> AsyncIterator[ImagePipeline]:
    running = ImagePipeline(AssetSettings(image_timeout=30))
    await running.start()
    yield running
    await running.close()


def drawing(inside: str, before: str = "", size: str = 'width="400" height="200"') -> str:
    return f'{before}<svg {NS} {size}><rect width="400" height="200" fill="{GREEN_CSS}"/>{inside}</svg>'


async def drawn(pipeline: ImagePipeline, folder: Path, svg: str | bytes) -> Rendered:
    data = svg.encode() if isinstance(svg, str) else svg
    (folder / "a.svg").write_bytes(data)
    return await pipeline.render(folder / "a.svg", folder)


async def all_green(pipeline: ImagePipeline, folder: Path, svg: str) -> bool:
    rendered = await drawn(pipeline, folder, svg)
    path = next(r.path for r in rendered.renditions if r.name == "320.png")
    return all(near(pixel(path, x, y)[:3], GREEN) for x in (0.2, 0.5, 0.8) for y in (0.3, 0.7))


async def test_an_svg_is_drawn_sharp_at_every_size(pipeline: ImagePipeline, tmp_path: Path) -> None:
    svg = f'<svg {NS} width="2000" height="1000"><rect x="1000" width="1000" height="1000" fill="rgb(220,30,30)"/></svg>'
    rendered = await drawn(pipeline, tmp_path, svg)
    assert (rendered.media_type, rendered.width, rendered.height) == ("image/svg+xml", 2000, 1000)
    assert [(r.name, r.width) for r in rendered.renditions] == [
        *(
            (f"{width}.{format_}", width)
            for width in (320, 800, 1600)
            for format_ in ("webp", "png")
        ),
        ("safe.svg", 2000),
    ]
    for made in rendered.renditions:
        assert pixel(made.path, 0.25, 0.5)[3] == 0
        assert near(pixel(made.path, 0.75, 0.5), [*RED, 255])


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [
        ('viewBox="0 0 300 150"', 300, 150),
        ('width="2in" height="1in"', None, None),
        ('width="50%" height="50%" viewBox="0 0 400 200"', None, None),
    ],
)
async def test_sizes_in_any_unit(
    pipeline: ImagePipeline, tmp_path: Path, size: str, width: int | None, height: int | None
) -> None:
    rendered = await drawn(pipeline, tmp_path, drawing("", size=size))
    assert rendered.renditions
    if width is not None:
        assert (rendered.width, rendered.height) == (width, height)


async def test_prolog_comments_utf16_and_plain_entities_are_fine(
    pipeline: ImagePipeline, tmp_path: Path
) -> None:
    before = (
        '<?xml version="1.0"?><!-- x --><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
        '"http://127.0.0.1:1/svg11.dtd" [<!ENTITY colour "rgb(40,60,200)">]>'
    )
    rect = '<rect width="400" height="200" fill="&colour;"/>'
    rendered = await drawn(pipeline, tmp_path, drawing(rect, before))
    assert near(pixel(rendered.renditions[1].path, 0.5, 0.5)[:3], BLUE)
    assert await drawn(pipeline, tmp_path, ("\ufeff" + drawing("")).encode("utf-16-le"))


async def test_an_embedded_picture_is_drawn(pipeline: ImagePipeline, tmp_path: Path) -> None:
    data = base64.b64encode(plain(8, 8, BLUE).pngsave_buffer()).decode()
    for attribute in ("href", "xlink:href"):
        image = f'<image width="400" height="200" preserveAspectRatio="none" {attribute}="data:image/png;base64,{data}"/>'
        rendered = await drawn(pipeline, tmp_path, drawing(image))
        assert near(pixel(rendered.renditions[1].path, 0.5, 0.5)[:3], BLUE)


async def test_references_within_the_file_are_kept(pipeline: ImagePipeline, tmp_path: Path) -> None:
    inside = (
        '<defs><linearGradient id="g"><stop stop-color="rgb(40,60,200)"/></linearGradient>'
        '<rect id="r" width="400" height="200"/></defs>'
        "<style>.x { fill: url('#g') }</style><use href='#r' class='x'/>"
    )
    rendered = await drawn(pipeline, tmp_path, drawing(inside))
    assert near(pixel(rendered.renditions[1].path, 0.5, 0.5)[:3], BLUE)


@pytest.mark.parametrize("place", ["relative", "absolute", "file", "encoded"])
@pytest.mark.parametrize(
    "template",
    [
        '<image width="400" height="200" preserveAspectRatio="none" href="{}"/>',
        '<image width="400" height="200" preserveAspectRatio="none" xlink:href=" {}"/>',
        '<filter id="f"><feImage href="{}"/></filter><rect width="400" height="200" fill="none" filter="url(#f)"/>',
        '<use href="{}#x"/>',
        '<style>@import "{}"; rect {{ mask: url({}) }}</style>',
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}" parse="text"/>',
        '<g xml:base="{}"><image width="400" height="200" href="x.png"/></g>',
    ],
)
async def test_files_beside_the_drawing_are_never_drawn(
    pipeline: ImagePipeline, tmp_path: Path, template: str, place: str
) -> None:
    secret = tmp_path / "secret.png"
    plain(400, 200, RED).write_to_file(str(secret))
    reference = {
        "relative": "secret.png",
        "absolute": str(secret),
        "file": f"file://{secret}",
        "encoded": f"FILE://{secret}".replace("secret", "%73ecret"),
    }[place]
    assert await all_green(pipeline, tmp_path, drawing(template.replace("{}", reference)))


async def test_no_address_is_ever_called(pipeline: ImagePipeline, tmp_path: Path) -> None:
    calls = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    inside = (
        f'<image width="9" height="9" href="{url}.png"/><image width="9" height="9" xlink:href="{url}"/>'
        f'<style>@import url({url}.css); @font-face {{ font-family: f; src: url("{url}.woff") }} '
        f"text {{ font-family: f }}</style><text y='20'>x</text>"
        f'<g style="filter:url({url}#f)"><rect width="9" height="9"/></g>'
        f"<script href='{url}.js'/><foreignObject><iframe src='{url}'/></foreignObject>"
    )
    before = (
        f'<?xml version="1.0"?><?xml-stylesheet href="{url}.css"?><!DOCTYPE svg SYSTEM "{url}.dtd">'
    )
    async with server:
        assert await drawn(pipeline, tmp_path, drawing(inside, before))
    assert calls == 0


@pytest.mark.parametrize(
    "declaration",
    [
        '<!ENTITY x SYSTEM "file:///etc/hostname">',
        '<!ENTITY x SYSTEM "http://127.0.0.1:1/">',
        '<!ENTITY x PUBLIC "a" "file:///etc/hostname">',
        '<!ENTITY % p SYSTEM "file:///etc/hostname"> %p; <!ENTITY x "y">',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;">',
        '<!ENTITY x "' + "y" * 5000 + '">',
    ],
)
async def test_entities_that_reach_out_or_grow_are_rejected(
    pipeline: ImagePipeline, tmp_path: Path, declaration: str
) -> None:
    svg = drawing("<text>&x;</text>", f'<?xml version="1.0"?><!DOCTYPE svg [{declaration}]>')
    with pytest.raises(ImageRejected) as refusal:
        await drawn(pipeline, tmp_path, svg)
    assert refusal.value.code == "asset.image_unsupported"
    assert "entity" in refusal.value.detail


@pytest.mark.parametrize(
    ("svg", "code"),
    [
        (drawing("")[:-10], "asset.image_corrupt"),
        (drawing("<g>"), "asset.image_corrupt"),
        (drawing("", size='width="70000" height="10"'), "asset.image_too_large"),
        (drawing("", size='width="30000" height="30000"'), "asset.image_too_large"),
        (drawing("<g>" * 200_000 + "</g>" * 200_000), None),
        (drawing("", size='width="0" height="0"'), None),
        ("<svg/>", None),
    ],
)
async def test_broken_and_monstrous_drawings_are_rejected(
    pipeline: ImagePipeline, tmp_path: Path, svg: str, code: str | None
) -> None:
    with pytest.raises(ImageRejected) as refusal:
        await drawn(pipeline, tmp_path, svg)
    assert code in (None, refusal.value.code)
    assert "vips" not in refusal.value.detail


async def test_the_drawing_that_is_rendered_is_a_real_picture(
    pipeline: ImagePipeline, tmp_path: Path
) -> None:
    rendered = await drawn(pipeline, tmp_path, drawing("<text x='9' y='99'>hello</text>"))
    assert pyvips.Image.new_from_file(str(rendered.renditions[0].path)).width == 320
    assert rendered.dominant_color == "#1eb43c"
