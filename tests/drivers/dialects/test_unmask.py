"""An operator edits what is shown, which is masked: the device's own secrets go back in, and none is guessed."""

from __future__ import annotations

import pytest

from drivers.dialects import dialect
from drivers.dialects.unmask import unmask
from inventory.errors import ConfigSyntax
from inventory.secrets import MASK

pytestmark = pytest.mark.fast

IOS = """hostname osaka
username ops privilege 15 secret 9 $9$abcdefghijklmn$opqrstuvwxyz
interface GigabitEthernet0/1
 description uplink
snmp-server community hunter2 RO
end
"""
FORTI = """config system admin
    edit "ops"
        set password ENC AAAA1111
    next
    edit "eve"
        set password ENC BBBB2222
    next
end
"""


@pytest.mark.parametrize(("name", "text"), [("indented", IOS), ("block", FORTI)])
def test_what_is_shown_can_be_sent_back(name: str, text: str) -> None:
    spoken = dialect(name)
    shown = spoken.redact(text)
    assert MASK in shown
    assert unmask(spoken, shown, text) == text


def test_an_edit_beside_the_secrets_keeps_them() -> None:
    spoken = dialect("indented")
    shown = spoken.redact(IOS).replace("description uplink", "description to Tokyo").replace("\n", "\r\n")
    assert unmask(spoken, shown, IOS) == IOS.replace("description uplink", "description to Tokyo").replace("\n", "\r\n")


def test_secrets_of_different_sections_are_not_mixed_up() -> None:
    spoken = dialect("block")
    head, first, second, end = (
        "config system admin\n",
        '    edit "ops"\n        set password ENC AAAA1111\n    next\n',
        '    edit "eve"\n        set password ENC BBBB2222\n    next\n',
        "end\n",
    )
    shown = spoken.redact(head + second + first + end)
    assert unmask(spoken, shown, FORTI) == head + second + first + end


def test_a_mask_that_nobody_can_resolve_is_refused_by_its_line() -> None:
    spoken = dialect("block")
    shown = spoken.redact(FORTI).replace('"eve"', '"mallory"')
    with pytest.raises(ConfigSyntax) as refused:
        unmask(spoken, shown, FORTI)
    assert refused.value.line == 6
    assert "AAAA1111" not in refused.value.message
    assert "BBBB2222" not in refused.value.message


def test_a_text_without_masks_is_left_alone() -> None:
    assert unmask(dialect("indented"), "hostname a\n", "") == "hostname a\n"
