"""SEIL/X4, CA10, x86 Ayame, SA-W2 and SA-W2L, managed over ARMS: one text of keys and values (devices-seil §4, §9)."""

from __future__ import annotations

from typing import Final

from drivers.driver import Driver

DRIVER: Final = Driver(
    family="recipe",
    title="SEIL/X4, CA10, x86 Ayame, SA-W2",
    dialect="key-value",
    carrier="arms",
    modules=(0,),
    identity_commands=("show system", "show key"),
)
