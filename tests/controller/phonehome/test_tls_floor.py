"""The TLS floor of each listener: what `arms.tls_floor` opens, what REST refuses all the same, who was talked down."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from controller.api_tls import context_of
from controller.phonehome import certificates
from controller.settings import ApiSettings, ArmsSettings
from controller.store import arms_keys
from inventory.errors import BadInput
from tests.controller.house import Fleet, House, ok, serving
from tests.controller.phonehome.site import Site, Unit, answer_of, hang_up, http10

OLD = "ECDHE-RSA-AES256-SHA"
V1, V11, V12, V13 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BODY = (
    "<arms-message><arms-request type='rs-solicitation'><distribution-id>{}</distribution-id>"
    "<rs-solicitation-request><trigger>power on boot</trigger></rs-solicitation-request></arms-request></arms-message>"
)


def spoken(port: int, version: ssl.TLSVersion, ciphers: str = "DEFAULT") -> tuple[str, str] | None:
    """Version and cipher that the listener agrees to; None when it refuses the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # old TLS is the subject
        context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        try:
            with context.wrap_socket(plain) as secured:
                cipher = secured.cipher()
                assert cipher is not None
                return str(secured.version()), cipher[0]
        except (ssl.SSLError, ConnectionError):
            return None


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of a REST listener."""
    folder = tmp_path_factory.mktemp("rest")
    made = certificates.authority("127.0.0.1", days=30, now_ms=1_790_000_000_000)
    (folder / "rest.crt").write_text(made.certificate)
    (folder / "rest.key").write_text(made.key.reveal())
    return folder


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory, own: Path) -> Iterator[House]:
    """A daemon with the floor at 1.0 and HTTPS for REST."""
    settings = {"API__TLS_CERTIFICATE": str(own / "rest.crt"), "API__TLS_KEY": str(own / "rest.key")}
    with serving(tmp_path_factory.mktemp("legacy") / "data", ARMS__TLS_FLOOR="1.0", **settings) as house:
        yield house


def test_the_floor_of_1_0_opens_the_arms_listeners_alone(legacy: House) -> None:
    for door in ("ls", "rs"):
        assert spoken(legacy.ports[door], V1, OLD) == ("TLSv1", OLD)
        assert spoken(legacy.ports[door], V11, OLD) == ("TLSv1.1", OLD)
        modern = spoken(legacy.ports[door], V13)
        assert modern is not None
        assert modern[0] == "TLSv1.3"
    for version in (V1, V11):
        assert spoken(legacy.ports["api"], version, OLD) is None
    for version, name in ((V12, "TLSv1.2"), (V13, "TLSv1.3")):
        agreed = spoken(legacy.ports["api"], version)
        assert agreed is not None
        assert agreed[0] == name


def test_the_open_floor_is_said_by_explain_and_by_the_list_of_certificates(legacy: House) -> None:
    key = {"Authorization": f"Bearer {legacy.key}"}
    url = f"https://127.0.0.1:{legacy.ports['api']}/api/v1"
    with httpx.Client(base_url=url, headers=key, timeout=60, trust_env=False, verify=False) as client:
        serial = Fleet(client).register(Fleet(client).arms())["serial_number"]
        told = ok(client.get(f"/adapters/{serial}/explain"))
        assert "TLS 1.0" in told["summary"]
        assert any("arms.tls_floor" in words for words in ok(client.get("/pki"))["warnings"])


def test_the_default_floor_refuses_old_tls_everywhere(house: House) -> None:
    for door in ("ls", "rs"):
        assert spoken(house.ports[door], V1, OLD) is None
        assert spoken(house.ports[door], V11, OLD) is None
        assert spoken(house.ports[door], V12) is not None


def test_what_does_not_fit_for_rest_is_refused_with_the_setting_that_does_not(own: Path, tmp_path: Path) -> None:
    other = certificates.authority("other", days=30, now_ms=1_790_000_000_000)
    (tmp_path / "other.key").write_text(other.key.reveal())
    (tmp_path / "locked.key").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    cases = [
        (own / "rest.crt", None, "api.tls_key"),
        (None, own / "rest.key", "api.tls_certificate"),
        (own / "rest.crt", tmp_path / "none.key", "api.tls_key"),
        (own / "rest.crt", tmp_path / "locked.key", "api.tls_key"),
        (own / "rest.crt", tmp_path / "other.key", "api.tls_certificate"),
    ]
    for certificate, key, field in cases:
        with pytest.raises(BadInput) as refused:
            context_of(ApiSettings(tls_certificate=certificate, tls_key=key))
        assert refused.value.field == field
        assert refused.value.next_step
    assert context_of(ApiSettings()) is None


class TestOldClients:
    """With the floor at 1.0."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, tls_floor="1.0")

    async def test_a_modern_adapter_that_speaks_old_tls_is_an_alert_once(self, site: Site) -> None:
        unit = await site.unit()
        assert [await _located(site, unit, version) for version in (V13, V1, V1)] == [200, 200, 200]

        alerts = [facts for kind, facts in await site.events(unit) if kind == "phonehome.tls-downgrade"]
        assert [(one["before"], one["now"]) for one in alerts] == [("TLSv1.3", "TLSv1")]
        contact = await site.contact(unit)
        assert (contact.tls, contact.tls_best) == ("TLSv1", "TLSv1.3")

    async def test_an_adapter_that_never_knew_better_is_none(self, site: Site) -> None:
        unit = await site.unit()
        assert await _located(site, unit, V1) == 200
        assert "phonehome.tls-downgrade" not in [kind for kind, _ in await site.events(unit)]

    async def test_old_tls_can_be_forbidden_for_one_adapter(self, site: Site) -> None:
        unit = await site.unit()
        async with site.database.write() as tx:
            await arms_keys.allow_legacy_tls(tx, unit.adapter_id, allowed=False)
        assert [await _located(site, unit, version) for version in (V1, V13)] == [401, 200]
        reasons = [claim.reason for claim in await site.claims() if claim.claimed == unit.distribution_id]
        assert reasons == ["it speaks TLSv1, and TLS below 1.2 is not allowed for this adapter"]


async def _located(site: Site, unit: Unit, version: ssl.TLSVersion) -> int:
    await site.home.ledger.flush()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.home.ports[0], ssl=site.tls("ls", version=version))
    try:
        body = BODY.format(unit.distribution_id).encode()
        writer.write(http10("/ls/arms", unit.distribution_id, unit.ls_key, body))
        return answer_of(await reader.read())[0]
    finally:
        await hang_up(writer)
