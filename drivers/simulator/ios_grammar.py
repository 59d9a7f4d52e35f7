"""Which lines a simulated IOS device knows, in which mode, and what they replace: data, not code.

A word list, not the whole language: enough to refuse a wrong word, a wrong place, a missing argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace


def words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Mode:
    """One configuration mode. `words`: the first words it knows; `pairs`: those whose second word decides."""

    prompt: str
    words: frozenset[str]
    pairs: dict[str, frozenset[str]]
    single: tuple[str, ...] = ()
    """Patterns of lines of which there is one; the match is the key, a new value replaces the old."""
    default_on: tuple[str, ...] = ()
    """Patterns of lines that are on by default: the positive is not shown, the negative is."""
    both_shown: tuple[str, ...] = ()
    """Patterns of lines that are shown as set, the negative as `no …`."""


GLOBAL = Mode(
    "config",
    words_of(
        """aaa access-list alias archive arp banner bfd bfd-template boot boot-end-marker
        boot-start-marker bridge
        call-home cdp class-map clock configuration control-plane cpp crypto default-value
        device-tracking diagnostic dial-peer enable errdisable event file fhrp flow hostname hw-module
        interface ip ipv6 isdn kerberos key l2vpn license line lldp logging login mac mac-address
        memory-size mls mpls multilink netconf netconf-yang no-alias ntp object-group parser pki
        platform policy-map port-channel power privilege prompt qos radius radius-server redundancy
        restconf rmon route-map router scheduler security service snmp snmp-server spanning-tree standby
        subscriber switch system tacacs tacacs-server telemetry template track transceiver udld username
        version virtual-service vlan vrf vtp zone zone-pair"""
    ),
    {
        "ip": words_of(
            """access-list arp as-path bgp-community bootp cef classless community-list
            default-gateway default-network
            dhcp domain domain-lookup domain-name explicit-path extcommunity-list finger flow-export
            forward-protocol ftp gratuitous-arps host http icmp inspect local msdp multicast
            multicast-routing name-server nat options pim prefix-list radius rcmd routing route scp sla
            source-route ssh subnet-zero tacacs tcp telnet tftp vrf rsvp port-map sdwan"""
        )
    },
    single=(
        r"version",
        r"hostname",
        r"ip domain[ -]name",
        r"ip default-gateway",
        r"ip ssh (version|time-out|authentication-retries|window-size|port)",
        r"ip tcp (synwait-time|window-size|mss)",
        r"ip (tftp|ftp|tacacs|radius|ssh|http|telnet) (source-interface|port|username|password)",
        r"enable (secret|password)",
        r"username \S+",
        r"banner \S+",
        r"clock (timezone|summer-time)",
        r"service timestamps (log|debug)",
        r"logging (buffered|console|monitor|trap|facility|source-interface|origin-id|rate-limit)",
        r"snmp-server (location|contact|chassis-id|trap-source|ifindex|packetsize)",
        r"snmp-server community \S+",
        r"ntp (source|master|clock-period)",
        r"aaa session-id",
        r"aaa (authentication|authorization|accounting) \S+ \S+",
        r"aaa authorization commands \d+ \S+",
        r"vtp (mode|domain|version)",
        r"spanning-tree mode",
    ),
    both_shown=(r"aaa new-model", r"ip http (server|secure-server)", r"ip cef|ipv6 cef"),
    default_on=(
        r"ip (domain[ -]lookup|source-route|gratuitous-arps|icmp rate-limit unreachable|finger|bootp server)",
        r"platform punt-keepalive disable-kernel-core",
        r"cdp run",
        r"service pad",
        r"logging console",
    ),
)

INTERFACE = Mode(
    "config-if",
    words_of(
        """access-session arp auto bandwidth bfd carrier-delay cdp channel-group crypto delay
        description dot1q duplex
        encapsulation flowcontrol full-duplex half-duplex hold-queue ip ipv6 isis keepalive l2protocol
        lacp lldp load-interval logging mac mac-address macro max-reserved-bandwidth mdix media-type
        member mop mpls mtu negotiation nve ntp ospfv3 peer physical-layer platform plim ppp pppoe
        pppoe-client priority-queue queue-set rate-limit service-policy shutdown snmp source-interface
        spanning-tree speed standby storm-control switchport tag trust tunnel udld vlan-id vrf vrrp
        xconnect vxlan zone-member host-reachability autostate power stackwise-virtual
        device-tracking dialer"""
    ),
    {
        "ip": words_of(
            """router accounting address access-group arp authentication bandwidth-percent dhcp
            directed-broadcast flow
            hello-interval helper-address hold-time igmp inspect load-sharing mask-reply mroute-cache
            mtu nat next-hop-self nhrp ospf pim policy proxy-arp redirects rip route-cache sticky-arp
            split-horizon summary-address tcp unnumbered unreachables verify virtual-reassembly vrf
            local-proxy-arp rsvp"""
        ),
        "crypto": words_of("map ipsec"),
        "logging": words_of("event"),
        "ntp": words_of("broadcast multicast disable"),
        "spanning-tree": words_of("portfast bpduguard bpdufilter cost guard link-type port-priority vlan"),
        "snmp": words_of("trap ifindex"),
        "vrf": words_of("forwarding member"),
        "cdp": words_of("enable"),
        "bfd": words_of("interval template echo"),
        "standby": words_of("0 1 2 3 4 5 6 7 8 9 10 version ip preempt priority delay track use-bia"),
    },
    single=(
        r"description",
        r"ip address(?!.* secondary$)",
        r"(ip |ipv6 )?mtu",
        r"bandwidth|delay|speed|duplex|media-type|load-interval|encapsulation|keepalive|negotiation",
        r"ip ospf (cost|priority|network|hello-interval|dead-interval|authentication)",
        r"ip access-group(?=.* in$)",
        r"ip access-group(?=.* out$)",
        r"ip (tcp adjust-mss|policy route-map|unnumbered|nat)",
        r"switchport mode|switchport (access|voice) vlan|switchport trunk (native|allowed) vlan",
        r"vrf forwarding|channel-group|service-policy (input|output)|zone-member security",
        r"tunnel (source|destination|mode|key|protection)",
        r"spanning-tree (portfast|cost|guard|link-type)|storm-control \S+ level",
        r"snmp trap link-status|hold-queue \d+ \S+",
    ),
    default_on=(
        r"ip (redirects|unreachables|proxy-arp|split-horizon|route-cache)",
        r"cdp enable|lldp transmit|lldp receive",
        r"mop (enabled|sysid)",
        r"keepalive|switchport|snmp trap link-status|ip virtual-reassembly",
    ),
    both_shown=(r"negotiation auto",),
)

_ROUTER_WORDS = words_of(
    """autonomous-system cluster-id exit-peer-session inherit local-as address-family
    aggregate-address area auto-cost auto-summary bfd bgp default default-information
    default-metric distance distribute-list eigrp exit-address-family is-type log-adjacency-changes
    max-metric maximum-paths metric metric-style mpls neighbor net network nsf nsr offset-list
    passive-interface prefix-suppression redistribute router-id set-overload-bit summary-address
    summary-prefix synchronization table-map template timers traffic-share variance vrf advertise
    af-interface topology exit-af-interface exit-af-topology capability ispf shutdown isolation ignore
    traffic-engineering domain-tag hello interface l2vpn import export snapshot"""
)
ROUTER = Mode(
    "config-router",
    _ROUTER_WORDS,
    {},
    single=(
        r"(bgp )?router-id",
        r"neighbor \S+ (remote-as|description|update-source|password|timers|weight|ebgp-multihop|peer-group)",
        r"neighbor \S+ (route-map|prefix-list|filter-list|distribute-list)(?= \S+ in$)",
        r"neighbor \S+ (route-map|prefix-list|filter-list|distribute-list)(?= \S+ out$)",
        r"maximum-paths( ibgp| eibgp)?|default-metric|distance|auto-cost|redistribute \S+( \d+)?|timers \S+",
    ),
    default_on=(r"auto-summary|synchronization",),
    both_shown=(r"neighbor \S+ activate",),
)
ADDRESS_FAMILY = replace(ROUTER, prompt="config-router-af")
LINE = Mode(
    "config-line",
    words_of(
        """absolute-timeout access-class authorization autocommand autohangup databits
        escape-character exec
        exec-banner exec-character-bits exec-timeout flowcontrol history international ipv6 length
        location logging login logout-warning modem monitor motd-banner notify parity password privilege
        rotary rxspeed session-limit session-timeout session speed stopbits timeout transport txspeed
        vacant-message width"""
    ),
    {"logging": words_of("synchronous"), "ipv6": words_of("access-class")},
    single=(
        r"exec-timeout|password|login|privilege level|length|width|stopbits|speed",
        r"session-timeout|history size",
        r"transport (input|output|preferred)|access-class(?=.* in)|logging synchronous",
    ),
    default_on=(r"exec|exec-banner|motd-banner",),
)
ARCHIVE = Mode(
    "config-archive",
    words_of("log path maximum time-period write-memory rollback"),
    {},
    single=(r"path|maximum|time-period|rollback retry timeout",),
)
VLAN = Mode(
    "config-vlan",
    words_of("name state mtu private-vlan remote-span shutdown member media tb-vlan1"),
    {},
    single=(r"name|state|mtu",),
)
ACCESS_LIST = Mode("config-ext-nacl", words_of("permit deny remark dynamic evaluate"), {})
ROUTE_MAP = Mode(
    "config-route-map",
    words_of("match set description continue"),
    {},
    single=(r"description|set (metric|local-preference|weight|origin|metric-type|tag|ip next-hop|community)",),
)
POLICY_MAP = Mode("config-pmap", words_of("class description"), {}, single=(r"description",))


def any_words(prompt: str) -> Mode:
    """A mode whose lines the simulator keeps as they are, unless they can only be global ones."""
    return Mode(prompt, frozenset(), {})


OPENERS: tuple[tuple[Mode, re.Pattern[str], Mode], ...] = tuple(
    (parent, re.compile(pattern + "$"), child)
    for parent, pattern, child in (
        (GLOBAL, r"interface \S+", INTERFACE),
        (GLOBAL, r"router \S+.*", ROUTER),
        (ROUTER, r"address-family .+", ADDRESS_FAMILY),
        (ROUTER, r"(af-interface|topology|template) .+", ADDRESS_FAMILY),
        (ADDRESS_FAMILY, r"(af-interface|topology) .+", ADDRESS_FAMILY),
        (GLOBAL, r"line (con|vty|aux|console|tty) \d+( \d+)?", LINE),
        (GLOBAL, r"archive", ARCHIVE),
        (ARCHIVE, r"log config", any_words("config-archive-log-cfg")),
        (GLOBAL, r"vlan [\d,-]+", VLAN),
        (GLOBAL, r"vlan configuration [\d,-]+", any_words("config-vlan-config")),
        (GLOBAL, r"ip access-list (standard|extended|role-based) \S+", ACCESS_LIST),
        (GLOBAL, r"ipv6 access-list \S+", ACCESS_LIST),
        (GLOBAL, r"route-map \S+( (permit|deny))?( \d+)?", ROUTE_MAP),
        (GLOBAL, r"policy-map .+", POLICY_MAP),
        (POLICY_MAP, r"class .+", any_words("config-pmap-c")),
        (GLOBAL, r"class-map .+", any_words("config-cmap")),
        (GLOBAL, r"(ip vrf|vrf definition) \S+", any_words("config-vrf")),
        (GLOBAL, r"ip dhcp pool \S+", any_words("dhcp-config")),
        (GLOBAL, r"ip sla \d+", any_words("config-ip-sla")),
        (GLOBAL, r"crypto key pubkey-chain rsa", any_words("config-pubkey-chain")),
        (GLOBAL, r"crypto (isakmp policy \d+|ikev2 .+ \S+)", any_words("config-isakmp")),
        (GLOBAL, r"crypto ipsec (transform-set|profile) .+", any_words("cfg-crypto-trans")),
        (GLOBAL, r"crypto map \S+ \d+ .+", any_words("config-crypto-map")),
        (
            GLOBAL,
            r"crypto (keyring|isakmp profile|pki trustpoint|pki certificate chain) .+",
            any_words("conf"),
        ),
        (GLOBAL, r"object-group .+", any_words("config-object-group")),
        (GLOBAL, r"aaa group server \S+ \S+", any_words("config-sg")),
        (GLOBAL, r"aaa server radius dynamic-author", any_words("config-locsvr-da-radius")),
        (GLOBAL, r"(tacacs|radius) server \S+", any_words("config-server")),
        (GLOBAL, r"key chain \S+", any_words("config-keychain")),
        (GLOBAL, r"track \d+ .+", any_words("config-track")),
        (GLOBAL, r"event manager applet .+", any_words("config-applet")),
        (GLOBAL, r"flow (record|exporter|monitor) \S+", any_words("config-flow")),
        (GLOBAL, r"spanning-tree mst configuration", any_words("config-mst")),
        (GLOBAL, r"redundancy", any_words("config-red")),
        (GLOBAL, r"control-plane( host)?", any_words("config-cp")),
        (
            GLOBAL,
            r"(virtual-service|transceiver type|template|bfd-template \S+) \S+",
            any_words("config-sub"),
        ),
        (GLOBAL, r"(device-tracking policy|zone security|zone-pair security) .+", any_words("config-sub")),
        (GLOBAL, r"l2vpn evpn.*", any_words("config-evpn")),
        (GLOBAL, r"snmp mib expression owner .+", any_words("config-expression")),
        (GLOBAL, r"(call-home|subscriber templating)", any_words("cfg-call-home")),
    )
)
_ANY_BELOW = any_words("config-sub")

PHYSICAL = (
    "GigabitEthernet",
    "FastEthernet",
    "TenGigabitEthernet",
    "Ethernet",
    "Serial",
    "TwoGigabitEthernet",
)
VIRTUAL = ("Loopback", "Tunnel", "Vlan", "Port-channel", "nve", "Dialer", "BDI", "Null", "Virtual-Template")

RANKS = tuple(
    """version service platform hostname boot-start-marker boot boot-end-marker vrf logging enable
    aaa clock
    switch ip-early ipv6 login multilink flow crypto key subscriber license archive spanning-tree
    memory-size username redundancy vlan track class-map policy-map interface router ip access-list
    snmp-server route-map tacacs-server radius tacacs control-plane virtual-service banner line ntp
    event""".split()  # noqa: SIM905  # a word list reads better in rows than one word a line
)
"""The order in which IOS prints its sections; a new line goes to its place."""
EARLY_IP = words_of("domain domain-name domain-lookup name-server cef dhcp vrf host tcp icmp source-route")


def opened_by(mode: Mode, line: str) -> Mode | None:
    """The mode that `line` opens in `mode`, or None when it is a plain line."""
    for parent, pattern, child in OPENERS:
        if parent is mode and pattern.match(line):
            return child
    return None


def mode_of(path: tuple[str, ...]) -> Mode:
    """The mode that a path of opening lines leads to."""
    mode = GLOBAL
    for line in path:
        mode = opened_by(mode, line) or _ANY_BELOW
    return mode


def rank(line: str) -> int:
    """Where a top-level line stands in the printed order; unknown words come before the lines."""
    words = line.removeprefix("no ").split()
    word = words[0]
    if word == "ip" and len(words) > 1 and words[1] in EARLY_IP:
        word = "ip-early"
    return RANKS.index(word) if word in RANKS else RANKS.index("control-plane")
