"""Whatever is typed, a simulated device answers; it never falls over, and a refused line changes nothing."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulator.forti_cli import load
from drivers.simulator.forti_edit import Editor, Failed
from drivers.simulator.forti_tree import Printer, SecretCodec, Unclosed, statement
from drivers.simulator.ios_edit import Refused, carry_out
from drivers.simulator.ios_tree import Path, parse, render
from drivers.simulator.starting import starting_config

pytestmark = pytest.mark.fast

IOS_TEXT = """no default interface gi1/0 Loopback0 GigabitEthernet1/0 Vlan7 ip address 192.0.2.1 255.255.255.0
    dhcp description text router bgp 1 neighbor remote-as address-family ipv4 network access-list permit any
    10 deny extended NAME route-map match set hostname username privilege secret 9 line vty 0 4 archive path
    flash:a vlan 5000 banner motd switchport mtu exit-address-family ! ? % x"""
FORTI_TEXT = """config edit set unset append unselect delete rename clone move next end abort system global
    interface firewall address policy addrgrp port1 all 0 1 99 to before after ip 10.0.0.0/8 255.0.0.0 srcintf
    member hostname x cfg-save revert passwd ENC AAAA alias user local"""
IOS_WORDS, FORTI_WORDS = st.sampled_from(IOS_TEXT.split()), st.sampled_from(FORTI_TEXT.split())


def lines(words: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(words, min_size=1, max_size=6), max_size=25)


@given(lines(IOS_WORDS))
def test_ios_takes_or_refuses_any_line_and_what_it_shows_reads_back(typed: list[list[str]]) -> None:
    tree = parse(starting_config("ios", 0))
    path: Path = ()
    for words in typed:
        before = tree.copy()
        try:
            path = carry_out(tree, path, " ".join(words)).path
        except Refused:
            assert tree == before
    assert parse(render(tree)) == tree


@given(lines(FORTI_WORDS))
def test_fortios_takes_or_refuses_any_line_and_what_it_shows_loads_again(typed: list[list[str]]) -> None:
    codec = SecretCodec(b"k")
    tree = load(starting_config("fortios", 0), codec)
    editor = Editor(tree, codec, lambda: None)
    for words in typed:
        with contextlib.suppress(Failed):
            editor.carry_out(words) if editor.knows(words[0]) else None
    shown = "\n".join([*Printer(codec).tree(tree), ""])
    assert load(shown, codec) == tree


@given(st.lists(st.text(min_size=1), min_size=1))
def test_quoted_words_come_back_whatever_is_in_them(words: list[str]) -> None:
    escaped = [word.replace("\\", "\\\\").replace('"', '\\"') for word in words]
    assert statement(" ".join(f'"{word}"' for word in escaped)) == words


@given(st.text())
def test_any_text_is_words_or_an_open_quotation(text: str) -> None:
    with contextlib.suppress(Unclosed):
        assert all(isinstance(word, str) for word in statement(text))
