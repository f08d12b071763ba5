"""A sealed secret is seen by nobody who is not meant to see it."""

from __future__ import annotations

import base64
import copy
import io
import json
import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, StringConstraints, ValidationError

from contracts import sealed
from contracts.auth.commands import OpenSession, RegisterUser
from contracts.envelope import Envelope
from contracts.sealed import OPEN, REVEAL, Sealed, UnsealableError, seal, unseal

SECRET = "correct horse battery staple"
ROOT = Path(__file__).resolve().parents[2]


class Safe(BaseModel):
    code: Sealed[Annotated[str, StringConstraints(min_length=4, max_length=256)]]


def registering() -> RegisterUser:
    return RegisterUser(email="olga@example.com", password=Sealed(SECRET), name="Olga")


def test_a_secret_is_shown_by_nothing_that_shows_things(keys: list[bytes]) -> None:
    command = registering()
    envelope = Envelope.of_command(command, source="/t")
    shown = [
        repr(command),
        str(command),
        f"{command.password}",
        f"{command.password!r:>40}",
        "%s %r" % (command.password, command),  # noqa: UP031 - another way to show it
        command.model_dump_json(),
        str(command.model_dump()),
        str(command.model_dump(mode="json")),
        envelope.wire().decode(),
        repr(envelope),
        json.dumps(envelope.data),
        str(copy.deepcopy(command)),
        repr([command.password]),
        repr({"password": command.password}),
    ]
    assert not [each for each in shown if SECRET in each]
    assert command.password.reveal() == SECRET


def test_a_secret_is_not_in_a_log(keys: list[bytes]) -> None:
    out = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(out), processors=[structlog.processors.JSONRenderer(default=repr)]
    )
    log.info("registering", command=registering(), code=registering().password)
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("tests.sealed")
    logger.addHandler(handler)
    logger.warning("registering %s %r", registering(), registering().password)
    logger.removeHandler(handler)
    assert "registering" in out.getvalue()
    assert SECRET not in out.getvalue()


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_secret_that_a_failing_handler_had_revealed_is_not_in_the_log(form: str) -> None:
    """The traceback of a handler shows its lines, and must not show its variables."""
    program = f"""
import structlog
from infra import logs
from infra.settings import LogSettings
logs.configure(LogSettings(format={form!r}), process="tests")
def handler():
    password = "correct horse " + "battery staple"
    raise ZeroDivisionError("stumbled")
try:
    handler()
except ZeroDivisionError:
    structlog.get_logger("x").exception("handler_failed")
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    said = run.stdout + run.stderr
    assert "handler_failed" in said
    assert "ZeroDivisionError" in said
    assert SECRET not in said


@pytest.mark.parametrize("value", ["x!y", SECRET * 20, 7, None, ["x"], {"a": SECRET}])
def test_a_refused_secret_is_in_neither_error_nor_traceback(keys: list[bytes], value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        RegisterUser.model_validate(
            {"email": "olga@example.com", "name": "Olga", "password": value}
        )
    shown = str(refused.value) + repr(refused.value)
    shown += "".join(traceback.format_exception(refused.value))
    assert "password" in shown, "which field it was is told"
    for secret in ("x!y", SECRET):
        assert secret not in shown


def test_each_sealing_is_another_and_opens(keys: list[bytes]) -> None:
    texts = {seal(SECRET) for _ in range(20)}
    assert len(texts) == 20
    assert {unseal(text) for text in texts} == {SECRET}
    assert all(text.startswith("sealed.v1.") and SECRET not in text for text in texts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_secret_survives_the_wire(keys: list[bytes], text: str) -> None:
    assert unseal(seal(text)) == text


def test_what_was_sealed_with_a_key_opens_after_the_key_was_replaced(keys: list[bytes]) -> None:
    new, old = keys
    sealed.use_keys([old])
    before = seal(SECRET)
    sealed.use_keys([new, old])
    after = seal(SECRET)
    assert unseal(before) == unseal(after) == SECRET
    sealed.use_keys([new])
    assert unseal(after) == SECRET
    with pytest.raises(UnsealableError):
        unseal(before)


def test_without_keys_nothing_is_sealed_and_nothing_sent(keys: list[bytes]) -> None:
    sealed.use_keys([])
    with pytest.raises(RuntimeError, match="no sealing keys"):
        seal(SECRET)
    with pytest.raises(Exception, match="no sealing keys"):
        registering().model_dump_json()


def test_a_changed_ciphertext_is_refused(keys: list[bytes]) -> None:
    whole = seal(SECRET)
    body = whole.removeprefix("sealed.v1.")
    raw = bytearray(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        text = "sealed.v1." + base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        with pytest.raises(UnsealableError):
            unseal(text)


@pytest.mark.parametrize("length", range(44))
def test_a_ciphertext_that_was_cut_is_refused(keys: list[bytes], length: int) -> None:
    with pytest.raises(ValueError):
        unseal(seal(SECRET)[:length])


@pytest.mark.parametrize(
    "text", ["", "sealed.v1.", "sealed.v2.AAAA", "sealed.v1.é", "plain", "sealed.v1.!!!!"]
)
def test_what_was_never_sealed_is_refused_from_the_bus(keys: list[bytes], text: str) -> None:
    with pytest.raises(ValidationError):
        Safe.model_validate({"code": text}, context=OPEN)


def test_a_command_from_the_bus_is_opened(keys: list[bytes]) -> None:
    data = json.loads(Envelope.of_command(registering(), source="/t").wire())["data"]
    assert data["password"].startswith("sealed.v1.")
    assert RegisterUser.model_validate(data, context=OPEN).password.reveal() == SECRET


@pytest.mark.parametrize("mode", ["python", "json"])
def test_input_that_looks_like_ciphertext_is_plain_text(keys: list[bytes], mode: str) -> None:
    """Otherwise whoever got hold of a sealed password could sign in with it unopened."""
    stolen = seal(SECRET)
    fields = {"email": "olga@example.com", "password": stolen}
    command = (
        OpenSession.model_validate(fields)
        if mode == "python"
        else OpenSession.model_validate_json(json.dumps(fields), strict=True)
    )
    assert command.password.reveal() == stolen
    assert unseal(command.model_dump()["password"]) == stolen


def test_rules_are_checked_when_it_is_sealed_and_not_again_when_opened(keys: list[bytes]) -> None:
    with pytest.raises(ValidationError):
        Safe.model_validate({"code": "abc"})
    assert Safe.model_validate({"code": seal("abc")}, context=OPEN).code.reveal() == "abc"


def test_a_secret_is_revealed_only_to_whom_it_is_for(keys: list[bytes]) -> None:
    safe = Safe(code=Sealed(SECRET))
    assert json.loads(safe.model_dump_json(context=REVEAL)) == {"code": SECRET}
    assert SECRET not in safe.model_dump_json()
    assert SECRET not in safe.model_dump_json(context={"reveal": False})


def test_secrets_are_equal_by_what_they_hold() -> None:
    assert Sealed("a") == Sealed("a") != Sealed("b")
    assert Sealed("a") != "a"
    assert len({Sealed("a"), Sealed("a")}) == 1


def test_a_secret_is_a_password_field_in_a_schema() -> None:
    schema = Safe.model_json_schema()["properties"]["code"]
    assert (schema["format"], schema["minLength"]) == ("password", 4)


def test_keys_have_32_bytes() -> None:
    with pytest.raises(ValueError):
        sealed.use_keys([os.urandom(31)])
