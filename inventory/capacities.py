"""Published figures of models, with their source. Where nothing is published there is no row: none is invented.

Figures are best-case laboratory numbers; whoever compares with them takes a share (`USED_PERCENT` in links.py).
SEIL and SA models have no published figure for forwarding or IPsec; only the ports of one are known by its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TrafficKind = Literal["forwarding", "ipsec", "inspected"]

FORTIGATE_LINEUP = "scsk.jp/sp/fortinet/blog/fortigate-lineup"
FORTIGATE_IPSEC = "community.fortinet.com article 379076"
ISR_G2 = "fastreroute.com/cisco-routers-performance/"
C8300 = "layer23-switch.com/blog/cisco-router-throughput-cef-ipsec-sd-wan.html"


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """What the maker or a tester printed about one piece of hardware. A kind of traffic without figure is absent."""

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
        source=FORTIGATE_LINEUP if ipsec_mbps is None else f"{FORTIGATE_LINEUP}; {FORTIGATE_IPSEC}",
        forwarding_bps=round(forwarding_gbps * 1_000_000_000),
        ipsec_bps=None if ipsec_mbps is None else ipsec_mbps * 1_000_000,
        inspected_bps=inspected_mbps * 1_000_000,
        sold=True,
        aliases=(f"FortiGate-{name}", f"FGT{name}", f"FGT_{name}", f"FG-{name}"),
    )


def _isr_g2(name: str, packets_per_s: int, mbps: int) -> PublishedModel:
    """RFC 2544 best case at the non-drop rate; the generation is not sold any more."""
    return PublishedModel(
        hardware=f"Cisco {name}",
        family="ios",
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
    PublishedModel("FortiGate 1000F", "fortios", FORTIGATE_IPSEC, ipsec_bps=55_000_000_000, sold=True),
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
    PublishedModel("C8300-1N1S-6T", "ios", C8300, forwarding_bps=19_700_000_000, ipsec_bps=1_900_000_000, sold=True),
)

_SERIES = {"cisco861": "cisco860", "cisco881": "cisco880", "cisco887": "cisco880", "cisco891": "cisco890"}
"""Members of a series that the table lists as one."""


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


_BY_NAME = {_folded(name): model for model in PUBLISHED for name in (model.hardware, *model.aliases)}


def published(hardware: str) -> PublishedModel | None:
    """The published figures of a piece of hardware by its name; case, spaces and dashes do not count."""
    name = _folded(hardware)
    for spelling in (name, f"cisco{name}"):
        found = _BY_NAME.get(spelling) or _BY_NAME.get(_SERIES.get(spelling, ""))
        if found:
            return found
    return None


def usual_traffic(family: str) -> TrafficKind:
    """Kind of traffic that a family is compared by unless an operator says otherwise."""
    return "inspected" if family == "fortios" else "forwarding"
