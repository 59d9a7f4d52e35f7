"""The mutants themselves: each is one change, always in the same order, and words for people stay."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.points import mutants, mutated

pytestmark = pytest.mark.fast

SOURCE = '''"""Docstring."""
LIMIT: int = 3


def late(days: int, grace: bool = False) -> int:
    if days <= LIMIT and not grace:
        raise ValueError(f"{days} is too late", next_step="hurry")
    return days + 1
'''


def test_every_mutant_is_one_change_of_the_source() -> None:
    found = mutants("m.py", SOURCE)
    texts = [ast.unparse(mutated(one, SOURCE)) for one in found]
    assert len(set(texts)) == len(texts)
    assert ast.unparse(ast.parse(SOURCE)) not in texts
    assert [str(one) for one in found] == [
        "m.py:2 3 becomes 4",
        "m.py:6 LtE becomes Lt",
        "m.py:6 not is dropped",
        "m.py:6 and becomes or",
        "m.py:7 nothing is raised",
        "m.py:8 1 becomes 2",
        "m.py:8 Add becomes Sub",
        "m.py:8 returns None",
        "m.py:5 False becomes True",
    ]
    assert [one.at_import for one in found] == [True] + [False] * 8


def test_docstrings_and_words_for_people_stay() -> None:
    texts = [ast.unparse(mutated(one, SOURCE)) for one in mutants("m.py", SOURCE)]
    assert all("Docstring" in text for text in texts)
    assert all("hurry" in text for text in texts if "raise" in text)
