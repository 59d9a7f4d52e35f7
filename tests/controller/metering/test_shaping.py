"""A shaper in the running configuration is a capacity, dated, with its provenance; and it goes with the shaper."""

from __future__ import annotations

from datetime import date

from controller.keyring import Keyring
from controller.metering.shaping import ShaperWatch
from controller.store import configs, links
from controller.store.links import NewLink
from inventory.links import Capacity, CapacityKind, Direction, LinkRole, governing
from inventory.periods import TOKYO, day_of
from inventory.plans import ConfigText
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place

SHAPED = 'config system interface\n    edit "wan1"\n        set outbandwidth 20000\n    next\nend\n'
PLAIN = 'config system interface\n    edit "wan1"\n        set mode dhcp\n    next\nend\n'


async def read(place: Place, keyring: Keyring, text: str) -> None:
    """The daemon has read this from the device."""
    async with place.database.write() as tx:
        await configs.put(
            tx,
            EVERYTHING,
            keyring,
            place.entry_id,
            kind="truth",
            config=ConfigText.single(text),
            digest=text,
            author="daemon",
            reason="read after contact",
            at_ms=place.clock.now_ms(),
        )


async def known(place: Place) -> list[Capacity]:
    async with place.database.read() as tx:
        return await links.capacities(tx, place.link.id)


def today(place: Place) -> date:
    return day_of(place.clock.now_ms(), TOKYO)


async def test_a_shaper_that_the_device_runs_governs_from_that_day_and_goes_with_it(
    place: Place, keyring: Keyring
) -> None:
    watch = ShaperWatch(place.database, keyring, place.clock, place.metering.rejudge)
    assert await watch.look() is None, "nothing was read yet"
    await read(place, keyring, SHAPED)
    found = await watch.look()
    assert found is not None
    assert [(one.capacity.down_bps, one.capacity.up_bps) for one in found] == [(None, 20_000_000)]
    capacities = await known(place)
    up = governing(place.link, capacities, Direction.UP, today(place))
    down = governing(place.link, capacities, Direction.DOWN, today(place))
    assert up is not None
    assert down is not None
    assert (up.kind, up.used_bps, up.since) == (CapacityKind.SHAPED, 20_000_000, today(place))
    assert (down.kind, down.used_bps) == (CapacityKind.LINE, 100_000_000)
    assert await watch.look() is None
    again = ShaperWatch(place.database, keyring, place.clock, place.metering.rejudge)
    assert await again.look() == [], "after a restart the same reading changes nothing"
    place.clock.advance(2 * DAY_MS / 1000)
    await read(place, keyring, PLAIN)
    assert await watch.look()
    gone = governing(place.link, await known(place), Direction.UP, today(place))
    assert gone is not None
    assert gone.kind is CapacityKind.LINE


async def test_what_a_person_entered_as_shaped_stays(place: Place, keyring: Keyring) -> None:
    entered = Capacity(CapacityKind.SHAPED, 30_000_000, 30_000_000, date(2025, 1, 1), None, "", "by the carrier")
    async with place.database.write() as tx:
        await links.set_capacity(tx, EVERYTHING, place.by(), place.link.id, entered)
    await read(place, keyring, SHAPED)
    watch = ShaperWatch(place.database, keyring, place.clock, place.metering.rejudge)
    assert await watch.look() == []
    assert [one.up_bps for one in await known(place) if one.kind is CapacityKind.SHAPED] == [30_000_000]


async def test_a_link_that_is_added_after_the_reading_gets_its_shaper_too(place: Place, keyring: Keyring) -> None:
    await read(place, keyring, SHAPED.replace("wan1", "wan2"))
    watch = ShaperWatch(place.database, keyring, place.clock, place.metering.rejudge)
    assert await watch.look() == []
    assert await watch.look() is None
    new = NewLink(place.entry_id, "wan2", LinkRole.LAN, None, None, "dhcp", TOKYO)
    async with place.database.write() as tx:
        added = await links.add(tx, EVERYTHING, place.by(), new)
    found = await watch.look()
    assert found is not None
    ((link, capacity),) = [(one.link, one.capacity) for one in found]
    assert (link.id, capacity.down_bps, capacity.up_bps) == (added.id, 20_000_000, None), "a LAN side sends down"
    assert await watch.look() is None


async def test_what_gives_no_rate_is_told_where_capacities_are_listed_and_changes_no_judgement(
    place: Place, keyring: Keyring
) -> None:
    watch = ShaperWatch(place.database, keyring, place.clock, place.metering.rejudge)
    part = (
        'config firewall shaping-policy\n    edit 7\n        set dstintf "wan1"\n        set traffic-shaper "slow"\n'
        "    next\nend\n"
    )
    await read(place, keyring, PLAIN + part)
    assert await watch.look()
    (told,) = [one for one in await known(place) if one.kind is CapacityKind.SHAPED]
    assert (told.down_bps, told.up_bps) == (None, None)
    assert "shaping-policy 7 holds the sessions that it matches (traffic-shaper slow)" in told.reason
    up = governing(place.link, await known(place), Direction.UP, today(place))
    assert up is not None
    assert up.kind is CapacityKind.LINE
    await read(place, keyring, SHAPED + part)
    assert await watch.look()
    place.clock.advance(2 * DAY_MS / 1000)
    await read(place, keyring, SHAPED)
    assert await watch.look()
    (now,) = [one for one in await known(place) if one.kind is CapacityKind.SHAPED and one.holds_on(today(place))]
    assert now.reason == "shaper in the running configuration"
    up = governing(place.link, await known(place), Direction.UP, today(place))
    assert up is not None
    assert (up.used_bps, (today(place) - up.since).days) == (20_000_000, 2), "other words begin no new history"
