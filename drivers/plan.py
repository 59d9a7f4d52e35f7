"""A plan is computed before anything is sent: difference, lines forth and back, proof, and what they would cut off.

Pure. The texts called `shown` have secrets masked; the lines that are sent do not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from drivers import cutoff, dialects
from drivers.cutoff import Way
from drivers.dialects import Dialect, Node, Tree, shapes
from drivers.dialects.diff import DiffLine, lines_between
from drivers.dialects.remediation import prove_trees
from drivers.dialects.secrets import sendable
from drivers.dialects.tree import text_lines
from drivers.driver import Driver
from inventory.errors import Conflict
from inventory.plans import Computed, ConfigText, Finding

UNKNOWN: Final = Way()
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """A configuration and what its module 0 was read as: its tree, and the canonical form of that."""

    config: ConfigText
    tree: Tree
    form: Tree

    @classmethod
    def of(cls, driver: Driver, config: ConfigText) -> _Read:
        dialect = dialect_of(driver)
        tree = dialect.parse(config.text())
        return cls(config, tree, dialect.canonical(tree))


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
    return _digest(driver, _Read.of(driver, config))


def difference_shown(driver: Driver, before: ConfigText, after: ConfigText) -> str:
    """Difference for people, secrets masked; empty when the digests are equal. Raises ConfigSyntax."""
    one, other = _Read.of(driver, before), _Read.of(driver, after)
    return _difference(driver, one, other, lines_between(dialect_of(driver), one.form, other.form))


def shapes_standing(driver: Driver, config: ConfigText) -> frozenset[int]:
    """Every shape that stands in module 0 of a configuration. Raises ConfigSyntax."""
    return shapes.standing(dialect_of(driver), _Read.of(driver, config).form)


def compute(driver: Driver, base: ConfigText, intent: ConfigText, way: Way = UNKNOWN) -> Computed:
    """All of a plan that follows from base, intent and what is known of our way to the device.

    Raises ConfigSyntax with line and column of the intent, BadInput for one that holds a mask or a control character,
    Conflict where it makes or removes what the family's driver never does.
    """
    dialect = dialect_of(driver)
    before, after = _Read.of(driver, base), _Read.of(driver, intent)
    _require_kept(driver, before, after)
    if driver.carrier == "arms":
        for _, text in intent.modules:
            sendable(text_lines(text))
        forth, back = tuple(text_lines(intent.text())), tuple(text_lines(base.text()))
        unproven = _unproven_whole(driver, dialect, after)
    else:
        proof = prove_trees(dialect, (before.tree, before.form), (after.tree, after.form))
        forth, back, unproven = proof.remediation, proof.rollback, proof.reason
    differing = lines_between(dialect, before.form, after.form)
    return Computed(
        base_digest=_digest(driver, before),
        intent_digest=_digest(driver, after),
        remediation=forth,
        rollback=back,
        proven=not unproven,
        proof=unproven or _proof(driver, forth, back),
        management_path=_management_path(driver, before, after, way),
        lasting=lasting(driver, forth),
        diff_shown=_difference(driver, before, after, differing),
        remediation_shown=_shown(dialect, forth),
        rollback_shown=_shown(dialect, back),
        diff_shapes=shapes.numbers(differing),
        whole_text=dialect.whole_text,
    )


def _require_kept(driver: Driver, before: _Read, after: _Read) -> None:
    for section, called in driver.kept:
        there, wanted = (_entries(read.form, section) for read in (before, after))
        for entry in (*(each for each in wanted if each not in there), *(each for each in there if each not in wanted)):
            made = entry in wanted
            why = "not on the device" if made else "missing in what is wanted"
            text, of = (after.config.text(), "is wanted") if made else (before.config.text(), "the device runs")
            line = next((at for at, one in enumerate(text.splitlines(), 1) if one.replace('"', "").strip() == entry), 1)
            raise Conflict(
                f"Line {line} of what {of}, `{entry}` in `{section}`: the {called} is {why}; "
                "a plan neither makes nor removes one.",
                field=f"line {line}",
                next_step=f"Make or remove the {called} on the device by hand, then plan what is to stand in it.",
                facts={"line": line, "of": of, "entry": entry},
            )


def _entries(form: Tree, section: str) -> list[str]:
    return [child.text.replace('"', "") for node in form.nodes if node.text == section for child in node.children]


def management_path(driver: Driver, base: ConfigText, intent: ConfigText, way: Way) -> tuple[Finding, ...]:
    """What of a change touches our own way to the device, with the reason of each line; secrets masked.

    A family without a model of its own is judged by its driver's `cuts_off`. Raises ConfigSyntax.
    """
    return _management_path(driver, _Read.of(driver, base), _Read.of(driver, intent), way)


def _management_path(driver: Driver, before: _Read, after: _Read, way: Way) -> tuple[Finding, ...]:
    dialect = dialect_of(driver)
    base, intent = before.config, after.config
    judge = driver.judge or cutoff.FAMILIES.get(driver.family)
    if judge is not None:
        found = list(cutoff.findings(judge, before.tree, after.tree, way))
    else:
        changed = _changed(before.form, after.form)
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


def _shown(dialect: Dialect, lines: Sequence[str]) -> tuple[str, ...]:
    """Commands masked all together, for the same reason; each line apart where a mask hides how many there were."""
    masked = dialect.redact("\n".join(lines)).split("\n")
    ends = list(accumulate(line.count("\n") + 1 for line in lines))
    if not lines or ends[-1] != len(masked):
        return tuple(masked) if lines else ()
    return tuple("\n".join(masked[begin:end]) for begin, end in pairwise((0, *ends)))


def _digest(driver: Driver, read: _Read) -> str:
    whole = hashlib.sha256()
    for module, text in sorted(read.config.modules):
        shown = dialect_of(driver).render(read.form) if module == 0 else canonical(driver, module, text)
        form = shown.encode("utf-8", "surrogateescape")
        whole.update(f"{module} {len(form)}\n".encode() + form)
    return whole.hexdigest()


def _difference(driver: Driver, before: _Read, after: _Read, differing: Sequence[DiffLine]) -> str:
    parts = ["\n".join(each.line for each in differing)]
    for module in sorted({*dict(before.config.modules), *dict(after.config.modules)} - {0}):
        one, other = before.config.text(module), after.config.text(module)
        if canonical(driver, module, one) != canonical(driver, module, other):
            parts.append(f"module {module}: {len(one.splitlines())} lines become {len(other.splitlines())}")
    return "\n".join(part for part in parts if part)


def _unproven_whole(driver: Driver, dialect: Dialect, intent: _Read) -> str:
    """Why a whole text is not proven: it must survive printing, and no module of the family may be missing."""
    missing = [module for module in driver.modules if module not in dict(intent.config.modules)]
    if missing:
        return f"module {missing[0]} has no text, and a configure without it would remove it"
    if dialect.canonical(dialect.parse(dialect.render(intent.form))) != intent.form:
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
