"""Keys come and go in a folder that several processes look at."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwt

from infra import signing_keys
from infra.settings import AuthSettings
from infra.signing_keys import add_key, new_private_key
from infra.tokens import KeyRing, TokenInvalid


class Clock:
    """The time of signing_keys.py, which passes when a test says so."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.passed

    def time(self) -> float:
        return time.time() + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(signing_keys, "time", made)
    return made


@pytest.fixture
def given(tmp_path: Path) -> AuthSettings:
    (tmp_path / "20260101-aa.pem").write_bytes(new_private_key())
    return AuthSettings(keys_folder=tmp_path, key_published=30)


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


def test_a_new_key_verifies_everywhere_before_it_signs_anywhere(
    given: AuthSettings, clock: Clock
) -> None:
    worker, gateway = KeyRing(given), KeyRing(given)
    old = worker.sign("usr_1", "ses_1")
    kid = add_key(given.keys_folder)
    assert kid > "20260101-aa"
    for seconds in (0, 3, 26):
        clock.passed += seconds
        assert kid_of(worker.sign("usr_1", "ses_1")) == "20260101-aa"
    assert kid in {key["kid"] for key in gateway.jwks()["keys"]}
    clock.passed += 5
    new = worker.sign("usr_1", "ses_1")
    assert kid_of(new) == kid
    for token in (old, new):
        assert gateway.verify(token).user == "usr_1"


def test_a_kid_that_is_not_known_is_looked_for_at_once_but_not_for_everybody(
    given: AuthSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = KeyRing(given)
    looks: list[str] = []
    scandir = os.scandir

    def counting(path: Path) -> object:
        looks.append(str(path))
        return scandir(path)

    monkeypatch.setattr(signing_keys.os, "scandir", counting)
    clock.passed += 1.5
    add_key(given.keys_folder)
    hasty = KeyRing(given.model_copy(update={"key_published": 0.0}))
    token = hasty.sign("usr_1", "ses_1")
    looks.clear()
    assert gateway.verify(token).user == "usr_1"
    assert len(looks) == 1
    forged = jwt.encode({}, new_private_key().decode(), "ES256", headers={"kid": "nobody"})
    for _ in range(1000):
        with pytest.raises(TokenInvalid):
            gateway.verify(forged)
    assert len(looks) == 1


def test_the_only_key_signs_at_once(tmp_path: Path) -> None:
    add_key(tmp_path)
    ring = KeyRing(AuthSettings(keys_folder=tmp_path, key_published=30))
    assert ring.verify(ring.sign("usr_1", "ses_1")).session == "ses_1"


def test_of_keys_that_are_all_new_the_first_signs(tmp_path: Path, clock: Clock) -> None:
    given = AuthSettings(keys_folder=tmp_path, key_published=30)
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.pem").write_bytes(new_private_key())
    ring = KeyRing(given)
    assert kid_of(ring.sign("usr_1", "ses_1")) == "a"
    clock.passed += 31
    assert kid_of(ring.sign("usr_1", "ses_1")) == "c"


def test_a_key_that_is_copied_in_with_an_old_date_is_new(given: AuthSettings, clock: Clock) -> None:
    ring = KeyRing(given)
    path = given.keys_folder / "20260202-bb.pem"
    path.write_bytes(new_private_key())
    os.utime(path, (1, 1))
    clock.passed += 3
    assert kid_of(ring.sign("usr_1", "ses_1")) == "20260101-aa"


def test_a_removed_key_verifies_no_more_not_even_what_was_verified_before(
    given: AuthSettings, clock: Clock
) -> None:
    ring = KeyRing(given)
    token = ring.sign("usr_1", "ses_1")
    assert ring.verify(token)
    add_key(given.keys_folder)
    (given.keys_folder / "20260101-aa.pem").unlink()
    clock.passed += 3
    with pytest.raises(TokenInvalid):
        ring.verify(token)


def test_a_folder_that_is_gone_leaves_the_keys_that_are_known(
    given: AuthSettings, clock: Clock
) -> None:
    ring = KeyRing(given)
    token = ring.sign("usr_1", "ses_1")
    (given.keys_folder / "20260101-aa.pem").unlink()
    for _ in range(2):
        clock.passed += 3
        assert ring.verify(token)
        assert ring.verify(ring.sign("usr_2", "ses_2")).user == "usr_2"
        if given.keys_folder.exists():
            given.keys_folder.rmdir()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        new_private_key()[:90],
        b"-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----\n",
        b"\xff" * 40_000,
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        ),
    ],
    ids=["empty", "half", "nonsense", "large", "P-384", "encrypted"],
)
@pytest.mark.parametrize("name", ["20270101-zz.pem", "20270101-zz.pub.pem"])
def test_a_broken_file_takes_nothing_down_and_may_still_become_a_key(
    given: AuthSettings, clock: Clock, content: bytes, name: str
) -> None:
    ring = KeyRing(given)
    path = given.keys_folder / name
    path.write_bytes(content)
    clock.passed += 3
    assert kid_of(ring.sign("usr_1", "ses_1")) == "20260101-aa"
    assert len(KeyRing(given).jwks()["keys"]) == 1
    if not name.endswith(".pub.pem"):
        path.write_bytes(new_private_key())
        clock.passed += 3
        assert len(ring.jwks()["keys"]) == 2


def test_a_directory_and_a_dangling_link_are_no_keys(given: AuthSettings, clock: Clock) -> None:
    ring = KeyRing(given)
    (given.keys_folder / "x.pem").mkdir()
    (given.keys_folder / "y.pem").symlink_to("nowhere")
    clock.passed += 3
    assert len(ring.jwks()["keys"]) == 1


def test_without_a_usable_key_nothing_starts(tmp_path: Path) -> None:
    given = AuthSettings(keys_folder=tmp_path)
    with pytest.raises(FileNotFoundError):
        KeyRing(given)
    (tmp_path / "x.pem").write_bytes(b"no key")
    with pytest.raises(ValueError, match="P-256"):
        KeyRing(given)
    with pytest.raises(FileNotFoundError):
        KeyRing(AuthSettings(keys_folder=tmp_path / "nowhere"))


def test_a_new_key_is_its_owners_alone_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    kid = add_key(tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == f"{kid}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_public_key_verifies_and_does_not_sign(given: AuthSettings) -> None:
    private = serialization.load_pem_private_key(
        (given.keys_folder / "20260101-aa.pem").read_bytes(), None
    )
    token = KeyRing(given).sign("usr_1", "ses_1")
    (given.keys_folder / "20260101-aa.pub.pem").write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    (given.keys_folder / "20260101-aa.pem").unlink()
    ring = KeyRing(given)
    assert ring.verify(token).user == "usr_1"
    with pytest.raises(LookupError):
        ring.sign("usr_1", "ses_1")


def test_an_impersonating_token_names_who_acts(given: AuthSettings) -> None:
    ring = KeyRing(given)
    token = ring.sign("usr_1", "ses_1", impersonator="usr_9", life=60)
    assert jwt.get_unverified_claims(token)["act"] == {"sub": "usr_9"}
    claims = ring.verify(token)
    assert (claims.user, claims.impersonator) == ("usr_1", "usr_9")
    assert claims.expires <= time.time() + 60
    assert ring.verify(ring.sign("usr_1", "ses_1")).impersonator is None
