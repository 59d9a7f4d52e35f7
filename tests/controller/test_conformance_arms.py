"""`kajitori conformance arms DIR`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from controller.cli.conformance import register
from controller.cli.conformance_arms import run_arms

pytestmark = pytest.mark.fast
VECTORS = Path(__file__).parent.parent / "vectors" / "arms"
OTHER_ID = "0001-0000-0202-0081-0200-5EFF-FE00-99AA"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the published vectors that a test may change."""
    return Path(shutil.copytree(VECTORS, tmp_path / "vectors"))


def reindex(folder: Path) -> None:
    """Write sizes and hashes into the index again."""
    index: dict[str, Any] = json.loads((folder / "index.json").read_text())
    for entry in index["files"]:
        content = (folder / entry["file"]).read_bytes()
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "index.json").write_text(json.dumps(index))


def failures(folder: Path) -> list[str]:
    return [result.line for result in run_arms(folder) if not result.ok]


def test_the_published_vectors_pass_and_each_has_a_line() -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)

    ran = CliRunner().invoke(app, ["arms", str(VECTORS)])

    *lines, last = ran.stdout.splitlines()
    assert ran.exit_code == 0, [line for line in lines if not line.startswith("ok ")]
    assert last == f"{len(lines)} passed, 0 failed"
    assert {line.split()[1] for line in lines} >= {
        f"{path.relative_to(VECTORS).as_posix()}" for path in VECTORS.rglob("*.xml")
    }


def test_a_failing_folder_ends_with_status_1(folder: Path) -> None:
    (folder / "messages" / "reboot-request.xml").write_bytes(b"<arms-message/>")
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)

    ran = CliRunner().invoke(app, ["arms", str(folder)])

    assert ran.exit_code == 1
    assert "FAIL messages/reboot-request.xml expected" in ran.stdout
    assert ran.stdout.splitlines()[-1].endswith("2 failed")


def test_other_ids_and_keys_pass_as_well(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    old_id, new_key = index["distribution_id"], "another-rs-key-0123456789"
    old_basic = base64.b64encode(f"{old_id}:{index['rs_sa_key']}".encode())
    new_basic = base64.b64encode(f"{OTHER_ID}:{new_key}".encode())
    for path in folder.rglob("*"):
        if path.suffix in {".xml", ".bin"} and path.parent != folder and "ls-request" not in path.name:
            content = path.read_bytes().replace(old_basic, new_basic)
            path.write_bytes(content.replace(old_id.encode(), OTHER_ID.encode()))
    index["rs_sa_key"] = new_key
    (folder / "index.json").write_text(json.dumps(index))
    reindex(folder)

    assert failures(folder) == []


def test_a_changed_file_is_seen_by_its_hash(folder: Path) -> None:
    path = folder / "location-config.txt"
    path.write_bytes(path.read_bytes().replace(b"ifindex 0", b"ifindex 1"))
    assert [line.split()[1] for line in failures(folder)] == ["location-config.txt#index"]


def test_a_heartbeat_that_should_be_rejected_fails_when_it_is_accepted(folder: Path) -> None:
    bad = folder / "heartbeat-bad-02.hex"
    bad.write_bytes((folder / "heartbeat-01.hex").read_bytes())
    reindex(folder)
    assert [line.split()[1] for line in failures(folder)] == ["heartbeat-bad-02.hex", "heartbeat-bad-02.json"]


def test_a_heartbeat_with_another_field_value_fails(folder: Path) -> None:
    path = folder / "heartbeat-02.json"
    path.write_text(path.read_text().replace('"utilization": 42', '"utilization": 43'))
    reindex(folder)
    assert [line.split()[1] for line in failures(folder)] == ["heartbeat-02.hex", "heartbeat-02.json"]


def test_a_heartbeat_with_another_key_passes(folder: Path) -> None:
    data = bytearray(bytes.fromhex((folder / "heartbeat-05.hex").read_text()))
    data[4:24] = bytes(20)
    data[4:24] = hmac.digest(b"other", bytes(data), "sha1")
    form = json.loads((folder / "heartbeat-05.json").read_text())
    form |= {"key_utf8": "other", "hmac_sha1_hex": data[4:24].hex()}
    form["tlvs"][0]["value"] = data[4:24].hex()
    (folder / "heartbeat-05.json").write_text(json.dumps(form))
    (folder / "heartbeat-05.hex").write_text(data.hex())
    reindex(folder)
    assert failures(folder) == []


@pytest.mark.parametrize("name", ["new.bin", "messages/notes.txt"])
def test_a_file_of_an_unknown_kind_is_a_failure(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    index = json.loads((folder / "index.json").read_text())
    index["files"].append({"file": name, "sender": "both"})
    (folder / "index.json").write_text(json.dumps(index))
    reindex(folder)
    assert [line.split()[1] for line in failures(folder)] == [name]


def test_a_file_that_the_index_forgot_and_one_that_is_missing_are_failures(folder: Path) -> None:
    (folder / "messages" / "extra.xml").write_bytes(b"<a/>")
    (folder / "tunnel" / "11-close.bin").unlink()
    assert [line.split()[1] for line in failures(folder)] == [
        "tunnel/11-close.bin#index",
        "tunnel/11-close.bin",
        "messages/extra.xml",
    ]


def test_a_refused_push_that_is_framed_as_it_says_fails_the_case_of_the_strict_reader(folder: Path) -> None:
    path = folder / "http" / "push-response-400-chunked-request.bin"
    head, _, _ = path.read_bytes().partition(b"\r\n\r\n")
    path.write_bytes(head + b"\r\n\r\n0\r\n\r\n")
    reindex(folder)
    assert [line.split()[1] for line in failures(folder)] == ["http/push-response-400-chunked-request.bin"]


@pytest.mark.parametrize(
    "index",
    [None, "", "[]", "5", "null", "{}", '{"files": 5}', '{"files": {}}', '{"files": []}', '{"files": [', "[" * 100_000],
)
def test_an_index_that_is_none_is_one_failure(tmp_path: Path, index: str | None) -> None:
    if index is not None:
        (tmp_path / "index.json").write_text(index)
    (line,) = failures(tmp_path)
    assert line.startswith("FAIL index.json expected ")


@pytest.mark.parametrize(
    "entry",
    [
        5,
        "location-config.txt",
        {},
        {"file": 5},
        {"file": ["a"]},
        {"file": "", "sender": "both"},
        {"file": "../../etc/passwd", "sender": "both"},
        {"file": "/etc/passwd", "sender": "both"},
        {"file": "a\0b", "sender": "both"},
        {"file": "location-config.txt", "sender": "both"},
        {"file": "heartbeat-01.hex"},
        {"file": "heartbeat-01.hex", "sender": "nobody"},
    ],
)
def test_a_broken_entry_of_the_index_is_named_by_its_number_and_the_others_run(folder: Path, entry: object) -> None:
    index = json.loads((folder / "index.json").read_text())
    index["files"] = [one for one in index["files"] if one["file"] != "heartbeat-01.hex"] + [entry]
    (folder / "heartbeat-01.hex").rename(folder / "heartbeat-01.away")
    (folder / "index.json").write_text(json.dumps(index))
    found = failures(folder)
    place = f"index.json#{len(index['files'])}"
    assert [line.split()[1] for line in found] == [place, "heartbeat-01.json", "heartbeat-01.away"]
    assert "expected" in found[0]


NO_VECTORS = [
    b"",
    b"\xff\xfe",
    b"5",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"[5]",
    b"[null]",
    b"[{}]",
    b"[[[",
    b"[" * 100_000,
    b'[{"text": 5, "binary_hex": null, "mac": 1, "user": 2, "header": 3, "code": [], "kind": 4, "frame_hex": {}}]',
    b'{"tlvs": 5, "valid": true, "length": "x"}',
    b'{"valid": true, "length": 44, "tlvs": [{"type": 5, "name": 5, "value": 5}]}',
    b'{"valid": true, "length": 44, "tlvs": [{"type": "0x0033", "name": "cpu", "index": 99999999, "utilization": -1}]}',
    b"<a>" * 1000,
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    b"ffffffffffffffff;id=99999999999999999999\r\n",
]


@pytest.mark.parametrize(
    "name",
    [
        "distribution-id.json",
        "mac-to-sa-code.json",
        "basic-auth.json",
        "chunk-framing.json",
        "result-codes.json",
        "heartbeat-02.hex",
        "heartbeat-02.json",
        "location-config.txt",
        "messages/reboot-request.xml",
        "http/push-request.bin",
        "tunnel/11-close.bin",
    ],
)
def test_whatever_a_file_holds_it_is_a_failure_of_that_file_and_no_more(tmp_path: Path, name: str) -> None:
    index = json.loads((VECTORS / "index.json").read_text())
    stem = name.rpartition(".")[0]
    index["files"] = [one for one in index["files"] if one["file"].rpartition(".")[0] == stem]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for one in index["files"]:
        shutil.copy(VECTORS / one["file"], tmp_path / one["file"])
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert failures(tmp_path) == []
    for content in NO_VECTORS:
        (tmp_path / name).write_bytes(content)
        found = failures(tmp_path)
        assert found, content[:40]
        stems = {line.split()[1].partition("#")[0].rpartition(".")[0] for line in found}
        assert stems == {stem}, content[:40]
        assert all(" expected " in line and "Error" not in line for line in found), found


def test_a_folder_in_the_place_of_a_file_and_a_file_in_the_place_of_the_folder_are_failures(folder: Path) -> None:
    (folder / "location-config.txt").unlink()
    (folder / "location-config.txt").mkdir()
    assert [line.split()[1] for line in failures(folder)] == ["location-config.txt#index", "location-config.txt"]
    assert [line.split()[1] for line in failures(folder / "index.json")] == ["index.json"]
