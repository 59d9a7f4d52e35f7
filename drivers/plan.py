"""A plan is computed before anything is sent: difference, lines forth and back, proof, and what they would cut off.

Pure. The texts called `shown` have secrets masked; the lines that are sent do not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from drivers import dialects
from drivers.dialects import Dialect, Node, Tree
from drivers.dialects.diff import difference
from drivers.dialects.remediation import prove
from drivers.driver import Driver
from inventory.plans import Computed, ConfigText

_LISTED: Final = 5
"""Statements that a verdict names; the rest are counted."""
Path = tuple[str, ...]


def dialect_of(driver: Driver) -> Dialect:
    """The language of module 0 of a family."""
    return dialects.dialect(driver.dialect)


def canonical(driver: Driver, module: int, text: str) -> str:
    """The form of one module in which two configurations are compared. Raises ConfigSyntax.

    Only module 0 is in the family's language; another is compared line by line, blanks at line ends aside.
    """
    if module != 0:
        return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
    dialect = dialect_of(driver)
    return dialect.render(dialect.canonical(dialect.parse(text)))


def digest(driver: Driver, config: ConfigText) -> str:
    """SHA-256 of the canonical form: equal for configurations that the device shows alike. Raises ConfigSyntax."""
    whole = hashlib.sha256()
    for module, text in sorted(config.modules):
        form = canonical(driver, module, text).encode("utf-8", "surrogateescape")
        whole.update(f"{module} {len(form)}\n".encode() + form)
    return whole.hexdigest()


def difference_shown(driver: Driver, before: ConfigText, after: ConfigText) -> str:
    """Difference for people, secrets masked; empty when the digests are equal. Raises ConfigSyntax."""
    parts = []
    for module in sorted({*dict(before.modules), *dict(after.modules)}):
        one, other = before.text(module), after.text(module)
        if module == 0:
            parts.append(difference(dialect_of(driver), _tree(driver, one), _tree(driver, other)))
        elif canonical(driver, module, one) != canonical(driver, module, other):
            parts.append(f"module {module}: {len(one.splitlines())} lines become {len(other.splitlines())}")
    return "\n".join(part for part in parts if part)


def compute(driver: Driver, base: ConfigText, intent: ConfigText) -> Computed:
    """All of a plan that follows from base and intent alone. Raises ConfigSyntax with line and column of the intent."""
    dialect = dialect_of(driver)
    before, after = _tree(driver, base.text()), _tree(driver, intent.text())
    if driver.carrier == "arms":
        forth, back = tuple(intent.text().splitlines()), tuple(base.text().splitlines())
        unproven = _unproven_whole(driver, dialect, intent, after)
    else:
        proof = prove(dialect, base.text(), intent.text())
        forth, back, unproven = proof.remediation, proof.rollback, proof.reason
    return Computed(
        base_digest=digest(driver, base),
        intent_digest=digest(driver, intent),
        remediation=forth,
        rollback=back,
        proven=not unproven,
        proof=unproven or _proof(driver, forth, back),
        management_path=verdict(driver, before, after, forth),
        diff_shown=difference_shown(driver, base, intent),
        remediation_shown=tuple(dialect.redact(line) for line in forth),
        rollback_shown=tuple(dialect.redact(line) for line in back),
    )


def verdict(driver: Driver, before: Tree, after: Tree, forth: Sequence[str]) -> str:
    """What the change does to our own way to the device, and what the guard could not take back; empty if nothing."""
    touching = [
        shown
        for words, shown in _changed(before, after)
        if any(mark.search(word) for mark in driver.cuts_off for word in words)
    ]
    said = []
    if touching:
        said.append(f"touches our own way to the device: {_some(driver, touching)}")
    lasting = {}
    for line in forth:
        for mark, reason in driver.irreversible:
            if mark.search(line.strip()):
                lasting[line.strip()] = reason
    if lasting and driver.carrier != "arms":
        first, reason = next(iter(lasting.items()))
        said.append(f"the guard does not take back: {_some(driver, list(lasting))} ({first.split()[0]}: {reason})")
    return "; ".join(said)


def _tree(driver: Driver, text: str) -> Tree:
    dialect = dialect_of(driver)
    return dialect.canonical(dialect.parse(text))


def _unproven_whole(driver: Driver, dialect: Dialect, intent: ConfigText, after: Tree) -> str:
    """Why a whole text is not proven: it must survive printing, and no module of the family may be missing."""
    missing = [module for module in driver.modules if module not in dict(intent.modules)]
    if missing:
        return f"module {missing[0]} has no text, and a configure without it would remove it"
    if dialect.canonical(dialect.parse(dialect.render(after))) != after:
        return "printed and read again, the text is another one"
    return ""


def _proof(driver: Driver, forth: tuple[str, ...], back: tuple[str, ...]) -> str:
    if driver.carrier == "arms":
        return f"whole text of {len(forth)} lines reads back as the same configuration; module list complete"
    return f"{len(forth)} lines lead from what runs to what is wanted, {len(back)} lead back"


def _changed(before: Tree, after: Tree) -> Iterator[tuple[tuple[str, ...], str]]:
    """Statements that come or go: what to match (`no …` for one that goes, and the statement), and how to show it."""
    one, other = Counter(_paths(before.nodes)), Counter(_paths(after.nodes))
    for path in other - one:
        yield (" / ".join(path),), " / ".join(path)
    for path in one - other:
        statement = " / ".join(path)
        yield (statement, f"no {statement}"), f"no {statement}"


def _paths(nodes: Iterable[Node], above: Path = ()) -> Iterator[Path]:
    for node in nodes:
        yield (*above, node.text)
        yield from _paths(node.children, (*above, node.text))


def _some(driver: Driver, statements: list[str]) -> str:
    redact = dialect_of(driver).redact
    more = len(statements) - _LISTED
    return ", ".join(f"`{redact(one)}`" for one in statements[:_LISTED]) + (f" and {more} more" if more > 0 else "")
