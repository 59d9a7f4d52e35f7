"""Secrets at rest, in the log, and on the screen."""

from __future__ import annotations

import io
import json
import logging
import pickle
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from controller import logs
from controller.keyring import Keyring, new_key
from inventory.errors import Conflict
from inventory.secrets import MASK, Secret

pytestmark = pytest.mark.fast


def test_the_key_file_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    sealed = Keyring.open(path).seal("psk", context="adapters/1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert Keyring.open(path).unseal(sealed, context="adapters/1").reveal() == "psk"


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    Keyring.open(path)
    path.chmod(0o644)
    with pytest.raises(Conflict, match="can be read by others"):
        Keyring.open(path)


def test_a_key_file_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(Conflict, match="5 bytes"):
        Keyring.open(path)


@given(st.text(), st.text())
def test_a_sealed_value_opens_in_its_own_row_only(text: str, context: str) -> None:
    ring = Keyring(bytes(range(32)))
    sealed = ring.seal(text, context=context)
    assert ring.unseal(sealed, context=context).reveal() == text
    with pytest.raises(Conflict, match="does not belong"):
        ring.unseal(sealed, context=context + "/other")
    with pytest.raises(Conflict, match="another master key"):
        Keyring(bytes(32)).unseal(sealed, context=context)


def test_a_changed_byte_is_noticed() -> None:
    ring = Keyring(bytes(range(32)))
    sealed = bytearray(ring.seal("psk", context="x"))
    sealed[-1] ^= 1
    with pytest.raises(Conflict, match="was altered"):
        ring.unseal(bytes(sealed), context="x")


def test_a_random_key_is_long_and_matches_only_its_own_digest() -> None:
    ring = Keyring(bytes(range(32)))
    key = new_key()
    assert len(key.reveal()) >= 32
    assert ring.matches(key, ring.digest(key))
    assert not ring.matches(new_key(), ring.digest(key))


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hunter2")
    for shown in (repr(secret), str(secret), f"{secret:>20}", f"{[secret]}", "%s" % secret):  # noqa: UP031
        assert "hunter2" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")


@pytest.fixture
def log_text() -> io.StringIO:
    return io.StringIO()


def test_a_planted_secret_is_found_in_no_log_line(log_text: io.StringIO) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        logs.configure("debug")
        handler = root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(log_text)
        log = structlog.get_logger("kajitori.test")
        log.info("login", password="PLANTED-1", adapter="X1-0001", facts={"rs_preshared_key": "PLANTED-2"})
        log.info("said", text="ppp add A passphrase PLANTED-3", header="Authorization: Basic PLANTED-4")
        log.info("made", endpoint=[Secret("PLANTED-5"), "https://admin:PLANTED-6@192.0.2.1/"])
        logging.getLogger("other").warning("set psksecret PLANTED-7 in %s", {"x": Secret("PLANTED-8")})
    finally:
        root.handlers[:], root.level = before
        structlog.reset_defaults()
    lines = [json.loads(line) for line in log_text.getvalue().splitlines()]
    assert len(lines) == 4
    assert lines[0]["adapter"] == "X1-0001"
    assert "PLANTED" not in log_text.getvalue()
    assert MASK in log_text.getvalue()
