"""Letters that an adapter in text mode reads back as `?` (arms-protocol §6.0)."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from drivers.sessions.arms_letters import restored
from inventory.plans import ConfigText

pytestmark = pytest.mark.fast

LINES = st.lists(st.text(st.sampled_from('ab?:"漢ü '), max_size=8), max_size=6)


def told(text: str) -> str:
    return "".join("?" * len(letter.encode()) if not letter.isascii() else letter for letter in text)


def test_a_line_that_can_only_be_one_known_line_gets_its_letters_back() -> None:
    known = ConfigText(((0, "hostname: osaka\nsite: 大阪\n"), (1, "")))
    reading = ConfigText(((0, "hostname: other\nsite: ??????\n"), (1, "")))
    assert restored(reading, [known]).text() == "hostname: other\nsite: 大阪\n"


def test_a_line_that_can_be_two_stays_as_it_was_read() -> None:
    reading = ConfigText.single("site: ??????\n")
    assert restored(reading, [ConfigText.single("site: 大阪\n"), ConfigText.single("site: 東京\n")]) == reading


def test_quotes_and_blanks_are_the_adapters_own() -> None:
    known = ConfigText.single('  site: "大阪"\n')
    assert restored(ConfigText.single("site: ??????\r\n"), [known]).text() == 'site: "大阪"\r\n'


@given(LINES)
@example(["??", "ü", "ü "])
def test_what_was_sent_is_what_is_read(lines: list[str]) -> None:
    sent = ConfigText.single("\n".join(line.strip() for line in lines))
    different = set(sent.text().splitlines())
    assume(len({told(line.replace('"', "")) for line in different}) == len(different))
    assert restored(ConfigText.single(told(sent.text())), [sent]) == sent


@given(LINES, LINES)
def test_a_line_without_a_question_mark_is_never_touched(reading: list[str], known: list[str]) -> None:
    text = "\n".join(line.replace("?", "").replace("漢", "").replace("ü", "") for line in reading)
    assert restored(ConfigText.single(text), [ConfigText.single("\n".join(known))]).text() == text
