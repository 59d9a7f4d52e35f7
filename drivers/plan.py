"""A plan is computed before anything is sent: difference, lines forth and back, proof, and what they would cut off.

Pure. The texts called `shown` have secrets masked; the lines that are sent do not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from drivers import cutoff, dialects
from drivers.cutoff import Way
from drivers.dialects import Dialect, Node, Tree, shapes
from drivers.dialects.diff import difference
from drivers.dialects.diff import lines as differing
from drivers.dialects.remediation import prove
from drivers.driver import Driver
from inventory.plans import Computed, ConfigText, Finding

UNKNOWN: Final = Way()
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


def shapes_of_difference(driver: Driver, before: ConfigText, after: ConfigText) -> tuple[int | None, ...]:
    """The shapes of the lines of `difference_shown` that belong to module 0. Raises ConfigSyntax."""
    one, other = _tree(driver, before.text()), _tree(driver, after.text())
    return shapes.numbers(differing(dialect_of(driver), one, other))


def shapes_standing(driver: Driver, config: ConfigText) -> frozenset[int]:
    """Every shape that stands in module 0 of a configuration. Raises ConfigSyntax."""
    return shapes.standing(dialect_of(driver), _tree(driver, config.text()))


def compute(driver: Driver, base: ConfigText, intent: ConfigText, way: Way = UNKNOWN) -> Computed:
    """All of a plan that follows from base, intent and what is known of our way to the device.

    Raises ConfigSyntax with line and column of the intent.
    """
    dialect = dialect_of(driver)
    if driver.carrier == "arms":
        forth, back = tuple(intent.text().splitlines()), tuple(base.text().splitlines())
        unproven = _unproven_whole(driver, dialect, intent)
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
        management_path=management_path(driver, base, intent, way),
        lasting=lasting(driver, forth),
        diff_shown=difference_shown(driver, base, intent),
        remediation_shown=tuple(dialect.redact(line) for line in forth),
        rollback_shown=tuple(dialect.redact(line) for line in back),
        diff_shapes=shapes_of_difference(driver, base, intent),
    )


def management_path(driver: Driver, base: ConfigText, intent: ConfigText, way: Way) -> tuple[Finding, ...]:
    """What of a change touches our own way to the device, with the reason of each line; secrets masked.

    A family without a model of its own is judged by its driver's `cuts_off`. Raises ConfigSyntax.
    """
    dialect = dialect_of(driver)
    before, after = dialect.parse(base.text()), dialect.parse(intent.text())
    if driver.family in cutoff.FAMILIES:
        found = list(cutoff.findings(driver.family, before, after, way))
    else:
        changed = _changed(dialect.canonical(before), dialect.canonical(after))
        found = [
            Finding(shown, "touches what the driver says carries our session")
            for words, shown in changed
            if any(mark.search(word) for mark in driver.cuts_off for word in words)
        ]
    if base.text(1).strip() and canonical(driver, 1, base.text(1)) != canonical(driver, 1, intent.text(1)):
        found.append(Finding("module 1", "holds the lines that the adapter boots over"))
    return tuple(Finding(_masked(dialect, one.line), one.reason) for one in found)


def lasting(driver: Driver, forth: Sequence[str]) -> tuple[Finding, ...]:
    """Lines that the guard of a family would not take back, each once; secrets masked."""
    if driver.carrier == "arms":
        return ()
    found = {
        line.strip(): reason for line in forth for mark, reason in driver.irreversible if mark.search(line.strip())
    }
    return tuple(Finding(_masked(dialect_of(driver), line), reason) for line, reason in found.items())


def _masked(dialect: Dialect, line: str) -> str:
    """Some secrets are known by the section that they stand in only, so the sections are masked with the line."""
    return " / ".join(dialect.redact("\n".join(line.split(" / "))).split("\n"))


def _tree(driver: Driver, text: str) -> Tree:
    dialect = dialect_of(driver)
    return dialect.canonical(dialect.parse(text))


def _unproven_whole(driver: Driver, dialect: Dialect, intent: ConfigText) -> str:
    """Why a whole text is not proven: it must survive printing, and no module of the family may be missing."""
    missing = [module for module in driver.modules if module not in dict(intent.modules)]
    if missing:
        return f"module {missing[0]} has no text, and a configure without it would remove it"
    after = _tree(driver, intent.text())
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
