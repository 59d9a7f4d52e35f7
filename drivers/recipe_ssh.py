"""SEIL/X4, CA10 and x86 Ayame on their command line: read, never written (devices-seil §4.1, §12).

SA-W2 and SA-W2L only where an operator says that a unit has one (§2.6).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from drivers import recipe
from drivers.driver import Completeness
from drivers.seil_ssh import OPERATIONS, SHELL

DRIVER: Final = replace(
    recipe.DRIVER,
    family="recipe-ssh",
    title="SEIL/X4, CA10, x86 Ayame on their command line",
    carrier="exec",
    shell=SHELL,
    operations=OPERATIONS,
    reading=Completeness(begins=re.compile(r"^[a-z0-9-]+(?:\.[a-z0-9-]+)*:"), end=""),
)
