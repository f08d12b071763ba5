"""``grid8 doctor``: what is installed, reachable and missing, and how to get it."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

import click

from infra.embedded.errors import CannotStartError
from infra.embedded.layout import Layout
from scripts.grid8 import stack_env
from scripts.grid8.doctor import installed, running
from scripts.grid8.doctor.finding import Finding

_MARK = {"ok": "ok  ", "off": "off ", "bad": "BAD "}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(as_json: bool) -> None:
    """Say what is installed, reachable and missing, and how to get it.

    Exit code 0 when the main job can run: "off" lines cost a feature, "BAD" lines the job.
    When a stack runs in the data folder, it is examined too.
    """
    findings, runs = _examine()
    fit = all(finding.state != "bad" for finding in findings)
    if as_json:
        report = {"fit": fit, "running": runs, "findings": [asdict(each) for each in findings]}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _print(findings, runs, fit)
    sys.exit(0 if fit else 1)


def _examine() -> tuple[list[Finding], bool]:
    runs = stack_env.load()
    try:
        layout = Layout()
    except CannotStartError as error:
        return [Finding("settings", "bad", str(error))], runs
    findings = installed.examine(layout, stack_runs=runs)
    if runs:
        findings += asyncio.run(running.examine(layout))
    else:
        findings += asyncio.run(running.examine_own_servers(layout))
    return findings, runs


def _print(findings: list[Finding], runs: bool, fit: bool) -> None:
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        line = f"{_MARK[finding.state]} {finding.what:<{width}}  {finding.detail}"
        click.echo(line.rstrip())
        if finding.remedy:
            click.echo(f"     {'':<{width}}  → {finding.remedy}")
    if not fit:
        click.echo("The main job cannot run: see the BAD lines.")
    elif runs:
        click.echo("A stack is running, and the main job can run.")
    else:
        click.echo("No stack is running; ./scripts/up starts one.")
