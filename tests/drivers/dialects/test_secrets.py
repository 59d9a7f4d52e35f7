"""A planted secret survives no masking: in whole texts, fragments, differences and proofs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dialects import dialect
from drivers.dialects.diff import difference, equal
from drivers.dialects.indented_secrets import decode_type7
from drivers.dialects.remediation import prove
from inventory.errors import BadInput
from inventory.secrets import MASK
from tests.drivers.dialects.corpus import files, text_of

pytestmark = pytest.mark.fast

PLACES = {
    "indented": [
        "enable secret 9 {}",
        "enable password {}",
        "username admin privilege 15 secret 5 {}",
        "username admin password 7 {}",
        "line vty 0 4\n password {}",
        "snmp-server community {} RO 10",
        "snmp-server host 192.0.2.1 version 2c {}",
        "snmp-server host 192.0.2.1 vrf MGMT traps version 3 priv {} bgp",
        "snmp-server host 192.0.2.1 inform version 2c {}",
        "snmp-server host 192.0.2.1 trap version 2c {}",
        "mab request format attribute 2 {}",
        "mab request format attribute 2 7 {}",
        "cable shared-secondary-secret index 1 {}",
        "interface eth0\n ip rip authentication string {}",
        "interface eth0\n ipv6 ospf6 authentication key-id 1 hash-algo hmac-sha-256 key {}",
        "segment-routing\n traffic-eng\n  pcep\n   pce A\n    tcp-md5-auth {}",
        "snmp-server user u g v3 auth sha {} priv aes 128 other",
        "snmp-server user u g v3 auth md5 other priv aes 128 {}",
        "snmp-server user u g v3 auth sha-2 256 {} priv aes 256 other",
        "aaa server radius proxy\n client 192.0.2.0 255.255.255.0 key 7 {}",
        "crypto key import rsa K exportable pem terminal {}",
        "crypto pki export T pem url flash:x 3des {}",
        "event manager environment _mail_password {}",
        "snmp-server user u g v3 auth sha other priv des56 x priv 3des {}",
        "tacacs-server host 192.0.2.1 key 7 {}",
        "radius-server key {}",
        "radius server A\n address ipv4 192.0.2.1 auth-port 1812\n key {}",
        "crypto isakmp key {} address 192.0.2.1",
        "crypto keyring K\n pre-shared-key address 192.0.2.1 key {}",
        "crypto ikev2 keyring K\n peer P\n  pre-shared-key local 0 {}",
        "key chain K\n key 1\n  key-string 7 {}",
        "interface Tunnel0\n ip nhrp authentication {}",
        "interface Vlan1\n ip ospf authentication-key {}",
        "interface Vlan1\n ip ospf message-digest-key 1 md5 7 {}",
        "interface Vlan1\n standby 1 authentication {}",
        "interface Vlan1\n standby 1 authentication md5 key-string {}",
        "interface Dialer1\n ppp chap password 0 {}",
        "interface Dialer1\n ppp pap sent-username u password 0 {}",
        "interface Dot11Radio0\n encryption key 1 size 128bit 7 {} transmit-key",
        "router bgp 1\n neighbor 192.0.2.1 password {}",
        "router isis\n area-password {}",
        "ntp authentication-key 1 md5 {} 7",
        "ip ftp password 7 {}",
        "archive\n path ftp://user:{}@192.0.2.1/config",
        "aaa group server radius R\n server-private 192.0.2.1 auth-port 1812 key {}",
        "key config-key password-encrypt {}",
        "router eigrp A\n af-interface default\n  authentication mode hmac-sha-256 7 {}",
        "crypto ikev2 profile P\n authentication local pre-share key {}",
        "crypto map M 1 ipsec-manual\n set session-key inbound esp 1000 cipher {} authenticator 00",
        "interface Vlan1\n ipv6 ospf authentication ipsec spi 500 sha1 {}",
        "interface Vlan1\n cts manual\n  sap pmk {}",
        "wlan A 1 A\n security wpa akm psk set-key ascii 0 {}",
        "wlan A 1 A\n security static-wep-key encryption 104 ascii 0 {} index 1",
        "crypto isakmp client configuration group G\n key {}",
        "aaa server radius dynamic-author\n client 192.0.2.1 server-key 7 {}",
        "dot1x credentials D\n password 7 {}",
        "vpdn-group 1\n l2tp tunnel password 7 {}",
        "cts credentials id unit password 7 {}",
        "something new $9${}",
        "crypto pki x\n-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    ],
    "block": [
        "config router rip\n config interface\n  edit wan1\n   set auth-string {}\n  next\n end\nend",
        'config system automation-action\n edit a\n  set headers "Authorization: Bearer {}"\n next\nend',
        "config system automation-action\n edit a\n  config http-headers\n   edit 1\n    set key Authorization\n"
        '    set value "Bearer {}"\n   next\n  end\n next\nend',
        "config user fortitoken\n edit F\n  set activation-code {}\n next\nend",
        "config system admin\n    edit a\n        set password ENC {}\n    next\nend",
        "config system admin\n    edit a\n        set password {}\n    next\nend",
        'config vpn ipsec phase1-interface\n    edit a\n        set psksecret "{} and\nmore"\n    next\nend',
        "config user radius\n    edit a\n        set secret '{}'\n    next\nend",
        "config system snmp user\n    edit a\n        set auth-pwd ENC {}\n    next\nend",
        'config system snmp community\n    edit 1\n        set name "{}"\n    next\nend',
        'config vpn certificate local\n edit a\n  set private-key "-----BEGIN PRIVATE KEY-----\n{}\nx"\n next\nend',
        "config router ospf\n    config area\n        edit 0\n            set key {}\n        next\n    end\nend",
        "#private-encryption-key={}",
        "config system fortiguard\n    set proxy-url http://user:{}@192.0.2.1/\nend",
        "config system sdn-connector\n    edit a\n        set secret-key {}\n    next\nend",
        "config router key-chain\n edit a\n config key\n edit 1\n set key-string {}\n next\n end\n next\nend",
        "config router isis\n    set auth-password-l1 {}\nend",
        "config user krb-keytab\n    edit a\n        set keytab {}\n    next\nend",
        "config system ha\n    set password ENC {}\nend",
        "config wireless-controller vap\n    edit a\n        set passphrase {}\n    next\nend",
        "config vpn ipsec manualkey\n    edit a\n        set authkey {}\n        set enckey {}\n    next\nend",
    ],
    "statements": [
        'encrypted-password admin "{}"',
        "encrypted-password-long admin {}",
        'ppp add A identifier "u" passphrase "{}" tcp-mss auto',
        'ike preshared-key add "192.0.2.1" "{}"',
        "sshd hostkey rsa 120,{}",
        'snmp community "{}"',
        "authentication local A user add u password {}",
        "authentication radius A server add 192.0.2.1 secret {}",
        'ipsec anonymous-l2tp-transport preshared-key "{}"',
        "interface lan0 floatlink floatlink-key {}",
        "interface lan0 floatlink preshared-key {}",
        "dialup-device mdm0 pin {}",
        "route dynamic auth-key add K password {}",
        "route dynamic bgp neighbor add 192.0.2.1 remote-as 1 authentication md5 {} enable",
        "monitor server add authentication-password {} privacy-password {}",
        "certificate my add A private-key {}",
        'config:\n  line:\n    line-type: pppoe\n    password: "{}"',
        "macfilter add A url http://user:{}@192.0.2.1/list",
    ],
    "key-value": [
        "interface.pppoe0.password: {}",
        'interface.ipsec0.preshared-key: "{} with blanks"',
        "interface.l2tp0.ipsec-preshared-key: {}",
        "login.admin.encrypted-password: {}",
        "sshd.hostkey: {}",
        "certificate.100.private-key: {}",
        "aaa.radius.shared-secret: {}",
        "proxy.secret-key: {}",
        "ospf.key: {}",
        "interface.ppp0.pin: {}",
        "snmp.community: {}",
        "interface.wlan0.wpa.passphrase: {}",
        "interface.wlan0.wpa-psk: {}",
        "list.100.url: http://user:{}@192.0.2.1/",
    ],
}
CASES = [pytest.param(name, place, id=f"{name}: {place}") for name, places in PLACES.items() for place in places]
SECRET = "Planted5ecret"


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_secret_is_masked_where_it_stands(name: str, place: str) -> None:
    masked = dialect(name).redact(place.replace("{}", SECRET))
    assert SECRET not in masked
    assert MASK in masked


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_secret_is_masked_in_a_text_with_windows_line_ends(name: str, place: str) -> None:
    text = place.replace("{}", SECRET).replace("\n", "\r\n") + "\r\nlast line\r\n"
    masked = dialect(name).redact(text)
    assert SECRET not in masked
    assert masked.endswith("last line\r\n") or "PRIVATE KEY" in place


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_new_secret_shows_in_no_difference(name: str, place: str) -> None:
    d = dialect(name)
    other = "hostname: a" if name == "key-value" else "" if name == "block" else "hostname a"
    old, new = (d.parse(place.replace("{}", secret)) for secret in (SECRET, "Changed5ecret"))
    for before, after in ((old, new), (d.parse(other), new), (new, d.parse(other))):
        shown = difference(d, before, after)
        assert SECRET not in shown
        assert "Changed5ecret" not in shown


@given(
    case=st.sampled_from([(name, place) for name, places in PLACES.items() for place in places]),
    secret=st.text("abcXYZ0189-_.$/+=", min_size=6, max_size=30).map(lambda text: f"q{text}"),
    before=st.text(max_size=20),
    cut=st.integers(0, 30),
)
def test_a_secret_is_masked_in_broken_text(case: tuple[str, str], secret: str, before: str, cut: int) -> None:
    """Whatever stands on lines above, and wherever behind the secret the text was cut."""
    name, place = case
    if any(mark in before for mark in "\"'\\"):
        return  # an open quote above may make the place a part of another value
    if "://" in place and "/" in secret:
        return
    text = place.replace("{}", secret)
    end = text.rindex(secret) + len(secret)
    masked = dialect(name).redact(f"{before}\n{text[: end + cut]}")
    assert secret not in masked


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, places in PLACES.items() for place in places if "://" in place]
)
def test_a_password_of_an_address_that_was_cut_is_masked(name: str, place: str) -> None:
    text = place.replace("{}", SECRET)
    assert SECRET not in dialect(name).redact(text[: text.rindex(SECRET) + len(SECRET)])


@pytest.mark.parametrize(
    "address",
    [
        "http://192.0.2.1:8080/list",
        "ftp://host:21",
        'https://[2001:db8::1]:443/x"',
        "tftp://192.0.2.1:69 vrf A",
        "a://b:",
    ],
)
def test_a_port_is_no_password(address: str) -> None:
    for name in PLACES:
        assert dialect(name).redact(f"see {address}") == f"see {address}"


def test_masking_leaves_the_rest_of_the_corpus_readable() -> None:
    """Most lines hold no secret and must come through unchanged."""
    for name in PLACES:
        for path in files(name):
            given_lines = text_of(path).split("\n")
            masked = dialect(name).redact(text_of(path)).split("\n")
            changed = [line for line in masked if MASK in line]
            assert len(masked) == len(given_lines)
            assert [a for a, b in zip(given_lines, masked, strict=True) if a != b and MASK not in b] == []
            assert len(changed) <= 8 + len(masked) // 10, path.name


def test_type_7_of_one_password_is_equal_whatever_its_salt() -> None:
    assert decode_type7("0822455D0A16") == decode_type7("121A0C041104") == "cisco"
    d = dialect("indented")
    texts = [
        "line vty 0 4\n password 7 0822455D0A16",
        "line vty 0 4\n password 7 121A0C041104",
        "line vty 0 4\n password cisco",
    ]
    assert equal(d, texts[0], texts[1])
    assert equal(d, texts[0], texts[2])
    assert not equal(d, texts[0], "line vty 0 4\n password 7 1234")


@pytest.mark.parametrize("code", ["", "0", "08", "zz", "082245 D0A16", "1", "99FF"])
def test_what_is_no_type_7_stays_as_it_is(code: str) -> None:
    assert decode_type7(code) in {None, ""} or code == "99FF"


def test_encoded_secrets_of_fortios_are_equal_and_never_sent() -> None:
    d = dialect("block")
    text = "config system admin\nedit admin\nset password ENC {}\nset vdom root\nnext\nend"
    old, new = text.replace("{}", "AAAA"), text.replace("{}", "BBBB").replace("root", "other")
    assert equal(d, old, text.replace("{}", "CCCC"))
    assert not any("ENC" in line for line in prove(d, old, new).remediation)


def test_a_clear_secret_for_fortios_is_sent_because_nobody_can_tell_whether_it_is_there() -> None:
    d = dialect("block")
    text = "config system admin\nedit admin\nset password {}\nnext\nend"
    lines = prove(d, text.replace("{}", "ENC AAAA"), text.replace("{}", "clear")).remediation
    assert [line.strip() for line in lines] == [
        "config system admin",
        "edit admin",
        "set password clear",
        "next",
        "end",
    ]


@pytest.mark.parametrize("name", ["indented", "statements", "key-value", "block"])
def test_a_mask_is_never_sent_in_place_of_a_secret(name: str) -> None:
    d = dialect(name)
    masked = d.redact(
        {**{n: p[1] for n, p in PLACES.items()}, "indented": PLACES["indented"][4]}[name].replace("{}", SECRET)
    )
    with pytest.raises(BadInput, match="would send a mask in place of a secret"):
        prove(d, {"key-value": "hostname: a", "block": ""}.get(name, "hostname a"), masked)


def test_a_canonical_tree_is_not_taken_for_an_intent() -> None:
    d = dialect("indented")
    intent = d.canonical(d.parse("line vty 0 4\n password 7 0822455D0A16"))
    with pytest.raises(BadInput, match="mask"):
        d.remediate(d.parse(""), intent)


@pytest.mark.parametrize("key", ["\x03", "\x1a", "\x7f"])
@pytest.mark.parametrize("name", ["indented", "block", "statements", "key-value"])
def test_a_control_character_is_never_typed_because_a_terminal_takes_it_for_a_key(name: str, key: str) -> None:
    d = dialect(name)
    said = {
        "indented": "interface Loopback0\n description before{}after",
        "block": "config system global\nset alias before{}after\nend",
        "statements": "hostname before{}after",
        "key-value": "hostname: before{}after",
    }[name]
    base = d.parse({"block": "", "key-value": "hostname: a"}.get(name, "hostname a"))
    assert d.remediate(base, d.parse(said.replace("{}", "")))
    with pytest.raises(BadInput, match=f"control character 0x{ord(key):02X}"):
        d.remediate(base, d.parse(said.replace("{}", key)))


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "username op secret 9 $9$aaaa$bbbb",
                    "snmp-server community Pr1vate RO",
                    "interface GigabitEthernet0/1",
                    " PASSWORD 7 0822455D0A16",
                    "description ẞtraße İstanbul password ﬁne",
                    "",
                ]
            ),
            st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=30),
        ),
        max_size=12,
    )
)
def test_a_text_is_masked_as_its_lines_are(lines: list[str]) -> None:
    redact = dialect("indented").redact
    assert redact("\n".join(lines)) == "\n".join([redact(line) for line in lines])
