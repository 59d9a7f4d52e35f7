"""Real datagrams to a whole daemon: every statistic is shown, and so is everything that was refused."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from controller.main import Daemon
from controller.settings import ApiSettings, ArmsSettings, Settings
from controller.store import adapters, contractors, counts, identities, slots
from controller.store.scope import By, Scope
from drivers.arms import heartbeat
from drivers.arms.heartbeat import LAYOUTS, Tlv
from drivers.arms.ids import DistributionId
from tests.controller.house import Json, ok

VECTORS = Path(__file__).parents[2] / "vectors" / "arms"
ID = "0001-0000-0101-0000-0200-00FF-FE12-3456"
SERIAL = "SAW2-0001"


@dataclass
class Stand:
    """A daemon with one adapter in an entry, its passphrase, and a client of its API."""

    daemon: Daemon
    key: bytes
    api: httpx.AsyncClient

    def send(self, *datagrams: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for datagram in datagrams:
                out.sendto(datagram, ("127.0.0.1", self.daemon.phonehome.ports[2]))

    async def got(self, count: int) -> None:
        """Wait until so many datagrams have been judged; then everything is written and settled."""
        counted = self.daemon.phonehome.heartbeats.counts
        async with asyncio.timeout(20):
            while counted.accepted + counted.duplicate + counted.dropped < count:  # noqa: ASYNC110  # a counter
                await asyncio.sleep(0.01)
        await self.daemon.phonehome.heartbeats.flush()
        await self.daemon.phonehome.ledger.flush()
        await self.daemon.metering.settle()

    async def read(self, path: str) -> Json:
        found: Json = ok(await self.api.get(path))
        return found


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """See `Stand`."""
    settings = Settings(
        data_directory=tmp_path / "data",
        log_level="error",
        api=ApiSettings(port=0),
        arms=ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0),
    )
    daemon = await Daemon.open(settings)
    try:
        await daemon.start()
        by, everything = By("test", daemon.clock.now_ms()), Scope.everything()
        async with daemon.db.write() as tx:
            owner = await contractors.create(tx, everything, by, name="North Foods")
            management = await counts.create_management(
                tx,
                everything,
                by,
                contractor_id=owner.id,
                service="mpc",
                classes=["I"],
                name="shops",
                entry_count=1,
                standby_count=0,
            )
            made = await adapters.register(
                tx,
                everything,
                by,
                serial=SERIAL,
                contractor_id=owner.id,
                service="mpc",
                device_class="I",
                model="SA-W2",
                distribution_id=ID,
            )
            await daemon.provision(tx, made)
            await slots.assign(tx, everything, by, made.id, management_id=management.id)
        async with daemon.db.read() as tx:
            (identity,) = await identities.by_adapter(tx, daemon.keyring, [made.id])
        key = (settings.data_directory / "admin.key").read_text().strip()
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{daemon.api_port}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
        ) as api:
            yield Stand(daemon, identity.passphrase.reveal().encode(), api)
    finally:
        await daemon.stop()


def vector(name: str) -> tuple[bytes, Json]:
    """A datagram of the specification, and what it says."""
    return (
        bytes.fromhex((VECTORS / f"{name}.hex").read_text()),
        json.loads((VECTORS / f"{name}.json").read_text()),
    )


def signed(datagram: bytes, key: bytes) -> bytes:
    """The same statistics, proven with another key."""
    tlvs = heartbeat._tlvs(heartbeat.content(datagram), 0)
    return heartbeat.encode(DistributionId.parse(ID), tlvs, key)


async def test_every_statistic_is_stored_and_shown_and_what_was_refused_is_counted_by_reason(stand: Stand) -> None:
    every, _ = vector("heartbeat-02")
    good, other_server = signed(every, stand.key), signed(every, b"second-server-key-01")
    full = LAYOUTS[0x35].struct.pack(0, 95, 5)
    later = heartbeat.encode(DistributionId.parse(ID), [Tlv(0x33, b"\0\0\xff"), Tlv(0x35, full)], stand.key)
    unknown = bytearray(good)
    unknown[43] ^= 1
    stand.send(good, good, other_server, later[:70], b"noise", bytes(unknown))
    await stand.got(6)

    told = await stand.read(f"/adapters/{SERIAL}/statistics")
    shown = {(one["kind"], one["index"]): one["values"] for one in told["latest"]["statistics"]}
    assert shown == {
        ("cpu", 0): {"utilization": 42},
        ("cpu-detail", 0): {"idle": 58, "interrupt": 2, "user": 25, "system": 14, "other": 1},
        ("memory", 0): {"used": 268435456, "free": 805306368},
        ("disk", 0): {"used": 5000000000, "free": 27000000000},
        ("traffic-rate", 0): _traffic(125000, 62500, 150, 90, 1, 0),
        ("traffic-count", 0): _traffic(1234567890123, 987654321, 5000000, 4000000, 7, 3),
        ("radio-wave", 0): {"status": 0, "max": 78, "min": 41, "avg": 60},
    }
    node = await stand.read("/heartbeats")
    assert (node["accepted"], node["durable"], node["duplicate"], node["unsettled"]) == (1, 1, 1, 0)
    assert node["refused"] == {"malformed": 1, "truncated": 1, "unknown-id": 1, "wrong-key": 1}
    mine = await stand.read(f"/adapters/{SERIAL}/heartbeats")
    assert {one["reason"]: (one["count"], one["last_source"]) for one in mine["refused"]} == {
        "wrong-key": (1, "127.0.0.1"),
        "truncated": (1, "127.0.0.1"),
    }
    claims = await stand.read("/claims")
    assert [(one["reason"], one["count"]) for one in claims["items"]] == [("heartbeat: the id is unknown", 1)]

    stand.send(later)
    await stand.got(7)
    told = await stand.read(f"/adapters/{SERIAL}/statistics")
    assert told["troubles"] == ["memory 0 is nearly full: 95 % used"]
    assert [one["valid"] for one in told["latest"]["statistics"]] == [False, True]
    explained = await stand.read(f"/adapters/{SERIAL}/explain")
    said = [fact["text"] for fact in explained["facts"]]
    assert "memory 0 is nearly full: 95 % used" in said
    assert "heartbeats refused in its name for a wrong key: 1, the last from 127.0.0.1" in said


def _traffic(*values: int) -> dict[str, int]:
    return dict(zip(LAYOUTS[0x38].fields[1:], values, strict=True))


def test_what_is_sent_to_a_second_receiver_with_another_key_has_the_same_content() -> None:
    first, said = vector("heartbeat-02")
    second, _ = vector("heartbeat-03")
    assert first[4:24] != second[4:24]
    assert heartbeat.content(first) == heartbeat.content(second)
    assert said
