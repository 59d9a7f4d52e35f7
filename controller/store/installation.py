"""What all nodes of an installation have in common, by fingerprint: the master key and the CAs (arms-protocol §10.6).

A node that has another of them would do harm: it can read no secret, adapters refuse what it shows, and two nodes with
different CAs would make each other's certificates anew for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import delete, select

from controller.store.database import Tx
from controller.store.rows import upsert
from controller.store.tables.system import installation
from inventory.errors import Conflict

MASTER_KEY: Final = "master-key"
_COPY: Final = "Stop this node, and copy master.key and pki/ from the data directory of a node that runs."


async def claim(tx: Tx, name: str, fingerprint: str) -> bool:
    """Put it on record where nothing is; whether it is what is on record."""
    made = upsert(tx, installation)
    known = await _known(tx, name)
    if not known:
        # Two nodes may make their first start at once: the number decides.
        await tx.execute(made.values(name=name, number=0, fingerprint=fingerprint).on_conflict_do_nothing())
        known = await _known(tx, name)
    return fingerprint in known.values()


async def agrees(tx: Tx, name: str, fingerprint: str) -> bool:
    """Whether it is what is on record, or nothing is."""
    known = await _known(tx, name)
    return not known or fingerprint in known.values()


async def announce(tx: Tx, name: str, fingerprint: str) -> None:
    """Another one is about to take its place: both are right until `settle`."""
    known = await _known(tx, name)
    if fingerprint not in known.values():
        number = max(known, default=-1) + 1
        await tx.execute(installation.insert().values(name=name, number=number, fingerprint=fingerprint))


async def settle(tx: Tx, name: str, fingerprint: str) -> None:
    """It is the only right one from now on."""
    c = installation.c
    await announce(tx, name, fingerprint)
    await tx.execute(delete(installation).where(c.name == name, c.fingerprint != fingerprint))


async def require(tx: Tx, shown: Mapping[str, str]) -> None:
    """Raises Conflict for what is not that of the installation; what nothing is on record of, is from now on."""
    wrong = [name for name, fingerprint in shown.items() if not await claim(tx, name, fingerprint)]
    if wrong:
        raise Conflict(
            f"this node has another {', '.join(wrong)} than the installation whose database this is",
            next_step=_COPY,
            facts={"other": wrong},
        )


async def _known(tx: Tx, name: str) -> dict[int, str]:
    c = installation.c
    return {row[0]: row[1] for row in await tx.execute(select(c.number, c.fingerprint).where(c.name == name))}
