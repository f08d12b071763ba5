"""URLs of files: signed, for a while, under rotating keys; names and types that do no harm."""

from __future__ import annotations

import email.message
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import aiohttp
import pytest
from file_server import KEY, FileServer
from gateway_client import Api, Tenant
from pydantic import ValidationError
from test_uploads import EVIL_SVG, PNG, assets, picture, text

from gateway.serving.disposition import disposition, safe_name
from infra.secrets import file_signer
from infra.settings import FilesSettings, GatewaySettings, SecretsSettings, Settings, StoreSettings
from infra.signing import LONGEST, FileSigner, SignatureExpired, SignatureInvalid, signature
from tests.infra.stores import local_settings, opened_store

__all__ = ["assets"]

OLD, NEW = b"an old key, long enough", b"a new key, long enough"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FileServer]:
    settings = local_settings(tmp_path / "objects")
    async with opened_store(settings) as store, FileServer(store).serving() as serving:
        await serving.put(b"data")
        yield serving


@pytest.fixture
def get(http: aiohttp.ClientSession, server: FileServer) -> Api:
    return Api(http, server.base)


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def check(signer: FileSigner, url: str) -> int:
    return signer.check("file", KEY, query_of(url))


def a_url(*keys: bytes) -> str:
    return FileSigner("", keys, 3600).url(KEY, media_type="image/png", filename="a.png")


# --- signatures ----------------------------------------------------------------------------


async def test_nothing_of_a_url_can_be_changed_left_out_or_added(
    server: FileServer, get: Api
) -> None:
    url = server.url(download=True)
    assert (await get.get(url)).status == 200
    given = query_of(url)
    assert set(given) == {"expires", "type", "name", "download", "sig"}

    def link(key: str = KEY, **other: str) -> str:
        query = {**given, **other}
        return f"/files/{key}?" + "&".join(f"{name}={value}" for name, value in query.items())

    assert (await get.get(link())).status == 200
    expires = given["expires"]
    forged = [
        link(sig=given["sig"].upper()),
        link(sig=given["sig"][:-1]),
        link(sig=given["sig"] + "0"),
        link(sig=""),
        link(sig="0" * 64),
        link(sig="%C3%A9"),
        link(sig="%00"),
        link(expires=str(int(expires) + 1)),
        link(expires=expires + "0"),
        link(expires="0" + expires),
        link(expires="-1"),
        link(expires="1e99"),
        link(expires="9" * 5000),
        link(expires="%2B" + expires),
        link(expires=expires + "%20"),
        link(expires=quote("".join(chr(0x660 + int(each)) for each in expires))),
        link(name="other"),
        link(name=""),
        link(name="x" * 5000),
        link(name="a.png%0d%0aSet-Cookie:x=1"),
        link(type="text/html"),
        link(download="0"),
        link(download=""),
        link().replace("download=1&", ""),
        link() + "&sig=" + given["sig"],
        link() + "&name=b.png",
        link() + "&more=x",
        link().replace("name=", "NAME="),
        link(KEY + "x"),
        link(KEY.upper()),
        link(f"./{KEY}"),
        link(f"/{KEY}"),
        link(f"{KEY}/"),
        link(f"{KEY}/../blb_x"),
        link(f"x%2f..%2f{KEY}"),
        link(f"%2e%2e%2f{KEY}"),
        link(f"%252e%252e%252f{KEY}"),
        link(f"{KEY}%00"),
        f"/files/{KEY}",
        f"/files/{KEY}?",
        f"/files/{KEY}?sig={given['sig']}",
        "/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/files/.incoming",
    ]
    for each in forged:
        answer = await get.get(each)
        answer.is_problem(403, 404)
        assert answer.headers["Cache-Control"] == "no-store", each
        assert answer.code in ("asset.file_url_invalid", "route_unknown"), f"{each}: {answer}"


async def test_a_signature_is_good_for_what_it_was_made_for_alone(
    server: FileServer, get: Api
) -> None:
    """Also where somebody finds a key and parameters that both kinds of URL could have."""
    parameters = {"type": "image/png", "name": "a.png"}
    crossed = server.signer.sign("transform", KEY, parameters).url
    answer = await get.get(crossed.replace("/files/transforms/", "/files/"))
    assert answer.is_problem(403)["code"] == "asset.file_url_invalid"
    asked = {"mode": "fit", "width": "9", "height": "9", "format": "png"}
    crossed = server.signer.sign("file", "org_a/blb_x", asked).url
    answer = await get.get(crossed.replace("/files/", "/files/transforms/"))
    assert answer.is_problem(403)["code"] == "asset.file_url_invalid"


def test_no_two_urls_are_signed_alike_however_their_parts_are_cut() -> None:
    query = {"expires": "1", "type": "a", "name": "b"}
    made = {
        signature(OLD, "file", "k", query),
        signature(OLD, "file", "k", {**query, "type": "a\nb", "name": ""}),
        signature(OLD, "file", "k", {**query, "type": "", "name": "a\nb"}),
        signature(OLD, "file", "k\n1", query),
        signature(OLD, "file", "k", {"expires": "1", "type": 'a","name', "name": "b"}),
        signature(OLD, "file", "k", {**query, "download": "1"}),
        signature(OLD, "transform", "k", query),
        signature(NEW, "file", "k", query),
    }
    assert len(made) == 8
    assert signature(OLD, "file", "k", dict(reversed(query.items()))) in made


async def test_a_url_ends_and_says_so(
    server: FileServer, get: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url()
    left = int(query_of(url)["expires"]) - time.time()
    assert 3600 <= left <= 7200
    monkeypatch.setattr("infra.signing.time.time", lambda: int(query_of(url)["expires"]))
    answer = await get.get(url)
    assert answer.is_problem(403)["code"] == "asset.file_url_expired"
    # Only who has the whole of it learns that it was one.
    answer = await get.get(url.replace("name=a", "name=b"))
    assert answer.is_problem(403)["code"] == "asset.file_url_invalid"


def test_a_url_is_the_same_for_a_while_so_that_caches_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(second: int) -> str:
        monkeypatch.setattr("infra.signing.time.time", lambda: second)
        return a_url(OLD)

    assert at(7200) == at(7200 + 3599) != at(7200 + 3600)


def test_no_url_is_good_for_longer_than_any_may_be() -> None:
    with pytest.raises(ValidationError):
        StoreSettings(url_ttl=8 * 86400)
    signer = FileSigner("", [OLD], 60)
    query = {"type": "image/png", "name": "a", "expires": str(int(time.time()) + LONGEST + 60)}
    query["sig"] = signature(OLD, "file", KEY, query)
    with pytest.raises(SignatureInvalid):
        signer.check("file", KEY, query)


# --- keys that rotate ----------------------------------------------------------------------


def test_a_key_is_rotated_without_a_url_that_breaks() -> None:
    """1. every process verifies the new one; 2. it signs; 3. the old one is taken away."""
    before, old = FileSigner("", [OLD], 3600), a_url(OLD)
    known = FileSigner("", [OLD, NEW], 3600)
    assert known.url(KEY, media_type="image/png", filename="a.png") == old
    signing = FileSigner("", [NEW, OLD], 3600)
    new = signing.url(KEY, media_type="image/png", filename="a.png")
    assert new == a_url(NEW) != old
    for url in (old, new):
        assert check(known, url) > 0
        assert check(signing, url) > 0
    after = FileSigner("", [NEW], 3600)
    assert check(after, new) > 0
    for signer, url in ((after, old), (before, new)):
        with pytest.raises(SignatureInvalid) as refused:
            check(signer, url)
        assert not isinstance(refused.value, SignatureExpired)


def test_an_old_url_ends_when_it_says_whichever_key_signs_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = a_url(OLD)
    signer = FileSigner("", [NEW, OLD], 60)
    end = int(query_of(old)["expires"])
    monkeypatch.setattr("infra.signing.time.time", lambda: end - 1)
    assert check(signer, old) == 1
    monkeypatch.setattr("infra.signing.time.time", lambda: end)
    with pytest.raises(SignatureExpired):
        check(signer, old)


def test_the_keys_come_from_their_own_setting_or_else_from_the_sealing_keys() -> None:
    sealing = SecretsSettings.model_validate({"keys": "a2V5" * 10 + "a2U="})
    plain = Settings(secrets=sealing)
    own = Settings(
        secrets=sealing, store=StoreSettings.model_validate({"url_keys": f"{'n' * 16},{'o' * 16}"})
    )
    assert file_signer(own).keys == [b"n" * 16, b"o" * 16]
    (derived,) = file_signer(plain).keys
    assert len(derived) == 32
    assert derived not in file_signer(own).keys
    for weak in ("short", f"{'n' * 16},{'o' * 15}", ",".join([f"{n:016}" for n in range(9)])):
        with pytest.raises(ValidationError):
            StoreSettings.model_validate({"url_keys": weak})


def test_urls_begin_with_the_cdn_where_there_is_one() -> None:
    sealing = SecretsSettings.model_validate({"keys": "a2V5" * 10 + "a2U="})
    gateway = GatewaySettings(public_url="https://api.example")
    for cdn, base in (
        (None, "https://api.example"),
        ("https://cdn.example", "https://cdn.example"),
        ("https://cdn.example/grid8/", "https://cdn.example/grid8"),
    ):
        settings = Settings(secrets=sealing, gateway=gateway, files=FilesSettings(cdn_url=cdn))
        signer = file_signer(settings)
        url = signer.url(KEY, media_type="image/png", filename="a.png")
        assert url.startswith(f"{base}/files/{KEY}?type=")
        assert signer.sign("transform", "o/b", {}).url.startswith(f"{base}/files/transforms/o/b?")
        # Whoever asks the gateway in the CDN's name asks with the same signature.
        assert check(signer, url) > 0
    for odd in ("cdn.example", "ftp://cdn.example", "https://cdn.example/?x=1", "https://a b"):
        with pytest.raises(ValidationError):
            FilesSettings(cdn_url=odd)


# --- names and types -----------------------------------------------------------------------

NAMES = {
    "plain.png": "plain.png",
    'a "quoted" name.png': 'a "quoted" name.png',
    "semi;colon, comma=.png": "semi;colon, comma=.png",
    "100%25.png": "100%25.png",
    "日本語.png": "日本語.png",
    "e\u0301.png": "é.png",
    "😀.png": "😀.png",
    "../../etc/passwd": ".._.._etc_passwd",
    "..\\..\\boot.ini": ".._.._boot.ini",
    "a\r\nSet-Cookie: x=1\r\n\r\n<html>.png": "aSet-Cookie: x=1<html>.png",
    "nul\x00.png": "nul.png",
    "photo\u202egpj.exe": "photogpj.exe",
    "\u2066x\u2069\u200f.png": "x.png",
    "\ud800.png": ".png",
    "..": "file",
    ".": "file",
    "": "file",
    "\x07": "file",
    "n" * 300 + ".jpeg": "n" * 250 + ".jpeg",
    "é" * 200 + ".jpeg": "é" * 125 + ".jpeg",
    "x." + "y" * 300: "x." + "y" * 253,
    ".htaccess": ".htaccess",
    "untitled": "untitled",
    "...": "...",
    "n" * 300: "n" * 255,
}


@pytest.mark.parametrize(("given", "kept"), NAMES.items(), ids=range(len(NAMES)))
def test_a_name_reaches_the_reader_and_nothing_else_does(given: str, kept: str) -> None:
    assert safe_name(given) == kept
    assert len(kept.encode()) <= 255
    header = disposition(given, "image/png", download=True)
    assert header.isascii()
    assert header.isprintable()
    found = re.fullmatch(r"attachment; filename=\"([^\"\\]*)\"; filename\*=UTF-8''(\S+)", header)
    assert found is not None
    assert unquote(found[2], errors="strict") == kept
    message = email.message.Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"


async def test_a_type_or_name_that_could_be_a_header_is_never_one(
    server: FileServer, get: Api
) -> None:
    for media_type, shown in (
        ("text/html\r\nX-Evil: 1", "application/octet-stream"),
        ("image/png; charset=x\r\n", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
    ):
        name = "\r\nX-Evil: 1\r\n\r\n.png"
        answer = await get.get(server.url(media_type=media_type, filename=name))
        assert answer.status == 200, str(answer)
        assert answer.headers["Content-Type"] == shown
        assert "X-Evil" not in answer.headers
        assert answer.headers["Content-Disposition"].startswith("attachment")


async def test_an_address_of_8_kilobytes_is_refused_in_words(server: FileServer, get: Api) -> None:
    answer = await get.get(server.url(filename="n" * 7000))
    assert answer.is_problem(403)["code"] == "asset.file_url_invalid"
    long = server.url("orgs/" + "k" * 7000)
    assert (await get.get(long)).is_problem(404)["code"] == "asset.file_not_found"


# --- as views give them --------------------------------------------------------------------


async def test_what_could_run_a_script_is_only_downloaded_and_sandboxed(
    alpha: Tenant, assets: str
) -> None:
    owner = alpha.owner.api
    for data, name, inline in (
        (EVIL_SVG, "evil.svg", False),
        (b"<html><script>alert(1)</script></html>", "evil.html", False),
        (b"<?xml version='1.0'?><x xmlns:h='http://www.w3.org/1999/xhtml'/>", "evil.xml", False),
        (b"%PDF-1.7 x", "a.pdf", False),
        (b"plain words", "a.txt", False),
        (PNG, "a.png", True),
    ):
        made = await owner.post(f"{assets}?filename={name}", data=data + b" ")
        if made.status == 415:
            continue  # is not taken at all
        file = await owner.get(made.json["url"])
        shown = file.headers["Content-Disposition"].partition(";")[0]
        assert shown == ("inline" if inline else "attachment"), name
        policy = file.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert "script" not in policy
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert "html" not in file.headers["Content-Type"]
        assert "xml" not in file.headers["Content-Type"].replace("svg+xml", "")


async def test_a_download_is_saved_under_the_name_that_the_asset_has(
    alpha: Tenant, assets: str
) -> None:
    owner = alpha.owner.api
    made = await owner.post(f"{assets}?filename=first.png", data=PNG + secrets.token_bytes(8))
    changed = await owner.patch(made.headers["Location"], {"name": 'Häuser "am" See.png'})
    view = changed.json
    for url, kind in ((view["url"], "inline"), (view["download_url"], "attachment")):
        file = await owner.as_(None).get(url)
        assert file.status == 200, str(file)
        assert file.headers["Content-Disposition"] == (
            f'{kind}; filename="H_user _am_ See.png"; '
            "filename*=UTF-8''H%C3%A4user%20%22am%22%20See.png"
        )


async def test_a_download_has_the_extension_of_what_it_is_whatever_its_name_says(
    alpha: Tenant, assets: str
) -> None:
    owner = alpha.owner.api
    for name, data, saved in (
        ("photo.jpg", PNG + secrets.token_bytes(8), "photo.png"),
        ("notes.png", b"words of no harm " + secrets.token_hex(8).encode(), "notes.txt"),
    ):
        made = await owner.post(f"{assets}?filename={quote(name)}", data=data)
        assert made.status == 201, str(made)
        view = made.json
        assert view["name"] == name
        for url in (view["url"], view["download_url"]):
            file = await owner.as_(None).get(url)
            assert f'filename="{saved}"' in file.headers["Content-Disposition"]


async def test_renditions_are_saved_under_the_name_of_their_asset(
    alpha: Tenant, assets: str
) -> None:
    owner = alpha.owner.api
    made = await owner.post(f"{assets}?filename=beach.png&wait=ready", data=picture())
    for each in made.json["renditions"]:
        file = await owner.as_(None).get(each["url"])
        assert f'filename="beach-{each["name"]}"' in file.headers["Content-Disposition"]
    assert made.json["renditions"]


async def test_a_file_goes_out_through_the_whole_gateway(alpha: Tenant, assets: str) -> None:
    owner, data = alpha.owner.api, os.urandom(10_000)
    url = (await owner.post(f"{assets}?filename=r.bin", data=data)).json["url"]
    anybody = owner.as_(None)
    whole = await anybody.get(url)
    assert (whole.status, whole.body) == (200, data)
    part = await anybody.get(url, headers={"Range": "bytes=5-9"})
    assert (part.status, part.body) == (206, data[5:10])
    same = await anybody.get(url, headers={"If-None-Match": whole.headers["ETag"]})
    assert (same.status, same.body) == (304, b"")
    head = await anybody("HEAD", url)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == "10000"
    refused = await anybody.get(url.replace("r.bin", "s.bin"))
    assert refused.is_problem(403)["code"] == "asset.file_url_invalid"
    refused = await anybody.get(url, headers={"Range": "bytes=10000-"})
    assert refused.is_problem(416)["code"] == "asset.range_outside"


async def test_an_encoding_that_is_asked_for_changes_no_byte(alpha: Tenant, assets: str) -> None:
    owner, data = alpha.owner.api, text()
    url = (await owner.post(f"{assets}?filename=z.txt", data=data)).json["url"]
    file = await owner.get(url, headers={"Accept-Encoding": "gzip, br, zstd"})
    assert file.body == data
    assert "Content-Encoding" not in file.headers
