"""Whether an application can be accepted, as a whole, over what the contractor holds (MPC-2, MPC-3, MPC-6, SMF-13)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from inventory.catalogue import CLASSES, DeviceClass, Line, Service, is_model, offered
from inventory.optionrules import MIN_PACKS_GB, MOBILE_PLANS


@dataclass(frozen=True, slots=True)
class ManagementLine:
    """A management, held or wanted; `classes` are those it serves (mpc only)."""

    entries: int
    standbys: int
    classes: tuple[DeviceClass, ...] = ()


@dataclass(frozen=True, slots=True)
class AdapterLine:
    """An mpc adapter line or a smfsx rental (`device_class` None). `management_of` names another contractor."""

    name: str
    model: str
    device_class: DeviceClass | None = None
    management_of: str | None = None
    consent: bool = False
    rental: bool = False


@dataclass(frozen=True, slots=True)
class SendBack:
    """Ultra Send-back: the site is named in advance (MPC-9.2(1))."""

    on: str
    site: str | None


@dataclass(frozen=True, slots=True)
class MobileAccess:
    """Mobile Access on an adapter."""

    on: str
    plan: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class PacketGroup:
    """A packet share group."""

    name: str
    packs_gb: int


@dataclass(frozen=True, slots=True)
class UltraFirewall:
    """Ultra Firewall on an adapter."""

    on: str


@dataclass(frozen=True, slots=True)
class InvoiceAddressee:
    """Invoices for the management's fees go to an adapter user (MPC-6.3, SMF-14.1)."""

    adapter_user: str | None
    consent: bool
    approved: bool


_Key = TypeVar("_Key", str, tuple[str, str])
Item = ManagementLine | AdapterLine | SendBack | MobileAccess | PacketGroup | UltraFirewall | InvoiceAddressee


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why an application cannot be accepted."""

    rule: str
    words: str
    next_step: str
    at: int | None = None
    """Which of the items that are wanted; None: the whole of them."""


_OPTIONS_OF: Final[dict[Service, tuple[type, ...]]] = {
    "mpc": (SendBack, MobileAccess, PacketGroup),
    "smfsx": (UltraFirewall,),
}


_NAMES: Final[dict[type, str]] = {
    SendBack: "Ultra Send-back",
    MobileAccess: "Mobile Access",
    UltraFirewall: "Ultra Firewall",
}
_ON_AN_ADAPTER: Final = (SendBack, MobileAccess, UltraFirewall)


def obstacles(service: Service, holds: Sequence[Item], wants: Sequence[Item]) -> tuple[Obstacle, ...]:
    """Everything that stands against the application; empty: it can be accepted. Free slots are not looked at."""
    every = (*holds, *wants)
    adapters = {item.name: item for item in every if isinstance(item, AdapterLine)}
    found: list[Obstacle] = []
    for at, item in enumerate(wants):
        found += [replace(one, at=at) for one in _of_item(service, item, adapters, every)]
    found += _names(holds, wants)
    found += _once(service, holds, wants)
    if service == "mpc" and not all(isinstance(item, InvoiceAddressee) for item in wants):
        found += _both_kinds(every)
    return tuple(found)


def _of_item(
    service: Service, item: Item, adapters: dict[str, AdapterLine], every: Sequence[Item]
) -> Iterable[Obstacle]:
    match item:
        case ManagementLine():
            return _management(service, item)
        case AdapterLine():
            return _adapter(service, item, every)
        case InvoiceAddressee():
            return _addressee(service, item, every)
        case _:
            return _option(service, item, adapters, every)


def _management(service: Service, line: ManagementLine) -> Iterator[Obstacle]:
    if line.entries < 0 or line.standbys < 0:
        yield Obstacle("MPC-3.1" if service == "mpc" else "SMF-4.1", "a count is below 0", "Give counts from 0.")
    if service == "smfsx":
        if line.classes:
            yield Obstacle("SMF-4.1", "smfsx has no device classes", "Leave the classes out.")
        return
    if not line.classes or set(line.classes) - set(CLASSES):
        yield Obstacle("MPC-2", "a management serves one or more of the classes I, II, III", "Name its classes.")
    if line.entries < 1:
        yield Obstacle("MPC-8", "a management has at least one entry", "Ask for an entry.")
    if line.standbys > 0 and "I" not in line.classes:
        yield Obstacle("MPC-3.2", "class II and III have entries only", "Ask for no standby, or serve class I too.")


def _adapter(service: Service, line: AdapterLine, every: Sequence[Item]) -> Iterator[Obstacle]:
    if line.rental != (service == "smfsx"):
        yield Obstacle("MPC-4", f"{service} has no such contract line", "Choose a line of the service.")
        return
    kind: Line = "adapter-rental" if line.rental else "adapter"
    if not offered(service, kind, line.device_class, line.model):
        rule = "SMF-A1" if line.rental else "MPC-2"
        yield Obstacle(rule, f"{line.model} is not offered so", "Choose a model of the catalogue, and its class.")
    rule = "SMF-13" if line.rental else "MPC-6.2"
    if line.management_of is not None and not line.consent:
        yield Obstacle(rule, f"{line.management_of} has not consented", "Record the other contractor's consent.")
    if line.rental and line.management_of is None and not _managements(every):
        yield Obstacle(rule, "a rental alone needs the management of another contractor", "Name it, with its consent.")


def _addressee(service: Service, item: InvoiceAddressee, every: Sequence[Item]) -> Iterator[Obstacle]:
    rule = "MPC-6.3" if service == "mpc" else "SMF-14.1"
    if not _managements(every):
        yield Obstacle(rule, "only whoever has a management can redirect its invoices", "Apply for a management.")
    if not (item.adapter_user and item.consent and item.approved):
        yield Obstacle(rule, "adapter user, consent and approval are not all recorded", "Record what is missing.")


def _option(service: Service, item: Item, adapters: dict[str, AdapterLine], every: Sequence[Item]) -> list[Obstacle]:
    if not isinstance(item, _OPTIONS_OF[service]):
        rule = "MPC-9.2" if service == "mpc" else "SMF-4.2"
        return [Obstacle(rule, f"{service} has no such option", "Choose an option of the service.")]
    match item:
        case SendBack(on=on, site=site):
            return list(_send_back(adapters.get(on), on, site))
        case MobileAccess():
            return list(_mobile(adapters.get(item.on), item, every))
        case PacketGroup():
            return list(_group(item, every))
        case UltraFirewall(on=on):
            return list(_firewall(adapters.get(on), on))
    return []


def _send_back(line: AdapterLine | None, on: str, site: str | None) -> Iterator[Obstacle]:
    if line is None or line.device_class != "I":
        yield Obstacle("MPC-6.5", f"{on} is no class I adapter line", "Apply for it with a class I adapter.")
    if not site:
        yield Obstacle("MPC-9.2(1)", "the site is not named", "Name the site in advance.")


def _mobile(line: AdapterLine | None, item: MobileAccess, every: Sequence[Item]) -> Iterator[Obstacle]:
    if line is None or not is_model(line.model, "sa-w2l"):
        yield Obstacle("MPC-6.6", f"{item.on} is no adapter line of model SA-W2L", "Apply for it with an SA-W2L.")
    if item.plan not in MOBILE_PLANS:
        yield Obstacle("MPC-9.2(2)(i)", f"there is no plan {item.plan}", f"Use one of {', '.join(MOBILE_PLANS)}.")
    groups = {one.name for one in every if isinstance(one, PacketGroup)}
    if item.plan == "packet-share" and item.group not in groups:
        yield Obstacle("MPC-6.8", "the packet-share plan needs a group", "Order the group in the same request.")
    if item.plan != "packet-share" and item.group is not None:
        yield Obstacle("MPC-6.7", "only the packet-share plan belongs to a group", "Choose that plan, or no group.")


def _group(item: PacketGroup, every: Sequence[Item]) -> Iterator[Obstacle]:
    if item.packs_gb < MIN_PACKS_GB:
        yield Obstacle("MPC-9.2(3)", f"a group has at least {MIN_PACKS_GB} GB", "Ask for more packs.")
    members = (one for one in every if isinstance(one, MobileAccess) and one.plan == "packet-share")
    if not any(one.group == item.name for one in members):
        yield Obstacle("MPC-6.7", f"{item.name} has no member", "Order Mobile Access on packet-share with it.")


def _firewall(line: AdapterLine | None, on: str) -> Iterator[Obstacle]:
    if line is None:
        yield Obstacle("SMF-4.2", f"there is no adapter {on}", "Name an adapter of this contractor.")
    elif not offered("smfsx", "ultra-firewall", None, line.model):
        yield Obstacle("SMF-A1", f"{line.model} is not designated for Ultra Firewall", "Choose a designated model.")


def _names(holds: Sequence[Item], wants: Sequence[Item]) -> Iterator[Obstacle]:
    """Two lines of one name cannot be told apart by the options that hang on them."""
    held = [item.name for item in holds if isinstance(item, AdapterLine | PacketGroup)]
    asked = [(at, item.name) for at, item in enumerate(wants) if isinstance(item, AdapterLine | PacketGroup)]
    for at, name in _again(held, asked):
        yield Obstacle("MPC-4", f"the name {name} stands twice", "Give each line a name of its own.", at)


def _once(service: Service, holds: Sequence[Item], wants: Sequence[Item]) -> Iterator[Obstacle]:
    """The unit of these options is one adapter (SMF-4.2, MPC-9.2): it has each of them once."""
    held = [(_NAMES[type(item)], item.on) for item in holds if isinstance(item, _ON_AN_ADAPTER)]
    asked = [(at, (_NAMES[type(item)], item.on)) for at, item in enumerate(wants) if isinstance(item, _ON_AN_ADAPTER)]
    rule = "SMF-4.2" if service == "smfsx" else "MPC-9.2"
    for at, (name, on) in _again(held, asked):
        yield Obstacle(rule, f"{name} stands twice on {on}", "Order it once for each adapter.", at)


def _again(held: Sequence[_Key], asked: Sequence[tuple[int, _Key]]) -> Iterator[tuple[int, _Key]]:
    """What is asked for and was there before: held, or asked for earlier."""
    seen = set(held)
    for at, key in asked:
        if key in seen:
            yield at, key
        seen.add(key)


def _both_kinds(every: Sequence[Item]) -> Iterator[Obstacle]:
    lines = [item for item in every if isinstance(item, AdapterLine)]
    guests = bool(lines) and all(line.management_of is not None and line.consent for line in lines)
    if not lines:
        yield Obstacle("MPC-6.1", "there is no adapter line", "Apply for an adapter with it.")
    if not guests and not any(line.entries > 0 for line in _managements(every)):
        yield Obstacle("MPC-6.1", "there is no management with an entry", "Apply for a management with it.")


def _managements(every: Sequence[Item]) -> list[ManagementLine]:
    return [item for item in every if isinstance(item, ManagementLine)]
