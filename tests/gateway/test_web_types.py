"""The modules for browsers are typed: TypeScript checks them, and their public types against them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.embedded.layout import ROOT

TSC = ROOT / "infra" / "lock" / "js" / "node_modules" / ".bin" / "tsc"
WEB = ROOT / "gateway" / "web"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine"),
    pytest.mark.skipif(not TSC.exists(), reason="npm has not installed infra/lock/js"),
]

STRICT = (
    "--noEmit",
    "--strict",
    "--noUnusedLocals",
    "--noUnusedParameters",
    "--noImplicitReturns",
    "--noFallthroughCasesInSwitch",
    "--noUncheckedIndexedAccess",
    "--target es2022",
    "--lib es2022,dom,dom.iterable",
    "--module esnext",
    "--moduleResolution bundler",
)


def check(*files: Path, javascript: bool = True) -> str:
    """What TypeScript finds to be wrong."""
    options = [word for each in STRICT for word in each.split()]
    if javascript:
        options += ["--allowJs", "--checkJs"]
    ran = subprocess.run(
        [str(TSC), *options, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0 or ran.stdout, ran.stderr
    return ran.stdout


def test_the_modules_are_well_typed() -> None:
    assert check(*sorted(WEB.rglob("*.js")), *sorted(WEB.rglob("*.d.ts"))) == ""


def test_the_public_types_are_those_of_the_module(tmp_path: Path) -> None:
    """Beside its types a module is taken for what they say: here it stands alone."""
    shutil.copytree(WEB / "realtime", tmp_path / "module" / "realtime")
    shutil.copy(WEB / "realtime.d.ts", tmp_path / "types.d.ts")
    module = (WEB / "realtime.js").read_text().replace('"./realtime.js"', '"../types.d.ts"')
    (tmp_path / "module" / "main.js").write_text(module)
    for part in (tmp_path / "module" / "realtime").glob("*.js"):
        part.write_text(part.read_text().replace('"../realtime.js"', '"../../types.d.ts"'))
    same = tmp_path / "same.ts"
    same.write_text(
        'import * as module from "./module/main.js";\n'
        'import type * as types from "./types.d.ts";\n'
        "export const same: typeof types = module;\n"
        "export const back: keyof typeof module extends keyof typeof types ? true : false = true;\n"
    )
    assert check(same) == ""
    # That this finds something at all:
    types = tmp_path / "types.d.ts"
    types.write_text(types.read_text().replace("close(): void;", "shut(): void;"))
    assert "shut" in check(same)


def test_an_application_is_told_what_it_does_wrong(tmp_path: Path) -> None:
    for name in ("realtime.d.ts", "realtime.js"):
        shutil.copy(WEB / name, tmp_path / name)
    application = tmp_path / "application.ts"
    application.write_text(
        'import { Realtime, RealtimeError, type CloudEvent } from "./realtime.js";\n'
        'const rt = new Realtime({ api: "https://a.example", org: "org_1", token: async () => "t" });\n'
        "let seen: CloudEvent | undefined;\n"
        "const sub = rt.subscribe('org', { onEvent: ({ event, cursor }) => { seen = event; cursor.length; },\n"
        "  onClosed: (channel, code) => console.log(channel, code, seen?.type) });\n"
        "sub.unsubscribe(); rt.close();\n"
        "export function why(error: unknown) { return error instanceof RealtimeError ? error.problem?.code : null; }\n"
    )
    assert check(application, javascript=False) == ""
    application.write_text(application.read_text() + "rt.subscribe(5);\nrt.state = 'open';\n")
    found = check(application, javascript=False)
    assert "TS2345" in found
    assert "TS2540" in found
