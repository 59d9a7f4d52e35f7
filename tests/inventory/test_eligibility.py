"""Applications: each obstacle has its rule and its next step, and the whole is decided at once."""

from __future__ import annotations

import pytest

from inventory.catalogue import DeviceClass, Service
from inventory.eligibility import (
    AdapterLine,
    InvoiceAddressee,
    Item,
    ManagementLine,
    MobileAccess,
    PacketGroup,
    SendBack,
    UltraFirewall,
    obstacles,
)

pytestmark = pytest.mark.fast

MPC = ManagementLine(2, 0, ("I",))
SMFSX = ManagementLine(2, 1)
SA_W2L = AdapterLine("a1", "SA-W2L", "I")
RENTAL = AdapterLine("a1", "SEIL/X1", rental=True)


def rules(service: Service, *wants: Item, holds: tuple[Item, ...] = ()) -> set[str]:
    """The rules that stand against an application."""
    found = obstacles(service, holds, wants)
    assert all(one.words and one.next_step for one in found)
    return {one.rule for one in found}


@pytest.mark.rule("MPC-6.1", "MPC-4")
def test_mpc_needs_a_management_with_an_entry_and_an_adapter() -> None:
    assert rules("mpc", MPC, SA_W2L) == set()
    assert rules("mpc", MPC) == {"MPC-6.1"}
    assert rules("mpc", SA_W2L) == {"MPC-6.1"}
    assert rules("mpc", SA_W2L, holds=(MPC,)) == set()


@pytest.mark.rule("SMF-4.1")
def test_smfsx_has_managements_alone_and_no_classes() -> None:
    assert rules("smfsx", SMFSX) == set()
    assert rules("smfsx", ManagementLine(1, 0, ("I",))) == {"SMF-4.1"}
    assert rules("smfsx", RENTAL, SMFSX) == set()


@pytest.mark.rule("MPC-3.1", "MPC-3.2")
@pytest.mark.parametrize(("classes", "rule"), [(("I",), None), (("II",), "MPC-3.2"), (("I", "III"), None)])
def test_standbys_need_class_one(classes: tuple[DeviceClass, ...], rule: str | None) -> None:
    found = rules("mpc", ManagementLine(1, 1, classes), SA_W2L)
    assert found == ({rule} if rule else set())


@pytest.mark.rule("MPC-6.2", "SMF-13")
def test_the_management_of_another_contractor_needs_its_consent() -> None:
    assert rules("mpc", AdapterLine("a1", "SA-W2", "I", "other", consent=True)) == set()
    assert "MPC-6.2" in rules("mpc", AdapterLine("a1", "SA-W2", "I", "other"))
    assert rules("smfsx", AdapterLine("a1", "SEIL/X1", None, "other", consent=True, rental=True)) == set()
    assert rules("smfsx", AdapterLine("a1", "SEIL/X1", None, "other", rental=True)) == {"SMF-13"}
    assert rules("smfsx", RENTAL) == {"SMF-13"}


@pytest.mark.rule("MPC-2", "SMF-A1", "SMF-4.1", "MPC-4")
def test_a_line_is_one_of_the_catalogue_and_of_its_service() -> None:
    assert rules("mpc", MPC, AdapterLine("a1", "SEIL/X4", "II")) == {"MPC-2"}
    assert rules("smfsx", SMFSX, AdapterLine("a1", "SEIL/x86 Fuji", rental=True)) == {"SMF-A1"}
    assert "MPC-4" in rules("mpc", MPC, RENTAL)


@pytest.mark.rule("MPC-6.5", "MPC-9.2(1)")
def test_send_back_needs_a_leased_adapter_and_a_site() -> None:
    assert rules("mpc", MPC, SA_W2L, SendBack("a1", "Osaka")) == set()
    assert rules("mpc", MPC, SA_W2L, SendBack("a1", None)) == {"MPC-9.2(1)"}
    assert rules("mpc", MPC, AdapterLine("a1", "SEIL/X4", "III"), SendBack("a1", "Osaka")) == {"MPC-6.5"}


@pytest.mark.rule("MPC-6.6")
def test_mobile_access_needs_its_model() -> None:
    assert rules("mpc", MPC, SA_W2L, MobileAccess("a1", "normal")) == set()
    assert rules("mpc", MPC, AdapterLine("a1", "SA-W2", "I"), MobileAccess("a1", "normal")) == {"MPC-6.6"}
    assert rules("mpc", MPC, SA_W2L, MobileAccess("a9", "normal")) == {"MPC-6.6"}


@pytest.mark.rule("MPC-6.7", "MPC-6.8", "MPC-9.2(3)")
def test_a_group_and_its_plan_need_each_other() -> None:
    member, group = MobileAccess("a1", "packet-share", "g1"), PacketGroup("g1", 50)
    assert rules("mpc", MPC, SA_W2L, member, group) == set()
    assert rules("mpc", MPC, SA_W2L, member) == {"MPC-6.8"}
    assert rules("mpc", MPC, SA_W2L, group) == {"MPC-6.7"}
    assert rules("mpc", MPC, SA_W2L, member, PacketGroup("g1", 49)) == {"MPC-9.2(3)"}
    assert rules("mpc", MPC, SA_W2L, MobileAccess("a1", "10GB", "g1")) == {"MPC-6.7"}


@pytest.mark.rule("SMF-4.2", "SMF-A1")
def test_ultra_firewall_needs_a_designated_model() -> None:
    assert rules("smfsx", SMFSX, RENTAL, UltraFirewall("a1")) == set()
    assert rules("smfsx", SMFSX, AdapterLine("a1", "SEIL/B1", rental=True), UltraFirewall("a1")) == {"SMF-A1"}
    assert rules("smfsx", SMFSX, UltraFirewall("a9")) == {"SMF-4.2"}


@pytest.mark.rule("MPC-6.3", "SMF-14.1")
def test_invoices_are_redirected_only_when_named_consented_and_approved() -> None:
    assert rules("smfsx", InvoiceAddressee("u1", True, True), holds=(SMFSX,)) == set()
    for lacking in (
        InvoiceAddressee(None, True, True),
        InvoiceAddressee("u1", False, True),
        InvoiceAddressee("u1", True, False),
    ):
        assert rules("smfsx", lacking, holds=(SMFSX,)) == {"SMF-14.1"}
    assert "MPC-6.3" in rules("mpc", InvoiceAddressee("u1", True, True), holds=(SA_W2L,))


@pytest.mark.rule("MPC-6.3")
def test_a_management_that_has_outlived_its_last_adapter_line_can_still_redirect_its_invoices() -> None:
    """MPC-6.1 is asked of applications for lines and options; an addressee is neither."""
    assert rules("mpc", InvoiceAddressee("u1", True, True), holds=(MPC,)) == set()
    assert rules("mpc", InvoiceAddressee("u1", True, True), MPC) == {"MPC-6.1"}


def test_an_option_of_the_other_service_is_refused() -> None:
    assert rules("smfsx", SMFSX, RENTAL, SendBack("a1", "Osaka")) == {"SMF-4.2"}
    assert rules("mpc", MPC, SA_W2L, UltraFirewall("a1")) == {"MPC-9.2"}


@pytest.mark.rule("SMF-4.2", "MPC-9.2(1)")
def test_an_adapter_has_each_of_its_options_once() -> None:
    wall, site = UltraFirewall("a1"), SendBack("a1", "Osaka")
    assert rules("smfsx", wall, holds=(SMFSX, RENTAL, wall)) == {"SMF-4.2"}
    assert rules("smfsx", wall, wall, holds=(SMFSX, RENTAL)) == {"SMF-4.2"}
    other = AdapterLine("a2", "SEIL/X1", rental=True)
    assert rules("smfsx", UltraFirewall("a2"), holds=(SMFSX, RENTAL, other, wall)) == set()
    mobile = MobileAccess("a1", "normal")
    assert rules("mpc", site, holds=(MPC, SA_W2L, mobile)) == set()
    assert rules("mpc", MobileAccess("a1", "10GB"), holds=(MPC, SA_W2L, mobile)) == {"MPC-9.2"}
    assert rules("mpc", SA_W2L, MPC, site, SendBack("a1", "Kobe")) == {"MPC-9.2"}


def test_two_lines_of_one_name_cannot_be_told_apart() -> None:
    assert rules("smfsx", SMFSX, RENTAL, RENTAL) == {"MPC-4"}


@pytest.mark.rule("MPC-6.1")
def test_a_management_without_an_entry_is_not_the_one_that_an_adapter_needs() -> None:
    empty = ManagementLine(0, 0, ("I",))
    assert rules("mpc", SA_W2L, holds=(empty,)) == {"MPC-6.1"}
    assert rules("mpc", SA_W2L, holds=(MPC,)) == set()
