"""Secrets of a configuration are masked wherever else they turn up."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dialects import NAMES, dialect
from drivers.dialects.known import SHORTEST, mask_known, secrets_in
from inventory.secrets import MASK

pytestmark = pytest.mark.fast
TEXTS = {
    "indented": "hostname a\nsnmp-server community {0} RO\nusername ops password 0 {1}\nend\n",
    "block": 'config vpn ipsec phase1-interface\n    edit "a"\n        set psksecret {0}\n    next\nend\n'
    "config system admin\n    set password {1}\nend\n",
    "statements": 'hostname "a"\nike preshared-key add "192.0.2.1" "{0}"\nppp add x authentication-secret "{1}"\n',
    "key-value": "hostname: a\nppp.0.password: {0}\nike.preshared-key.0.key: {1}\n",
}
words = st.text(string.ascii_letters + string.digits, min_size=12, max_size=30)


@given(st.sampled_from(NAMES), words, words, st.text(max_size=60))
def test_a_secret_of_the_config_is_masked_in_any_output(name: str, one: str, other: str, around: str) -> None:
    spoken = dialect(name)
    found = secrets_in(spoken, TEXTS[name].format(one, other))
    if MASK not in around:
        shown = mask_known(f"{around}{one}{around} user:{other}@", found)
        assert one not in shown
        assert other not in shown


def test_quotes_escapes_and_lines_of_a_key_are_known() -> None:
    spoken = dialect("key-value")
    found = secrets_in(spoken, 'hostname: a\nppp.0.password: "se\\"cret word"\nsyslog: on\n')
    assert mask_known('it is se"cret word.', found) == f"it is {MASK}."
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nQWERTYUIOPASDFGHJ\n-----END RSA PRIVATE KEY-----\n"
    assert MASK in mask_known("log: QWERTYUIOPASDFGHJ", secrets_in(dialect("indented"), pem))


def test_a_secret_beyond_ascii_is_known_as_an_adapter_tells_it() -> None:
    found = secrets_in(
        dialect("key-value"), "ppp.0.password: p\u00e4ss-wort\nppp.1.password: \u65e5\u672c\u8a9e\u8a9e\n"
    )
    assert mask_known("up as p??ss-wort, why?????????????", found) == f"up as {MASK}, why?????????????"


def test_a_text_without_secrets_knows_none_and_short_ones_are_left() -> None:
    for name in NAMES:
        assert secrets_in(dialect(name), "hostname a\n") == frozenset()
    assert secrets_in(dialect("key-value"), f"ppp.0.password: {'x' * (SHORTEST - 1)}\n") == frozenset()
    assert mask_known("a 1 b", {"1", ""}) == "a 1 b"


def test_a_text_that_was_masked_already_teaches_nothing() -> None:
    assert secrets_in(dialect("key-value"), f"ppp.0.password: {MASK}\n") == frozenset()
