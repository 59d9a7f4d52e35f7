"""What two IOS configs are compared in: our model of a device takes the text in, and prints it sorted and masked."""

from __future__ import annotations

from drivers.dialects.indented_model import Section
from drivers.dialects.indented_rules import comparable_text, group_of
from drivers.dialects.tree import Node, Tree


def canonical(tree: Tree) -> Tree:
    """Volatile lines dropped, sections that were opened twice joined, `X` followed by `no X` gone, secrets comparable.

    Statements are sorted, except where their order has a meaning (access lists, `aaa group server`, `ip nat`, policy
    maps): there they keep it.
    """
    return Tree(_sorted("", Section.of(tree.nodes).nodes()))


def _sorted(parent: str, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    done = [Node(comparable_text(node.text), _sorted(node.text, node.children)) for node in nodes]
    return tuple(sorted(done, key=lambda node: group_of(parent, node.text) or node.text))
