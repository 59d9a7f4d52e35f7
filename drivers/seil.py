"""SEIL/X1, X2, B1, BPV4 and x86 Fuji, managed over ARMS: command text, and module 1 (devices-seil §3, §9)."""

from __future__ import annotations

import re
from typing import Final

from drivers.driver import Driver

DRIVER: Final = Driver(
    family="seil",
    title="SEIL/X1, X2, B1, BPV4, x86 Fuji",
    dialect="statements",
    carrier="arms",
    # Module 1 names the firmware and the lines to boot with; a configure without it would remove it (§9.1).
    modules=(0, 1),
    identity_commands=("show system", "show key"),
    irreversible=(
        (re.compile(r"^set boot mode\b"), "is a system setting that survives a change of the configuration"),
        (re.compile(r"^(?:save-to|load-from|install-key|factory-config|reboot)\b"), "is a command, not configuration"),
    ),
)
