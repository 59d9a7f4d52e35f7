"""Texts that are large in one direction: what they cost grows with their length, not with its square.

Processor time is what counts; a bound is many times what is needed, and a fraction of what the square would take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import pytest

from drivers.dialects import Dialect, dialect
from drivers.dialects.remediation import prove

IOS, FORTIOS, SEIL, RECIPE = map(dialect, ("indented", "block", "statements", "key-value"))
LONG: Final = 200_000


def cpu_s(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def planned(d: Dialect, base: str, intent: str) -> Callable[[], None]:
    def work() -> None:
        proof = prove(d, base, intent)
        assert proof.proven, proof.reason

    return work


@pytest.mark.parametrize("word", ["server ", "password ", "isakmp key ", "://a", "$9$", "7 01 ", '"a" ', "a-", "set "])
@pytest.mark.parametrize("d", [IOS, FORTIOS, SEIL, RECIPE], ids=lambda d: d.name)
def test_a_line_of_one_word_over_and_over_is_masked_in_no_time(d: Dialect, word: str) -> None:
    line = word * (LONG // len(word))
    assert cpu_s(lambda: d.redact(f"hostname {line}\n")) < 3
    assert cpu_s(lambda: d.redact(f"label: {line}\n")) < 3


def test_thousands_of_users_go_by_their_names() -> None:
    users = "".join(f"username u{i} privilege 1 secret 9 $9$x{i}\n" for i in range(4_000))
    assert cpu_s(planned(IOS, f"hostname r\n{users}", "hostname r\n")) < 5


def test_thousands_of_lines_that_deny_what_was_never_there() -> None:
    text = "".join(f"no thing {i}\n" for i in range(10_000))
    assert cpu_s(lambda: IOS.canonical(IOS.parse(text))) < 3


def test_an_access_list_that_is_numbered_backwards() -> None:
    rules = (f" {i} permit ip host 10.0.{i >> 8}.{i & 255} any\n" for i in range(10_000, 0, -1))
    text = "ip access-list extended A\n" + "".join(rules)
    assert cpu_s(lambda: IOS.canonical(IOS.parse(text))) < 3
    assert IOS.canonical(IOS.parse(text)).nodes[0].children[0].text == "permit ip host 10.0.0.1 any"


def policies(*keys: int) -> str:
    return "config firewall policy\n" + "".join(f"edit {key}\nset action accept\nnext\n" for key in keys) + "end\n"


def test_thousands_of_policies_turned_round() -> None:
    keys = range(1, 3_000)
    assert cpu_s(planned(FORTIOS, policies(*keys), policies(*reversed(keys)))) < 5


def test_thousands_of_entries_at_the_next_free_number() -> None:
    text = "config router static\n" + "edit 0\nset dst 192.0.2.1/32\nnext\n" * 5_000 + "end\n"
    assert cpu_s(lambda: FORTIOS.canonical(FORTIOS.parse(text))) < 3
    assert FORTIOS.canonical(FORTIOS.parse(text)).count() == 1 + 2 * 5_000


@pytest.mark.parametrize("d", [IOS, FORTIOS, SEIL, RECIPE], ids=lambda d: d.name)
def test_a_line_of_a_megabyte_is_read_shown_and_changed(d: Dialect) -> None:
    base, intent = {
        "indented": ("interface Loopback0\n description {}\n", "hostname r\n"),
        "block": ("config system global\n set alias {}\nend\n", "config system global\nset hostname r\nend\n"),
        "statements": ("hostname {}\n", "hostname r\n"),
        "key-value": ("hostname: {}\n", "hostname: r\n"),
    }[d.name]
    long = base.format("a" * 1_000_000)
    assert cpu_s(lambda: d.redact(long)) < 3
    assert cpu_s(planned(d, long, intent)) < 5
    assert d.parse(d.render(d.parse(long))) == d.parse(long)
