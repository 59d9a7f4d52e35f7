"""What two IOS configs are compared in: our model of a device takes the text in, and prints it sorted and masked."""

from __future__ import annotations

from drivers.dialects.indented_model import Section
from drivers.dialects.indented_rules import HARDWARE
from drivers.dialects.tree import Node, Tree


def canonical(tree: Tree) -> Tree:
    """Volatile lines dropped, sections that were opened twice joined, `X` followed by `no X` gone, secrets comparable.

    Statements are sorted, except where their order has a meaning (access lists, `aaa group server`, `ip nat`, policy
    maps): there they keep it. Hardware without settings of its own says nothing and is left out.
    """
    return Tree(
        tuple(node for node in _sorted(Section.of(tree.nodes)) if node.children or not HARDWARE.fullmatch(node.text))
    )


def _sorted(section: Section) -> tuple[Node, ...]:
    done = sorted(section.held(), key=lambda pair: pair[1].group or pair[0])
    return tuple(Node(key, _sorted(entry.inner) if entry.inner else ()) for key, entry in done)
