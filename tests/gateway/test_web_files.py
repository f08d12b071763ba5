"""What browsers are given: the realtime client, its types, and the page /live."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from gateway_client import Api

from gateway.web.served import SERVED, Served
from infra.embedded.layout import ROOT
from infra.embedded.running import RunningStack

WEB = ROOT / "gateway" / "web"
NAMED = pytest.mark.parametrize("served", SERVED, ids=lambda served: served.path)
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "ts": "text/plain; charset=utf-8",
}
IMPORT = re.compile(r'^import .* from "(\./[^"]+|\.\./[^"]+)";$', re.MULTILINE)


def test_every_file_is_served_and_nothing_else() -> None:
    there = {
        str(path.relative_to(WEB))
        for path in WEB.rglob("*")
        if path.suffix in (".js", ".ts", ".css", ".html")
    }
    assert {each.file for each in SERVED} == there


@NAMED
async def test_a_file_is_what_it_says_and_is_asked_for_again_by_its_etag(
    api: Api, served: Served
) -> None:
    answer = await api.get(served.path)
    assert answer.status == 200
    assert answer.body == (WEB / served.file).read_bytes()
    assert answer.headers["Content-Type"] == TYPES[served.file.rpartition(".")[2]]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    etag = answer.headers["ETag"]
    for named in (etag, f'"other", W/{etag}', "*"):
        again = await api.get(served.path, headers={"If-None-Match": named})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert (await api.get(served.path, headers={"If-None-Match": '"other"'})).status == 200


@NAMED
async def test_a_page_may_ask_the_gateway_and_listen_to_the_notifier(
    api: Api, stack: RunningStack, served: Served
) -> None:
    answer = await api.get(served.path)
    policy = dict(
        each.strip().split(" ", 1) for each in answer.headers["Content-Security-Policy"].split(";")
    )
    notifier = stack.notifier_url
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": f"'self' {notifier.replace('http', 'ws', 1)} {notifier}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize(
    "served", [each for each in SERVED if each.file.endswith(".js")], ids=lambda each: each.path
)
def test_a_module_imports_only_what_is_served(served: Served) -> None:
    folder = served.path.rpartition("/")[0]
    paths = {each.path for each in SERVED}
    for name in IMPORT.findall((WEB / served.file).read_text()):
        target = f"{folder}/{name}"
        while "/./" in target:
            target = target.replace("/./", "/")
        target = re.sub(r"/[^/]+/\.\./", "/", target)
        assert target in paths, name


async def test_the_first_page_leads_to_it(api: Api) -> None:
    assert b'<a href="/live">' in (await api.get("/")).body


def test_an_installed_wheel_has_them_all(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    script = "from gateway.web.served import SERVED, read; print(sum(bool(read(e.file)[0]) for e in SERVED), __import__('gateway').__path__[0])"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.split() == [str(len(SERVED)), str(installed / "gateway")], ran.stderr
