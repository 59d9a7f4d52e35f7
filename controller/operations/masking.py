"""Secrets in what an adapter says: masked before it is stored, by its dialect and by what its place holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from controller.keyring import Keyring
from controller.push.texts import TextPlanner
from controller.store import configs, identities
from controller.store.configs import Kind
from controller.store.database import Tx
from controller.store.scope import Scope
from drivers.dialects import dialect
from drivers.dialects.known import mask_known, secrets_in
from inventory.adapters import Adapter
from inventory.operations import OperationKind, OperationResult, Parameters
from inventory.secrets import MASK

_KINDS: tuple[Kind, ...] = ("working", "startup", "running", "truth")


@dataclass(frozen=True, slots=True)
class Known:
    """What may not be shown of an adapter: secrets of its identity, and the texts that hold those of its place."""

    dialect: str
    secrets: frozenset[str] = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)


async def known_of(tx: Tx, keyring: Keyring, adapter: Adapter, entry_id: int) -> Known:
    """What is known of an adapter in its place, from the newest text of each kind."""
    texts: list[str] = []
    for kind in _KINDS:
        found = await configs.latest_text(tx, Scope.everything(), keyring, entry_id, kind)
        if found is not None:
            texts += [text for _, text in found.modules if text]
    secrets: set[str] = set()
    for one in await identities.by_adapter(tx, keyring, [adapter.id]):
        keys = (one.rs_keys, one.passphrases)
        held = (one.certificate_key, *(key for both in keys for key in (both.current, both.previous)))
        secrets.update(secret.reveal() for secret in held if secret is not None)
    return Known(adapter.model.dialect, frozenset(secrets), tuple(dict.fromkeys(texts)))


async def masked_result(
    planner: TextPlanner, known: Known, kind: OperationKind, result: OperationResult
) -> OperationResult:
    """The result as it may be stored and shown."""
    whole = [kind is OperationKind.READ_STORAGE and report.module != 0 for report in result.reports]
    texts = tuple(report.text for report in result.reports)
    abouts = tuple(module.about for module in result.modules)
    told = (*texts, *abouts, result.transcript)
    shown = await planner.run((*known.texts, *texts), mask_texts, known, told)
    reports = tuple(
        replace(report, text=(MASK if report.text else "") if hidden else text)
        # Other modules hold line accounts in a form of their own; they are shown as a whole mask.
        for report, hidden, text in zip(result.reports, whole, shown, strict=False)
    )
    modules = tuple(
        replace(module, about=about) for module, about in zip(result.modules, shown[len(texts) : -1], strict=True)
    )
    return replace(result, reports=reports, modules=modules, transcript=shown[-1])


def masked_parameters(known: Known, parameters: Parameters) -> Parameters:
    """The parameters as they may be shown."""
    shown = mask_texts(known, tuple(item.text for item in parameters.items))
    items = tuple(replace(item, text=text) for item, text in zip(parameters.items, shown, strict=True))
    return replace(parameters, items=items)


def mask_texts(known: Known, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Each text without the secrets that its dialect sees in it, and without those seen in any known text or output."""
    if not texts:
        return ()
    spoken = dialect(known.dialect)
    secrets = known.secrets.union(*(secrets_in(spoken, text) for text in (*known.texts, *texts)))
    # Of secrets over several lines, such as keys in PEM, each line counts.
    lines = {
        line for secret in known.secrets for line in secret.splitlines() if len(line) >= 16 and "-----" not in line
    }
    return tuple(mask_known(spoken.redact(text), secrets | lines) for text in texts)
