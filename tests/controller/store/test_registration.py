"""Adapters: registered once, for ever, and found again in any spelling."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from controller.keyring import Keyring
from controller.store import adapters, checklist, endpoints
from controller.store.scope import Scope
from drivers.devices import on_a_line
from drivers.sessions.contract import Endpoint, Hop, Rest
from inventory import catalogue
from inventory.adapters import Adapter, Life, LifeEvent, SerialNumber
from inventory.errors import BadInput, Conflict, NotEligible, NotFound, SerialTaken, StaleVersion
from inventory.secrets import Secret
from tests.controller.store.fleet import ALL, BY, DAY_MS, Fleet, distribution_id, later


async def test_one_serial_number_is_one_adapter_for_ever_and_across_services(fleet: Fleet) -> None:
    north, south = await fleet.contractor("North"), await fleet.contractor("South")
    first = await fleet.adapter(north, serial="ab-1")
    async with fleet.database.write() as tx:
        await adapters.set_life(tx, ALL, BY, first.id, LifeEvent.RECEIVED_EARLY)
    for contractor, serial in ((north, "AB-1"), (south, " ａｂ-１ ")):
        with pytest.raises(SerialTaken) as refused:
            await fleet.adapter(contractor, serial=serial, service="smfsx", model="SEIL/X1")
        assert refused.value.rule == "SMF-1"
        assert refused.value.field == "serial_number"


async def test_a_stranger_learns_nothing_about_the_holder_of_a_serial_number(fleet: Fleet) -> None:
    north, south = await fleet.contractor("North"), await fleet.contractor("South")
    await fleet.adapter(north, serial="AB-1")
    with pytest.raises(SerialTaken) as refused:
        async with fleet.database.write() as tx:
            await adapters.register(
                tx,
                Scope.of(south.id),
                BY,
                serial="AB-1",
                contractor_id=south.id,
                service="mpc",
                device_class="I",
                model="SA-W2",
                distribution_id=distribution_id(99),
            )
    assert refused.value.facts == {}


async def test_a_taken_serial_number_leaves_the_transaction_usable(fleet: Fleet) -> None:
    north = await fleet.contractor()
    await fleet.adapter(north, serial="AB-1")
    async with fleet.database.write() as tx:
        for number, serial in enumerate(("AB-1", "AB-2"), start=50):
            try:
                await adapters.register(
                    tx,
                    ALL,
                    BY,
                    serial=serial,
                    contractor_id=north.id,
                    service="mpc",
                    device_class="I",
                    model="SA-W2",
                    distribution_id=distribution_id(number),
                )
            except SerialTaken:
                assert serial == "AB-1"
    async with fleet.database.read() as tx:
        assert [str(one.serial) for one in await adapters.page(tx, ALL)] == ["AB-1", "AB-2"]


async def test_a_distribution_id_is_one_device(fleet: Fleet) -> None:
    north = await fleet.contractor()
    first = await fleet.adapter(north)
    with pytest.raises(SerialTaken) as refused:
        async with fleet.database.write() as tx:
            await adapters.register(
                tx,
                ALL,
                BY,
                serial="OTHER",
                contractor_id=north.id,
                service="mpc",
                device_class="I",
                model="SA-W2",
                distribution_id=(first.distribution_id or "").lower(),
            )
    assert refused.value.field == "distribution_id"


@pytest.mark.parametrize(
    ("device_class", "model", "rule"),
    [("III", "SA-W2", "MPC-2"), ("I", "Cisco IOS", "MPC-2"), ("II", "SEIL/X4", "MPC-2")],
)
async def test_a_model_outside_its_class_is_not_registered(
    fleet: Fleet, device_class: str, model: str, rule: str
) -> None:
    north = await fleet.contractor()
    with pytest.raises(NotEligible) as refused:
        await fleet.adapter(north, device_class=device_class, model=model)  # type: ignore[arg-type]  # literals
    assert refused.value.rule == rule
    async with fleet.database.read() as tx:
        assert await adapters.page(tx, ALL) == []


async def test_no_fortigate_in_smfsx(fleet: Fleet) -> None:
    with pytest.raises(NotEligible) as refused:
        await fleet.adapter(await fleet.contractor(), service="smfsx", model="FortiGate")
    assert refused.value.rule == "SMF-A1"


async def test_what_a_path_needs_is_asked_for(fleet: Fleet) -> None:
    north = await fleet.contractor()
    for model, device_class, path, field in (
        ("SA-W2", "I", None, "distribution_id"),
        ("SA-W2", "I", "ssh", "path"),
        ("Cisco IOS", "III", None, "endpoint"),
        ("Cisco IOS", "III", "arms", "path"),
    ):
        with pytest.raises(BadInput) as refused:
            async with fleet.database.write() as tx:
                await adapters.register(
                    tx,
                    ALL,
                    BY,
                    serial="AB-1",
                    contractor_id=north.id,
                    service="mpc",
                    device_class=device_class,  # type: ignore[arg-type]  # literals
                    model=model,
                    path=path,  # type: ignore[arg-type]  # literals
                )
        assert refused.value.field == field


@pytest.mark.parametrize("model", ["SA-W2", "SA-W2L"])
async def test_an_sa_is_reached_over_ssh_only_where_an_operator_has_opened_that(fleet: Fleet, model: str) -> None:
    north = await fleet.contractor()

    async def register(*, opened: bool) -> Adapter:
        async with fleet.database.write() as tx:
            return await adapters.register(
                tx,
                ALL,
                BY,
                serial="AB-1",
                contractor_id=north.id,
                service="mpc",
                device_class="I",
                model=model,
                path="ssh",
                endpoint=Endpoint("192.0.2.7", 22, "admin", Secret("correct horse")),
                keyring=fleet.keyring,
                doubtful_paths=opened,
            )

    with pytest.raises(BadInput, match="is reached by arms, not by ssh") as refused:
        await register(opened=False)
    assert "sessions.sa_over_ssh" in refused.value.next_step
    made = await register(opened=True)
    assert made.path == "ssh"
    assert on_a_line(catalogue.model(model).family).family == "recipe-ssh", "it is read, never written"


async def test_an_adapter_is_found_in_any_spelling_and_by_its_owner_only(fleet: Fleet) -> None:
    north, south = await fleet.contractor("North"), await fleet.contractor("South")
    made = await fleet.adapter(north, serial="Ab-1")
    async with fleet.database.read() as tx:
        assert await adapters.by_serial(tx, Scope.of(north.id), SerialNumber.parse("aB-1")) == made
        assert str(made.serial) == "Ab-1"
        for ask in (
            adapters.by_serial(tx, Scope.of(south.id), made.serial),
            adapters.get(tx, Scope.of(south.id), made.id),
            adapters.life_history(tx, Scope.of(south.id), made.id),
            checklist.missing(tx, Scope.of(south.id), made.id),
            endpoints.get(tx, Scope.of(south.id), fleet.keyring, made.id),
        ):
            with pytest.raises(NotFound):
                await ask
        assert await adapters.page(tx, Scope.of(south.id)) == []


async def test_a_list_is_walked_by_key_and_filtered(fleet: Fleet) -> None:
    north = await fleet.contractor()
    osaka = await fleet.management(north)
    units = [await fleet.adapter(north) for _ in range(5)]
    router = await fleet.adapter(north, device_class="III", model="Cisco IOS", serial="FTX-1")
    await fleet.assign(units[2], management=osaka)
    async with fleet.database.read() as tx:
        first = await adapters.page(tx, ALL, limit=4)
        rest = await adapters.page(tx, ALL, after=first[-1].id, limit=4)
        assert [one.id for one in first + rest] == [one.id for one in [*units, router]]
        assert await adapters.page(tx, ALL, model="cisco ios") == [router]
        assert await adapters.page(tx, ALL, text="ftx") == [router]
        assert await adapters.page(tx, ALL, text="%") == []
        assert await adapters.page(tx, ALL, path="ssh", life=Life.DELIVERED, device_class="III") == [router]
        assert [one.id for one in await adapters.page(tx, ALL, seated=True)] == [units[2].id]
        assert [one.id for one in await adapters.page(tx, ALL, management_id=osaka.id)] == [units[2].id]
        assert len(await adapters.page(tx, ALL, seated=False)) == 5


async def test_the_last_item_of_the_checklist_installs_the_adapter(fleet: Fleet) -> None:
    unit = await fleet.adapter(await fleet.contractor())
    async with fleet.database.write() as tx:
        assert await checklist.missing(tx, ALL, unit.id) == ("line", "site", "installation", "other")
        for item in ("line", "site", "installation"):
            assert (await checklist.tick(tx, ALL, BY, unit.id, item)).life is Life.DELIVERED
        installed = await checklist.tick(tx, ALL, later(5), unit.id, "other", note="key of the rack")
        assert (installed.life, installed.life_at_ms) == (Life.INSTALLED, BY.at_ms + 5)
        await checklist.tick(tx, ALL, later(9), unit.id, "other")
        assert (await checklist.ticks(tx, ALL, unit.id))[-1].note == "key of the rack"


async def test_the_life_of_an_adapter_is_kept_with_its_rules(fleet: Fleet) -> None:
    unit = await fleet.adapter(await fleet.contractor())
    async with fleet.database.write() as tx:
        await adapters.set_life(tx, ALL, later(DAY_MS), unit.id, LifeEvent.FAILURE_REPORTED)
        with pytest.raises(Conflict) as refused:
            await adapters.set_life(tx, ALL, BY, unit.id, LifeEvent.CHECKLIST_COMPLETE)
        assert "failed" in refused.value.message
        repaired = await adapters.set_life(tx, ALL, later(2 * DAY_MS), unit.id, LifeEvent.REPAIRED)
        assert repaired.life is Life.DELIVERED
        history = await adapters.life_history(tx, ALL, unit.id)
    assert [step.event.value for _, step in history] == ["order", "deliver", "failure-reported", "repaired"]
    assert all(step.rule for _, step in history)


async def test_a_change_to_what_somebody_else_changed_is_refused(fleet: Fleet) -> None:
    unit = await fleet.adapter(await fleet.contractor())
    async with fleet.database.write() as tx:
        await adapters.set_life(tx, ALL, BY, unit.id, LifeEvent.FAILURE_REPORTED, if_version=unit.version)
        with pytest.raises(StaleVersion):
            await adapters.set_life(tx, ALL, BY, unit.id, LifeEvent.REPAIRED, if_version=unit.version)


async def test_the_password_of_an_endpoint_is_sealed_and_comes_back(fleet: Fleet) -> None:
    unit = await fleet.adapter(await fleet.contractor(), device_class="III", model="FortiGate")
    async with fleet.database.write() as tx:
        raw = (await tx.execute(sa.text("SELECT password_sealed FROM endpoints"))).scalar_one()
        assert b"correct horse" not in bytes(raw)
        assert (await endpoints.get(tx, ALL, fleet.keyring, unit.id)) == Endpoint(
            "127.0.0.1", 22, "admin", Secret("correct horse")
        )


async def test_jump_hosts_and_a_rest_token_are_sealed_and_come_back(fleet: Fleet) -> None:
    unit = await fleet.adapter(await fleet.contractor(), device_class="III", model="FortiGate")
    hop = Hop("192.0.2.1", 22, "jumper", Secret("hop hop"), host_key="ssh-ed25519 AAAA1", profile="compat")
    rest = Rest(Secret("a token"), 8443)
    moved = Endpoint("192.0.2.9", 22, "admin", Secret("pw"), transport="lane", jump=(hop,), rest=rest)
    async with fleet.database.write() as tx:
        await endpoints.put(tx, ALL, BY, unit.id, endpoint=moved, keyring=fleet.keyring)
        assert await endpoints.get(tx, ALL, fleet.keyring, unit.id) == moved
        raw = (await tx.execute(sa.text("SELECT jump_sealed, rest_token_sealed FROM endpoints"))).one()
        assert not any(secret in bytes(sealed) for sealed in raw for secret in (b"hop hop", b"a token"))
        for certificate in ("aa" * 32, "bb" * 32):
            await endpoints.pin_certificate(tx, ALL, BY, unit.id, certificate)
        kept = await endpoints.get(tx, ALL, fleet.keyring, unit.id)
        assert kept is not None
        assert kept.rest == Rest(Secret("a token"), 8443, "aa" * 32)
        await endpoints.forget_host_key(tx, ALL, BY, unit.id)
        await endpoints.pin_certificate(tx, ALL, BY, unit.id, "bb" * 32)
        bare = Endpoint("192.0.2.9", 22, "admin", Secret("pw"))
        await endpoints.put(tx, ALL, BY, unit.id, endpoint=bare, keyring=fleet.keyring)
        assert await endpoints.get(tx, ALL, fleet.keyring, unit.id) == bare


async def test_a_sealed_password_does_not_open_in_another_row(fleet: Fleet, keyring: Keyring) -> None:
    north = await fleet.contractor()
    one, other = [await fleet.adapter(north, device_class="III", model="FortiGate") for _ in range(2)]
    async with fleet.database.write() as tx:
        await tx.execute(
            sa.text(
                "UPDATE endpoints SET password_sealed = (SELECT password_sealed FROM endpoints WHERE adapter_id = :one)"
                " WHERE adapter_id = :other"
            ),
            {"one": one.id, "other": other.id},
        )
        with pytest.raises(Conflict):
            await endpoints.get(tx, ALL, keyring, other.id)


async def test_the_first_host_key_is_pinned_and_another_one_refused(fleet: Fleet) -> None:
    unit = await fleet.adapter(await fleet.contractor(), device_class="III", model="Cisco IOS")
    async with fleet.database.write() as tx:
        for _ in range(2):
            await endpoints.pin_host_key(tx, ALL, BY, unit.id, "ssh-ed25519 AAAA1")
        with pytest.raises(Conflict):
            await endpoints.pin_host_key(tx, ALL, BY, unit.id, "ssh-ed25519 AAAA2")
        moved = Endpoint("192.0.2.9", 2222, "admin", Secret("new"), enable_password=Secret("up"))
        await endpoints.put(tx, ALL, BY, unit.id, endpoint=moved, keyring=fleet.keyring)
        kept = await endpoints.get(tx, ALL, fleet.keyring, unit.id)
        assert kept is not None
        assert (kept.host, kept.host_key, kept.enable_password) == ("192.0.2.9", "ssh-ed25519 AAAA1", Secret("up"))
        await endpoints.forget_host_key(tx, ALL, BY, unit.id)
        await endpoints.pin_host_key(tx, ALL, BY, unit.id, "ssh-ed25519 AAAA2")
