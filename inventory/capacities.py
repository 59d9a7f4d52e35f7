"""Published figures of models, with their source. Where nothing is published there is no row: none is invented.

Figures are best-case laboratory numbers; whoever compares with them takes a share (`USED_PERCENT` in links.py).
SEIL and SA models have no published figure for forwarding or IPsec. Operators enter what they know; a figure of theirs
goes before a shipped one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from inventory import catalogue

TrafficKind = Literal["forwarding", "ipsec", "inspected"]

FORTIGATE_LINEUP = "scsk.jp/sp/fortinet/blog/fortigate-lineup"
FORTIGATE_IPSEC = "community.fortinet.com article 379076"
ISR_G2 = "fastreroute.com/cisco-routers-performance/"
C8300 = "layer23-switch.com/blog/cisco-router-throughput-cef-ipsec-sd-wan.html"


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """What is known about one piece of hardware, and from where. A kind of traffic without figure is absent."""

    hardware: str
    family: str
    source: str
    forwarding_bps: int | None = None
    ipsec_bps: int | None = None
    inspected_bps: int | None = None
    packets_per_s: int | None = None
    sold: bool = False
    """Whether it may be recommended: still in the maker's current line-up."""
    aliases: tuple[str, ...] = field(default=())
    ports: int | None = None
    """None, as for the port speed and the line types: not known, so that it does not bind."""
    port_speed_bps: int | None = None
    line_types: frozenset[str] | None = None
    offered_until: date | None = None
    """Announced last day of its sale."""
    origin: str = "third-party"
    """Who says so: `vendor`, `third-party` or `operator`."""
    model: str = ""
    """Key of the catalogue that it is offered as."""

    @property
    def figures_bps(self) -> dict[str, float]:
        """Figures by kind of traffic."""
        known = {
            "forwarding": self.forwarding_bps,
            "ipsec": self.ipsec_bps,
            "inspected": self.inspected_bps,
        }
        return {kind: bps for kind, bps in known.items() if bps is not None}


def _fortigate(name: str, forwarding_gbps: float, inspected_mbps: int, ipsec_mbps: int | None = None) -> PublishedModel:
    """Forwarding with 1518-byte packets; inspected = threat protection, the default with security profiles on."""
    return PublishedModel(
        hardware=f"FortiGate {name}",
        family="fortios",
        model="fortigate",
        source=FORTIGATE_LINEUP if ipsec_mbps is None else f"{FORTIGATE_LINEUP}; {FORTIGATE_IPSEC}",
        forwarding_bps=round(forwarding_gbps * 1_000_000_000),
        ipsec_bps=None if ipsec_mbps is None else ipsec_mbps * 1_000_000,
        inspected_bps=inspected_mbps * 1_000_000,
        sold=True,
        aliases=(f"FortiGate-{name}", f"FGT{name}", f"FGT_{name}", f"FG-{name}", name),
    )


def _isr_g2(name: str, packets_per_s: int, mbps: int) -> PublishedModel:
    """RFC 2544 best case at the non-drop rate; the generation is not sold any more."""
    return PublishedModel(
        hardware=f"Cisco {name}",
        family="ios",
        model="cisco-ios",
        source=ISR_G2,
        forwarding_bps=mbps * 1_000_000,
        packets_per_s=packets_per_s,
        aliases=(f"CISCO{name}/K9", f"CISCO{name}-K9", f"C{name}", name),
    )


PUBLISHED: tuple[PublishedModel, ...] = (
    _fortigate("40F", 5, 600),
    _fortigate("60F", 10, 700, 6_500),
    _fortigate("70F", 10, 800),
    _fortigate("80F", 10, 900),
    _fortigate("100F", 20, 1_000),
    _fortigate("200F", 27, 3_000),
    _fortigate("400F", 79.5, 9_000),
    _fortigate("600F", 139, 10_500),
    PublishedModel(
        "FortiGate 1000F", "fortios", FORTIGATE_IPSEC, ipsec_bps=55_000_000_000, sold=True, model="fortigate"
    ),
    _isr_g2("860", 25_000, 197),
    _isr_g2("880", 50_000, 198),
    _isr_g2("890", 100_000, 1_400),
    _isr_g2("1921", 290_000, 2_770),
    _isr_g2("1941", 330_000, 2_932),
    _isr_g2("2901", 330_000, 3_114),
    _isr_g2("2911", 352_000, 3_371),
    _isr_g2("2921", 479_000, 3_502),
    _isr_g2("2951", 579_000, 5_136),
    _isr_g2("3925", 833_000, 6_903),
    _isr_g2("3925E", 1_845_000, 6_703),
    _isr_g2("3945", 982_000, 8_025),
    _isr_g2("3945E", 2_924_000, 8_675),
    PublishedModel(
        "C8300-1N1S-6T",
        "ios",
        C8300,
        forwarding_bps=19_700_000_000,
        ipsec_bps=1_900_000_000,
        sold=True,
        model="cisco-ios",
    ),
)

_SERIES = {"cisco861": "cisco860", "cisco881": "cisco880", "cisco887": "cisco880", "cisco891": "cisco890"}
"""Members of a series that the table lists as one."""


def folded(name: str) -> str:
    """A name of hardware as it is looked for: case, spaces and dashes do not count."""
    return "".join(c for c in name.casefold() if c.isalnum())


_BY_NAME = {folded(name): model for model in PUBLISHED for name in (model.hardware, *model.aliases)}


def published(hardware: str) -> PublishedModel | None:
    """The published figures of a piece of hardware by its name; case, spaces and dashes do not count.

    Cisco's part numbers of a series that the table lists as one are known, too: C881-K9 is of the series 880.
    """
    name = folded(hardware)
    part = name.removesuffix("k9")
    for spelling in (name, f"cisco{name}", part, f"cisco{part.removeprefix('c')}"):
        found = _BY_NAME.get(spelling) or _BY_NAME.get(_SERIES.get(spelling, ""))
        if found:
            return found
    return None


class ModelBook:
    """What is known of models: what is shipped, and what operators entered, which goes before it figure by figure."""

    def __init__(self, entered: Iterable[PublishedModel] = ()) -> None:
        self._known = {folded(one.hardware): one for one in PUBLISHED}
        for one in entered:
            shipped = published(one.hardware)
            name = folded(shipped.hardware if shipped else one.hardware)
            self._known[name] = one if shipped is None else _over(one, shipped)

    def find(self, hardware: str, model: str) -> PublishedModel | None:
        """By the name of the hardware; where a model of the catalogue is one piece of hardware, by that, too."""
        shipped = published(hardware)
        found = self._known.get(folded(shipped.hardware if shipped else hardware))
        if found is None and not catalogue.model(model).is_range:
            found = next((one for one in self._known.values() if one.model == model), None)
        return found

    def of(self, model: str) -> list[PublishedModel]:
        """All hardware that is offered as a model of the catalogue, by name."""
        return sorted((one for one in self._known.values() if one.model == model), key=lambda one: one.hardware)

    def all(self) -> list[PublishedModel]:
        """Everything, by name."""
        return sorted(self._known.values(), key=lambda one: one.hardware)


def _over(entered: PublishedModel, shipped: PublishedModel) -> PublishedModel:
    """The entered row with the shipped figures where it has none; its origin is told where it has any."""

    def either(mine: int | None, theirs: int | None) -> int | None:
        return theirs if mine is None else mine

    return replace(
        entered,
        hardware=shipped.hardware,
        aliases=shipped.aliases,
        forwarding_bps=either(entered.forwarding_bps, shipped.forwarding_bps),
        ipsec_bps=either(entered.ipsec_bps, shipped.ipsec_bps),
        inspected_bps=either(entered.inspected_bps, shipped.inspected_bps),
        packets_per_s=either(entered.packets_per_s, shipped.packets_per_s),
    )


def usual_traffic(family: str) -> TrafficKind:
    """Kind of traffic that a family is compared by unless an operator says otherwise."""
    return "inspected" if family == "fortios" else "forwarding"
