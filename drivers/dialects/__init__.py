"""Text ⇄ tree for each way of writing a configuration: parse, render, compare, change, redact. Pure, no sockets.

`indented` is Cisco IOS and IOS-XE, `block` FortiOS, `statements` SEIL legacy, `key-value` the recipe of X4, CA10, Ayame
and SA-W2. What is sent is computed by `remediate`; what we believe the device makes of it is `apply`, so that every
plan can be proven before it is sent (`remediation.prove`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from drivers.dialects.block import BLOCK
from drivers.dialects.indented import INDENTED
from drivers.dialects.key_value import KEY_VALUE
from drivers.dialects.statements import STATEMENTS
from drivers.dialects.tree import Node, Tree
from inventory.errors import BadInput

__all__ = ["NAMES", "Dialect", "Node", "Tree", "dialect"]

NAMES: Final = ("indented", "block", "statements", "key-value")


class Dialect(Protocol):
    """One way of writing a configuration.

    Texts are `str`; bytes are decoded by the caller as UTF-8 with `surrogateescape`, so that any octet survives.
    """

    @property
    def name(self) -> str:
        """One of `NAMES`."""
        ...

    @property
    def whole_text(self) -> bool:
        """Whether the unit of change is the whole text: there is then something to send also where nothing differs."""
        ...

    def parse(self, text: str) -> Tree:
        """The statements of `text`; nothing is lost but blank lines and lone comment marks.

        Raises ConfigSyntax, and nothing else, with line and column counted from 1.
        """
        ...

    def render(self, tree: Tree) -> str:
        """The text of `tree` in the device's own layout: `parse(render(t)) == t` for every `t` that was parsed."""
        ...

    def canonical(self, tree: Tree) -> Tree:
        """The form in which two configs are compared: volatile lines dropped, secrets that change their spelling on
        every reading masked, order kept only where it has a meaning (devices-ios-fortios §A.7, §B.4, devices-seil §3.3)
        """
        ...

    def remediate(self, base: Tree, intent: Tree) -> tuple[str, ...]:
        """Commands, in order, that make a device that holds `base` hold `intent`.

        Both are trees as `parse` gave them: a canonical one has lost its order and its secrets. Raises BadInput if a
        mask would be sent in place of a secret.

        One item is one command; it holds LF only where the command itself spans lines (banner, quoted value), and is
        then to be sent whole. Whole-text dialects always give the lines of the whole intent.
        """
        ...

    def apply(self, tree: Tree, lines: Sequence[str]) -> Tree:
        """What we believe a device that holds `tree` holds after `lines`. Raises ConfigSyntax for broken lines."""
        ...

    def caveat(self, base: Tree, lines: Sequence[str]) -> str:
        """Why `lines` may not do on a device that holds `base` what `apply` says, though our model agrees, or why they
        cannot be taken back; empty if nothing is known against them.
        """
        ...

    def redact(self, text: str) -> str:
        """`text` with every secret masked; works on fragments, console output and broken text, and never raises."""
        ...


_KNOWN: dict[str, Dialect] = {each.name: each for each in (INDENTED, BLOCK, STATEMENTS, KEY_VALUE)}


def dialect(name: str) -> Dialect:
    """The dialect called `name`. Raises BadInput for any other name."""
    if name not in _KNOWN:
        raise BadInput(f"no dialect is called {name!r}", field="dialect", next_step=f"Use one of {', '.join(NAMES)}.")
    return _KNOWN[name]
