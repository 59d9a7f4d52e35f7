"""Keys and certificates over REST and on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
from cryptography import x509

from controller.phonehome import certificates
from controller.phonehome.certificates import Pair
from tests.controller.house import Fleet, House, environment, ok, refused
from tests.controller.waiting_here import until

NOW_MS = 1_760_745_600_000


def authority(name: str) -> Pair:
    return certificates.authority(name, days=3650, now_ms=NOW_MS)


def adapter(fleet: Fleet) -> str:
    """Serial number of a new one that phones home."""
    return str(fleet.register(fleet.arms())["serial_number"])


def states(told: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """State of each key."""
    return {one["key"]: one["state"] for one in told["keys"]}


def test_a_rotation_in_flight_is_visible_with_its_next_step(fleet: Fleet) -> None:
    serial = adapter(fleet)
    assert set(states(ok(fleet.api.get(f"/adapters/{serial}/keys"))).values()) == {"settled"}

    told = ok(fleet.api.post(f"/adapters/{serial}/keys/rotate", json={"key": "rs", "deadline_s": 3600}))

    assert states(told) == {"ls": "settled", "rs": "waiting", "heartbeat": "settled", "certificate": "settled"}
    rs = next(one for one in told["keys"] if one["key"] == "rs")
    assert rs["deadline_at"]
    assert "Location Server" in rs["next_step"]
    explained = ok(fleet.api.get(f"/adapters/{serial}/explain"))
    assert "a new RS key was made and the adapter does not have it yet" in explained["summary"]
    assert any(fact["source"] == "keys" for fact in explained["facts"])


def test_a_second_rotation_is_refused_and_a_key_in_wrong_hands_ends_at_once(fleet: Fleet) -> None:
    path = f"/adapters/{adapter(fleet)}/keys/rotate"
    ok(fleet.api.post(path, json={"key": "heartbeat"}))
    refused(fleet.api.post(path, json={"key": "heartbeat"}), 409, "conflict")
    assert states(ok(fleet.api.post(path, json={"key": "heartbeat", "at_once": True})))["heartbeat"] == "settled"
    refused(fleet.api.post(path, json={"key": "certificate", "deadline_s": 3600}), 422, "bad-input")
    refused(fleet.api.post(path, json={"key": "another"}), 422, "bad-input")


def test_a_new_ls_key_is_shown_once(fleet: Fleet) -> None:
    serial = adapter(fleet)
    told = ok(fleet.api.post(f"/adapters/{serial}/keys/rotate", json={"key": "ls"}))
    assert 32 <= len(told["ls_key"]) <= 64
    assert ok(fleet.api.get(f"/adapters/{serial}/keys"))["ls_key"] is None
    assert told["ls_key"] not in json.dumps(ok(fleet.api.get("/events", params={"adapter": serial})))


def test_a_new_certificate_is_made_in_the_background(fleet: Fleet) -> None:
    serial = adapter(fleet)
    read = f"/adapters/{serial}/keys"
    first = until(lambda: ok(fleet.api.get(read))["certificate_fingerprint"], what="its certificate")
    told = ok(fleet.api.post(f"{read}/rotate", json={"key": "certificate"}))
    assert states(told)["certificate"] == "waiting"
    until(lambda: ok(fleet.api.get(read))["certificate_fingerprint"] != first, what="another certificate")


def test_an_adapter_that_does_not_phone_home_has_no_such_keys(fleet: Fleet) -> None:
    serial = fleet.register(fleet.ssh())["serial_number"]
    refused(fleet.api.get(f"/adapters/{serial}/keys"), 409, "conflict")


def test_old_tls_can_be_forbidden_for_one_adapter(fleet: Fleet) -> None:
    path = f"/adapters/{adapter(fleet)}/legacy-tls"
    for allowed in (False, True, None):
        assert ok(fleet.api.post(path, json={"allowed": allowed}))["legacy_tls"] is allowed


def test_the_certificates_say_what_they_are_and_what_adapters_must_trust(api: httpx.Client) -> None:
    told = ok(api.get("/pki"))
    assert {one["role"] for one in told["certificates"]} == {"root", "ls", "rs-ca", "rs", "sa-ca"}
    answer = api.get("/pki/root.pem")
    root = certificates.read(answer.text)
    assert root.fingerprint == told["adapters_trust"]
    assert root.subject == "CN=ARMS Root CA"
    assert "PRIVATE" not in answer.text + json.dumps(told)
    assert (told["tls_floor"], told["warnings"]) == ("1.2", [])


def test_a_ca_is_imported_whole_or_not_at_all(api: httpx.Client) -> None:
    before = ok(api.get("/pki"))
    mine = authority("Example SA CA")
    wrong = {"role": "sa-ca", "certificate": mine.certificate, "key": authority("Other").key.reveal()}
    problem = refused(api.post("/pki/import", json=wrong), 422, "bad-input")
    assert problem["field"] == "key"
    assert "PRIVATE" not in json.dumps(problem)
    assert ok(api.get("/pki")) == before

    told = ok(api.post("/pki/import", json={**wrong, "key": mine.key.reveal()}))

    assert [one["subject"] for one in told["certificates"] if one["role"] == "sa-ca"] == ["CN=Example SA CA"]


def test_only_an_admin_imports_a_ca(house: House) -> None:
    key = ok(house.client().post("/api-keys", json={"name": "an operator", "role": "operator"}))["key"]
    body = {"role": "sa-ca", "certificate": "x", "key": "x"}
    refused(house.client(key).post("/pki/import", json=body), 403, "not-allowed")


def run(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command against that daemon."""
    where = ["--url", house.url, "--key-file", str(house.directory / "admin.key")]
    return subprocess.run(
        [sys.executable, "-m", "controller", *arguments, *where],
        env=environment(house.directory),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_show_rotate_and_import(house: House, fleet: Fleet, tmp_path: Path) -> None:
    serial = adapter(fleet)
    rotated = run(house, "key", "rotate", serial, "rs")
    assert rotated.returncode == 0, rotated.stderr
    assert "waiting" in rotated.stdout
    assert run(house, "key", "rotate", serial, "rs").returncode == 1
    assert "new LS key" in run(house, "key", "rotate", serial, "ls").stdout
    assert run(house, "key", "legacy-tls", serial, "perhaps").returncode == 2

    assert "ARMS Root CA" in run(house, "pki", "show").stdout
    printed = run(house, "pki", "root").stdout
    assert x509.load_pem_x509_certificate(printed.encode()).subject.rfc4514_string() == "CN=ARMS Root CA"
    mine = authority("Another SA CA")
    for name, text in (("ca.crt", mine.certificate), ("ca.key", mine.key.reveal())):
        (tmp_path / name).write_text(text)
    files = ("--certificate", str(tmp_path / "ca.crt"), "--key", str(tmp_path / "ca.key"))
    taken = run(house, "pki", "import", "sa-ca", *files)
    assert taken.returncode == 0, taken.stderr
    assert "Another SA CA" in taken.stdout
