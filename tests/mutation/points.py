"""Where a rule can be changed, and the change: one mutant is one place in one module.

Words for people (f-strings, docstrings, `next_step`), annotations and decorators are no rules and stay as they are.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
}
WORDS: Final = frozenset({"next_step", "words", "facts", "alert", "reason", "field"})
"""Keyword arguments that speak to people, and the names of input fields, which belong to the border."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """The `number`-th change of a module."""

    module: str
    """Path from the root, such as `inventory/fees.py`."""
    number: int
    line: int
    what: str
    at_import: bool
    """It stands outside every function: in a table or a constant."""

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.what}"


class Points(ast.NodeTransformer):
    """Walks a module in a fixed order; changes the place with the number `chosen`, and lists all that it saw."""

    def __init__(self, module: str, chosen: int = -1) -> None:
        self.module = module
        self.chosen = chosen
        self.found: list[Mutant] = []
        self._depth = 0

    def _hit(self, node: ast.AST, what: str) -> bool:
        number = len(self.found)
        line = int(getattr(node, "lineno", 0))
        self.found.append(Mutant(self.module, number, line, what, self._depth == 0))
        return number == self.chosen

    # --- what is left alone -------------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._depth += 1
        node.body = [self.visit(one) for one in node.body]
        node.args.defaults = [self.visit(one) for one in node.args.defaults]
        node.args.kw_defaults = [one and self.visit(one) for one in node.args.kw_defaults]
        self._depth -= 1
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [self.visit(one) for one in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in {"Literal", "frozenset", "tuple", "dict", "list"}:
            return node
        self.generic_visit(node)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if node.arg not in WORDS:
            self.generic_visit(node)
        return node

    # --- what changes -------------------------------------------------------------------------------------------------

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        for at, operator in enumerate(node.ops):
            other = COMPARISONS[type(operator)]
            if self._hit(node, f"{type(operator).__name__} becomes {other.__name__}"):
                node.ops[at] = other()
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        other = ARITHMETIC.get(type(node.op))
        if other is not None and self._hit(node, f"{type(node.op).__name__} becomes {other.__name__}"):
            node.op = other()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        was_and = isinstance(node.op, ast.And)
        if self._hit(node, "and becomes or" if was_and else "or becomes and"):
            node.op = ast.Or() if was_and else ast.And()
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and self._hit(node, "not is dropped"):
            return node.operand
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.test, ast.Name | ast.Attribute | ast.Call) and self._hit(node, "the choice is turned round"):
            node.body, node.orelse = node.orelse, node.body
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.test, ast.Name | ast.Attribute | ast.Call) and self._hit(node, "the guard is turned round"):
            node.test = ast.UnaryOp(ast.Not(), node.test)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        match node.value:
            case bool(value):
                if self._hit(node, f"{value} becomes {not value}"):
                    return ast.copy_location(ast.Constant(not value), node)
            case int(value):
                if self._hit(node, f"{value} becomes {value + 1}"):
                    return ast.copy_location(ast.Constant(value + 1), node)
            case str(value):
                if value and " " not in value and self._hit(node, f"{value!r} becomes another"):
                    return ast.copy_location(ast.Constant(f"{value}~"), node)
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        plain = node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
        if not plain and self._hit(node, "returns None"):
            node.value = ast.Constant(None)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        self.generic_visit(node)
        return ast.Pass() if self._hit(node, "nothing is raised") else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant):
            return node
        self.generic_visit(node)
        if isinstance(node.value, ast.Call) and self._hit(node, "the call is dropped"):
            return ast.Pass()
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return node


def mutants(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    points = Points(module)
    points.visit(ast.parse(source))
    return points.found


def mutated(mutant: Mutant, source: str) -> ast.Module:
    """The module with that one change."""
    tree = ast.parse(source)
    Points(mutant.module, mutant.number).visit(tree)
    return ast.fix_missing_locations(tree)
