"""Secrets are sealed wherever they are serialised."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from contracts import sealed
from contracts.auth.commands import OpenSession, RegisterUser
from contracts.auth.views import TokensView
from contracts.envelope import Envelope
from contracts.sealed import OPEN, REVEAL, Sealed, UnsealableError, seal, unseal

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _keys() -> Iterator[None]:
    before = list(sealed._keys)
    sealed.use_keys([b"a" * 32])
    yield
    sealed._keys[:] = before


def command() -> RegisterUser:
    return RegisterUser.model_validate(
        {"email": "ann@example.org", "password": SECRET, "name": "Ann"}
    )


def test_a_secret_is_not_in_the_repr_the_str_or_the_json_of_its_command() -> None:
    made = command()
    for text in (repr(made), str(made), made.model_dump_json(), f"{made.password}"):
        assert SECRET not in text


def test_a_secret_is_not_in_the_envelope_that_goes_into_a_stream() -> None:
    wire = Envelope.of_command(command(), source="/test").wire()
    assert SECRET.encode() not in wire
    assert b"sealed.v1." in wire


def test_a_worker_opens_what_the_gateway_sealed() -> None:
    data = json.loads(command().model_dump_json())
    assert RegisterUser.model_validate(data, context=OPEN).password.reveal() == SECRET


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert seal(SECRET) != seal(SECRET)


def test_an_old_key_still_opens_and_the_new_one_seals() -> None:
    old = seal(SECRET)
    sealed.use_keys([b"b" * 32, b"a" * 32])
    assert unseal(old) == SECRET
    new = seal(SECRET)
    sealed.use_keys([b"a" * 32])
    with pytest.raises(UnsealableError):
        unseal(new)


@pytest.mark.parametrize(
    "garbled", ["", "plain", "sealed.v1.", "sealed.v1.AAAA", "sealed.v1.!!!!", "sealed.v2.AAAA"]
)
def test_what_was_not_sealed_is_not_opened(garbled: str) -> None:
    with pytest.raises(UnsealableError):
        unseal(garbled)


def test_a_changed_ciphertext_is_refused() -> None:
    whole = seal(SECRET)
    last = "A" if whole[-3] != "A" else "B"
    with pytest.raises(UnsealableError):
        unseal(whole[:-3] + last + whole[-2:])


def test_a_client_that_sends_ciphertext_has_sent_a_strange_password() -> None:
    ciphertext = seal(SECRET)
    sent = OpenSession.model_validate({"email": "ann@example.org", "password": ciphertext})
    assert sent.password.reveal() == ciphertext


def test_a_refused_secret_is_in_no_error_and_no_traceback() -> None:
    short = f"hunter{1 + 1}"
    with pytest.raises(ValidationError) as caught:
        RegisterUser.model_validate({"email": "nobody", "password": short, "name": "Ann"})
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value)
    assert short not in shown
    assert short not in json.dumps(caught.value.errors(include_input=False), default=str)


def test_only_the_answer_to_its_owner_reveals_a_token() -> None:
    view = TokensView(
        access_token=Sealed("access"),
        expires_in=900,
        refresh_token=Sealed("refresh"),
        session_id="ses_1",
    )
    assert json.loads(view.model_dump_json(context=REVEAL))["access_token"] == "access"
    assert "access" not in json.loads(view.model_dump_json())["access_token"]


def test_sealing_without_keys_fails_loudly() -> None:
    sealed.use_keys([])
    with pytest.raises(RuntimeError, match="use_keys"):
        seal(SECRET)
