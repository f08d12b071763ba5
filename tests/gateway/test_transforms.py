"""Pictures transformed by signed URL, over HTTP, with the real worker."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest
import pyvips
from gateway_client import Answer, Api, Tenant
from gateway_stack import eventually
from pymongo import AsyncMongoClient

from gateway.serving.accepting import best_format
from infra.embedded.running import RunningStack
from tests.infra.pictures import BLUE, GREEN, RED, WHITE, near, plain, quarters

BROWSER = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}


def photo(width: int = 600, height: int = 400) -> bytes:
    """A picture nobody has uploaded before."""
    data: bytes = quarters(width, height).jpegsave_buffer(Q=95)
    return data + os.urandom(8)


async def uploaded(tenant: Tenant, data: bytes, name: str = "photo.jpg") -> str:
    """The path of a new asset, once it is processed."""
    assets = f"/v1/orgs/{tenant.org}/assets"
    made = await tenant.owner.api.post(f"{assets}?filename={name}&wait=ready", data=data)
    assert made.status == 201, str(made)
    return f"{assets}/{made.json['id']}"


@pytest.fixture(scope="module")
async def asset(alpha: Tenant) -> str:
    return await uploaded(alpha, photo())


async def view_of(tenant: Tenant, asset: str, **asked: Any) -> dict[str, Any]:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in asked.items())
    answer = await tenant.owner.api.get(f"{asset}/transform?{query}")
    assert answer.status == 200, str(answer)
    found: dict[str, Any] = answer.json
    return found


def picture(answer: Answer) -> pyvips.Image:
    assert answer.status == 200, str(answer)
    return pyvips.Image.new_from_buffer(answer.body, "")


async def renderings(stack: RunningStack) -> int:
    """How many were commanded so far."""
    async with AsyncMongoClient[dict[str, Any]](stack.mongo_url) as client:
        inbox = client[stack.env["GRID8_MONGO__DATABASE"]]["inbox"]
        return await inbox.count_documents({"type": "asset.transform.render"})


# --- asking for a URL ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"width": 300}, (300, 200)),
        ({"height": 100}, (150, 100)),
        ({"width": 300, "height": 50}, (75, 50)),
        ({}, (600, 400)),
        ({"width": 4000}, (600, 400)),
        ({"mode": "fill", "width": 100, "height": 100}, (100, 100)),
        ({"mode": "fill", "width": 1200, "height": 1200}, (400, 400)),
        ({"mode": "crop", "region": "10,20,100,50"}, (100, 50)),
        ({"mode": "crop", "region": "10,20,100,50", "width": 50}, (50, 25)),
        ({"mode": "crop", "region": "10,20,100,50", "width": 900}, (100, 50)),
    ],
)
async def test_a_view_says_the_size_and_the_picture_has_it(
    asked: dict[str, Any], size: tuple[int, int], alpha: Tenant, asset: str
) -> None:
    view = await view_of(alpha, asset, **asked)
    assert (view["width"], view["height"]) == size
    image = picture(await alpha.owner.api.as_(None).get(view["url"]))
    assert (image.width, image.height) == size


async def test_equal_pictures_have_one_url_however_they_are_asked_for(
    alpha: Tenant, asset: str
) -> None:
    same = [
        {"width": 300},
        {"width": 300, "height": 200},
        {"height": 200},
        {"width": 300, "height": 4000, "mode": "fit"},
        {"mode": "fill", "width": 300, "height": 200},
        {"mode": "fill", "width": 300, "height": 200, "gravity": "top"},
        {"mode": "crop", "region": "0,0,600,400", "width": 300},
        {"width": 300, "format": "auto", "animated": "false"},
    ]
    views = [await view_of(alpha, asset, **each) for each in same]
    assert len({view["url"] for view in views}) == 1
    other = await view_of(alpha, asset, width=300, quality=50)
    assert other["url"] != views[0]["url"]
    # Of a PNG, a quality is no difference.
    pngs = [await view_of(alpha, asset, format="png", **each) for each in ({}, {"quality": 9})]
    assert pngs[0]["url"] == pngs[1]["url"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("mode=stretch", "mode"),
        ("width=0", "width"),
        ("width=-1", "width"),
        ("width=4097", "width"),
        ("height=99999999999999999999", "height"),
        ("width=1e3", "width"),
        ("width=1.0", "width"),
        ("width=%2B5", "width"),
        ("width=%D9%A3", "width"),
        ("width=", "width"),
        ("quality=0", "quality"),
        ("quality=101", "quality"),
        ("format=gif", "format"),
        ("animated=perhaps", "animated"),
        ("mode=fill", "width"),
        ("mode=fill&width=10", "height"),
        ("mode=fill&width=10&height=10&gravity=face", "gravity"),
        ("gravity=top", "gravity"),
        ("mode=crop", "region"),
        ("region=0,0,1,1", "region"),
        ("mode=crop&region=0,0,601,1", "region"),
        ("mode=crop&region=600,0,1,1", "region"),
        ("mode=crop&region=0,0,0,0", "region"),
        ("mode=crop&region=-1,0,5,5", "region"),
        ("mode=crop&region=1,2,3", "region"),
        ("mode=crop&region=1,2,3,4,5", "region"),
        ("mode=crop&region=%D9%A3,0,5,5", "region"),
        ("mode=crop&region=9999999,0,5,5", "region"),
        ("width=5&width=6", "width"),
        ("blur=5", "blur"),
    ],
)
async def test_what_cannot_be_made_is_refused_by_field(
    asked: str, field: str, alpha: Tenant, asset: str
) -> None:
    problem = (await alpha.owner.api.get(f"{asset}/transform?{asked}")).is_problem(422)
    assert [each["pointer"] for each in problem["errors"]] == [field]


async def test_only_a_picture_that_could_be_read_is_transformed(alpha: Tenant) -> None:
    for data, name, why in (
        (b"words " + os.urandom(8).hex().encode(), "a.txt", "kind document"),
        (photo()[:900], "b.jpg", "could not be rendered. The JPEG"),
    ):
        asset = await uploaded(alpha, data, name)
        problem = (await alpha.owner.api.get(f"{asset}/transform?width=10")).is_problem(422)
        assert problem["code"] == "asset.transform_impossible"
        assert why in problem["detail"]


async def test_a_picture_is_saved_under_the_name_of_its_asset_and_its_size(
    alpha: Tenant,
) -> None:
    asset = await uploaded(alpha, photo() + os.urandom(8), quote("Häuser am See.jpg"))
    for asked, saved in (
        ({"format": "webp"}, "Häuser am See-300x200.webp"),
        ({"format": "auto"}, "Häuser am See-300x200.jpg"),
    ):
        url = (await view_of(alpha, asset, width=300, **asked))["url"]
        made = await alpha.owner.api.as_(None).get(url)
        assert made.headers["Content-Disposition"].endswith(f"UTF-8''{quote(saved)}")


async def test_who_reads_assets_may_have_urls_and_nobody_else(
    alpha: Tenant, beta: Tenant, asset: str
) -> None:
    for role in ("viewer", "reviewer", "editor"):
        assert (await alpha.people[role].api.get(f"{asset}/transform?width=9")).status == 200
    (await beta.owner.api.get(f"{asset}/transform?width=9")).is_problem(404)
    across = asset.replace(alpha.org, beta.org)
    found = await beta.owner.api.get(f"{across}/transform?width=9")
    assert found.is_problem(404)["code"] == "asset.not_found"


# --- pictures ------------------------------------------------------------------------------


async def test_a_picture_is_made_and_then_served_like_any_file(alpha: Tenant, asset: str) -> None:
    url = (await view_of(alpha, asset, width=120, format="webp"))["url"]
    anybody = alpha.owner.api.as_(None)
    first = await anybody.get(url)
    image = picture(first)
    for x, y, colour in ((5, 5, RED), (115, 5, GREEN), (5, 75, BLUE), (115, 75, WHITE)):
        assert near(image.getpoint(x, y), colour)
    assert first.headers["Content-Type"] == "image/webp"
    assert first.headers["Content-Disposition"].startswith("inline; ")
    assert "immutable" in first.headers["Cache-Control"]
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in first.headers["Content-Security-Policy"]
    assert "Vary" not in first.headers or "Accept" not in first.headers["Vary"]
    again = await anybody.get(url)
    assert (again.body, again.headers["ETag"]) == (first.body, first.headers["ETag"])
    part = await anybody.get(url, headers={"Range": "bytes=0-11"})
    assert (part.status, part.body) == (206, first.body[:12])
    same = await anybody.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status, same.body) == (304, b"")
    head = await anybody("HEAD", url)
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(first.body)))


async def test_the_format_is_the_best_that_the_reader_names(alpha: Tenant, asset: str) -> None:
    url = (await view_of(alpha, asset, width=90))["url"]
    anybody = alpha.owner.api.as_(None)
    etags = {}
    for accept, media_type in (
        (BROWSER["Accept"], "image/avif"),
        ("image/webp,*/*", "image/webp"),
        ("image/jpeg", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("", "image/jpeg"),
        ("text/html", "image/jpeg"),
        ("\u00ff;;q=,,;q=2;image/avif", "image/jpeg"),
        ("image/avif;q=0,image/webp;q=0.5,image/png;q=0.1", "image/webp"),
    ):
        answer = await anybody.get(url, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == media_type, accept
        assert "Accept" in answer.headers["Vary"]
        etags[media_type] = answer.headers["ETag"]
        same = await anybody.get(
            url, headers={"Accept": accept, "If-None-Match": answer.headers["ETag"]}
        )
        assert same.status == 304
        assert "Accept" in same.headers["Vary"]
    assert len(set(etags.values())) == 3


async def test_what_is_transparent_stays_so_for_every_reader(alpha: Tenant) -> None:
    clear = plain(80, 80, [*RED, 0]).insert(plain(40, 80, [*RED, 255]), 0, 0)
    asset = await uploaded(alpha, clear.pngsave_buffer() + os.urandom(8), "clear.png")
    anybody = alpha.owner.api.as_(None)
    white = (await view_of(alpha, asset, width=40, format="jpeg"))["url"]
    assert near(picture(await anybody.get(white)).getpoint(30, 20), [255, 255, 255])
    url = (await view_of(alpha, asset, width=40))["url"]
    for accept, media_type in ((BROWSER["Accept"], "avif"), ("*/*", "png")):
        answer = await anybody.get(url, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == f"image/{media_type}"
        assert picture(answer).getpoint(30, 20)[3] == 0


async def test_an_animation_moves_unless_it_is_not_to(alpha: Tenant) -> None:
    frames = [plain(60, 40, [n * 60] * 3) for n in range(4)]
    strip = pyvips.Image.arrayjoin(frames, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", 40)
    data = strip.gifsave_buffer(keep_duplicate_frames=True) + os.urandom(8)
    asset = await uploaded(alpha, data, "moves.gif")
    anybody = alpha.owner.api.as_(None)
    for asked, count in (({}, 4), ({"animated": "false"}, 1)):
        url = (await view_of(alpha, asset, width=30, format="webp", **asked))["url"]
        answer = await anybody.get(url, headers=BROWSER)
        image = pyvips.Image.new_from_buffer(answer.body, "[n=-1]")
        found = image.get("n-pages") if image.get_typeof("n-pages") else 1
        assert found == count
    # Whoever may be given anything is given what moves, and no AVIF that does not.
    url = (await view_of(alpha, asset, width=30))["url"]
    answer = await anybody.get(url, headers=BROWSER)
    assert answer.headers["Content-Type"] == "image/webp"


async def test_a_stampede_is_one_rendering(
    stack: RunningStack, alpha: Tenant, http: aiohttp.ClientSession
) -> None:
    asset = await uploaded(alpha, photo(1200, 800))
    url = (await view_of(alpha, asset, width=700, format="webp"))["url"]
    path = url[url.index("/files/") :]
    gateways = [
        Api(http, stack.gateway_url),
        Api(http, str(stack.process("gateway-small").process.shown)),
    ]
    before = await renderings(stack)
    answers = await asyncio.gather(*(gateways[n % 2].get(path) for n in range(200)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    # One command of each gateway at most; that the second finds the work of the first done is
    # shown in tests/handlers/asset.
    assert 1 <= await renderings(stack) - before <= 2


async def test_nothing_but_what_was_signed_is_made(
    stack: RunningStack, alpha: Tenant, beta: Tenant, asset: str
) -> None:
    url = (await view_of(alpha, asset, mode="fill", width=50, height=50, quality=70))["url"]
    other = await uploaded(beta, photo())
    theirs = (await view_of(beta, other, mode="fill", width=50, height=50, quality=70))["url"]
    anybody = alpha.owner.api.as_(None)
    parts = urlsplit(url)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()}
    key = parts.path.removeprefix("/files/transforms/")
    assert list(given) == [
        "mode",
        "width",
        "height",
        "gravity",
        "quality",
        "format",
        "name",
        "expires",
        "sig",
    ]

    def link(key: str = key, **changed: str) -> str:
        query = {**given, **changed}
        return f"/files/transforms/{key}?" + "&".join(f"{n}={v}" for n, v in query.items())

    before = await renderings(stack)
    for forged in (
        link(width="51"),
        link(width="050"),
        link(height="4096"),
        link(mode="fit"),
        link(gravity="top"),
        link(quality="71"),
        link(format="png"),
        link(moving="1"),
        link(name="invoice"),
        link(region="0,0,1,1"),
        link(expires=given["expires"] + "0"),
        link(sig="0" * 64),
        link(sig=urlsplit(theirs).query.rpartition("=")[2]),
        link(key=urlsplit(theirs).path.removeprefix("/files/transforms/")),
        link(key=key.replace("/", "%2f")) + "&x=1",
        link(key=f"{key}/../x"),
        link(key=f"..%2f{key}"),
        link(key=f"%252e%252e/{key}"),
        link() + "&width=51",
        link() + "&blur=1",
        link().replace("&gravity=attention", ""),
        link().replace("&sig=", "&SIG="),
        link().partition("&sig=")[0],
        link().replace("/files/transforms/", "/files/"),
        f"/files/transforms/{key}",
    ):
        answer = await anybody.get(forged)
        assert answer.is_problem(403)["code"] == "asset.file_url_invalid", forged
        assert answer.headers["Cache-Control"] == "no-store"
    assert await renderings(stack) == before
    assert (await anybody.get(link())).status == 200


async def test_transforms_go_with_the_asset(alpha: Tenant) -> None:
    asset = await uploaded(alpha, photo())
    url = (await view_of(alpha, asset, width=40, format="webp"))["url"]
    other = (await view_of(alpha, asset, width=41, format="webp"))["url"]
    anybody = alpha.owner.api.as_(None)
    assert (await anybody.get(url)).status == 200
    assert (await alpha.owner.api.delete(asset)).status == 204
    assert (await anybody.get(url)).status == 200, "it is in the trash, and a URL is a URL"
    assert (await alpha.owner.api.delete(asset.replace("/assets/", "/trash/"))).status == 204

    async def status() -> int:
        return (await anybody.get(url)).status

    await eventually(status, lambda found: found == 404)
    assert (await anybody.get(other)).is_problem(404)["code"] == "asset.file_not_found"


# --- Accept --------------------------------------------------------------------------------


class Asking:
    """What is asked of a request here."""

    def __init__(self, *accept: str) -> None:
        from multidict import CIMultiDict

        self.headers = CIMultiDict([("Accept", each) for each in accept])


@pytest.mark.parametrize(
    ("accept", "moving", "best"),
    [
        ((BROWSER["Accept"],), False, "avif"),
        ((BROWSER["Accept"],), True, "webp"),
        (("image/webp", "image/avif"), False, "avif"),
        (("IMAGE/AVIF",), False, "avif"),
        (("image/avif; q=1.0 , */*",), False, "avif"),
        (("image/avif;q=0.8,image/webp;q=0.9",), False, "webp"),
        (("image/avif;q=0.5,image/jpeg",), False, "still"),
        (("image/avif;q=0.5,image/*;q=0.8",), False, "still"),
        (("image/avif;q=0,image/webp;q=0",), False, "still"),
        (("image/avif;q=0",), False, "still"),
        (("image/*",), False, "still"),
        (("*/*",), False, "still"),
        ((), False, "still"),
        (("",), False, "still"),
        (("text/html, image/avifx, image/avif/webp",), False, "still"),
        (("image/avif;q=1.5",), False, "still"),
        (("image/avif;q=nan",), False, "still"),
        (("image/avif;q=-1",), False, "still"),
        (("image/avif;q=\u0661",), False, "still"),
        (("image/avif;profile=x;q=0.4, */*;q=0.3",), False, "avif"),
        ((",,;;q=,=,image/webp",), False, "webp"),
        ((",".join(f"a/{n}" for n in range(200)) + ",image/avif",), False, "still"),
        (("image/avif",), True, "still"),
    ],
)
def test_an_accept_header_is_read_as_it_is_meant(
    accept: tuple[str, ...], moving: bool, best: str
) -> None:
    request: Any = Asking(*accept)
    assert best_format(request, moving=moving) == best
