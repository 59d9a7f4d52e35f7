"""The folder of certificates: whole at any time; leaves that are renewed; how we show ourselves to an adapter."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from controller.phonehome import certificates
from controller.phonehome.certificates import DAY_MS, LEAF_DAYS, Pair
from controller.phonehome.folder import Folder
from controller.phonehome.pki import LOCATION, RESOURCE, Pki
from inventory.secrets import Secret

NOW_MS = 1_760_745_600_000
ADAPTER = "0001-0000-0101-0000-0200-00FF-FE12-3456"


@pytest.mark.parametrize("crash_at", range(8))
def test_several_files_are_replaced_as_one_whatever_the_moment_of_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    old, new = (
        {name: Pair(f"{age} certificate of {name}", Secret(f"{age} key of {name}")) for name in ("A", "B")}
        for age in ("old", "new")
    )
    folder = Folder.open(tmp_path / "pki")
    folder.replace(old)
    taken = 0

    def crashing(step: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object) -> object:
            nonlocal taken
            if taken == crash_at:
                raise KeyboardInterrupt
            taken += 1
            return step(*args)

        return counted

    with monkeypatch.context() as patched:
        for step in ("rename", "replace", "rmdir"):
            patched.setattr(Path, step, crashing(getattr(Path, step)))
        # One rename that decides, four files that take their places, one folder that goes.
        with pytest.raises(KeyboardInterrupt) if crash_at < 6 else nullcontext():
            folder.replace(new)

    again = Folder.open(tmp_path / "pki")
    found = {name: again.have(name, lambda: pytest.fail("made anew")) for name in ("A", "B")}
    assert found == (old if crash_at == 0 else new)
    assert sorted(each.name for each in (tmp_path / "pki").iterdir()) == ["a.crt", "a.key", "b.crt", "b.key"]


def test_leaves_are_due_in_the_last_third_of_their_life_and_authorities_never(folder: Path) -> None:
    pki = Pki.open(folder, now_ms=NOW_MS)
    assert pki.due(NOW_MS) == []
    assert pki.due(NOW_MS + LEAF_DAYS * DAY_MS // 2) == []
    late_ms = NOW_MS + LEAF_DAYS * DAY_MS * 3 // 4
    assert pki.due(late_ms) == [LOCATION, RESOURCE]

    pki.replace({name: pki.make_leaf(name, now_ms=late_ms) for name in pki.due(late_ms)})

    assert pki.due(late_ms) == []
    again = Pki.open(folder, now_ms=late_ms)
    assert [kept.pem for kept in again.kept()] == [kept.pem for kept in pki.kept()]


def test_no_leaf_outlives_its_authority_and_none_is_renewed_for_nothing(folder: Path) -> None:
    pki = Pki.open(folder, now_ms=NOW_MS)
    root = next(kept.read for kept in pki.kept() if kept.role == "root")
    late_ms = root.not_after_ms - 100 * DAY_MS
    pki.replace({LOCATION: pki.make_leaf(LOCATION, now_ms=late_ms)})

    leaf = next(kept.read for kept in pki.kept() if kept.role == "ls")
    assert leaf.not_after_ms == root.not_after_ms
    assert LOCATION not in pki.due(root.not_after_ms - DAY_MS)


async def _dialled(pki: Pki, shown: Pair, folder: Path) -> tuple[str | None, str | None]:
    """CN that the dialler sees, and CN that the adapter sees."""
    (folder / "shown.pem").write_text(shown.key.reveal() + shown.certificate)
    adapter = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    adapter.load_cert_chain(folder / "shown.pem")
    adapter.load_verify_locations(cadata=pki.resource_ca_certificate)
    adapter.verify_mode = ssl.CERT_OPTIONAL
    seen: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.set_result(certificates.common_name(writer.get_extra_info("peercert")))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=adapter) as server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=pki.dialling_context("1.2"))
        name = certificates.common_name(writer.get_extra_info("peercert"))
        writer.close()
        await writer.wait_closed()
        return name, await seen


async def test_whoever_dials_an_adapter_shows_the_rs_certificate_and_sees_that_of_the_adapter(folder: Path) -> None:
    pki = Pki.open(folder, now_ms=NOW_MS)
    assert await _dialled(pki, pki.issue(ADAPTER, now_ms=NOW_MS), folder) == (ADAPTER, RESOURCE)


async def test_an_adapter_with_a_certificate_of_another_authority_is_not_talked_to(folder: Path) -> None:
    pki = Pki.open(folder, now_ms=NOW_MS)
    other = certificates.authority("Kajitori SA CA", days=30, now_ms=NOW_MS)
    with pytest.raises(ssl.SSLCertVerificationError):
        await _dialled(pki, certificates.leaf(other, ADAPTER, days=30, now_ms=NOW_MS), folder)
