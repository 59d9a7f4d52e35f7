"""Several nodes on one database are one installation: the same master key, the same CAs."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.main import Daemon
from controller.phonehome.certificates import read
from controller.settings import ApiSettings, ArmsSettings, DatabaseSettings, Settings
from inventory.certificates import AuthorityRole
from inventory.errors import Conflict
from inventory.incidents import IncidentKind
from tests.controller.phonehome.devices import certified
from tests.controller.phonehome.site import Site, Unit
from tests.controller.phonehome.test_importing import KEYS, Made, pem_of

pytestmark = pytest.mark.postgres


async def test_a_node_with_other_cas_is_refused_before_it_listens(
    nodes: tuple[Site, Site], tmp_path: Path, arms_settings: ArmsSettings
) -> None:
    first, _ = nodes
    stranger = Site(first.database, first.keyring, tmp_path / "its own", arms_settings, 10.0, node="third")
    with pytest.raises(Conflict, match="another root, rs-ca, sa-ca than the installation") as refused:
        await stranger.home.start()
    assert "copy master.key and pki/" in refused.value.next_step
    assert stranger.home.ports == (0, 0, 0)


async def issuer_of(site: Site, unit: Unit) -> str:
    """Who signed the certificate that the adapter will get."""
    identity = await site.home.context.identity(unit.distribution_id)
    assert identity is not None
    assert identity.certificate is not None
    return read(identity.certificate).issuer


async def test_a_ca_that_was_imported_at_one_node_is_an_incident_of_the_other_until_it_has_it_too(
    nodes: tuple[Site, Site], arms_settings: ArmsSettings
) -> None:
    first, second = nodes
    unit = await first.unit()
    await certified(first, unit)
    role: AuthorityRole = "sa-ca"
    await first.home.import_authority(role, Made("Example SA CA").pem(), pem_of(KEYS[0]))
    while await first.home.renewal.issue_some():
        pass
    assert await issuer_of(first, unit) == "CN=Example SA CA"

    await second.home.renewal.look()
    assert not await second.home.renewal.issue_some(), "the two would replace each other's certificates for ever"
    assert await issuer_of(first, unit) == "CN=Example SA CA"
    (told,) = [one for one in await first.incidents(IncidentKind.CERTIFICATE) if one.state == "open"]
    assert "node second has another sa-ca than the installation" in told.title

    await second.restart()  # its folder is a copy of the first one's now
    await second.home.renewal.look()
    assert not [one for one in await first.incidents(IncidentKind.CERTIFICATE) if one.state == "open"]
    await first.restart()


async def test_a_daemon_with_another_master_key_is_refused_before_it_does_anything(
    tmp_path: Path, postgres_url: str
) -> None:
    def settings(name: str) -> Settings:
        return Settings(
            data_directory=tmp_path / name,
            api=ApiSettings(port=0),
            arms=ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0),
            database=DatabaseSettings(url=postgres_url),
        )

    first = await Daemon.open(settings("first"))
    try:
        with pytest.raises(Conflict, match="another master-key than the installation"):
            await Daemon.open(settings("second"))
        (tmp_path / "third").mkdir(mode=0o700)
        (tmp_path / "third" / "master.key").write_bytes((tmp_path / "first" / "master.key").read_bytes())
        (tmp_path / "third" / "master.key").chmod(0o600)
        third = await Daemon.open(settings("third"))
        await third.stop()
    finally:
        await first.stop()
