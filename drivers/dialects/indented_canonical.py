"""What two IOS configs are compared in: our model of a device takes the text in, and prints it sorted and masked."""

from __future__ import annotations

from drivers.dialects.indented_model import held_by
from drivers.dialects.indented_rules import HARDWARE
from drivers.dialects.tree import Tree


def canonical(tree: Tree) -> Tree:
    """Volatile lines dropped, sections that were opened twice joined, `X` followed by `no X` gone, secrets comparable.

    Statements are sorted, except where their order has a meaning (access lists, `aaa group server`, `ip nat`, policy
    maps): there they keep it. Hardware without settings of its own says nothing and is left out.
    """
    return tree.once(_canonical)


def _canonical(tree: Tree) -> Tree:
    held = tree.once(held_by).form()
    return Tree(tuple(node for node in held if node.children or not HARDWARE.fullmatch(node.text)))
