"""From a record of the inventory to a `push.Device`: the one place that knows which class carries which family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drivers import plan
from drivers.device import CommandLineDevice, Wait
from drivers.driver import Driver
from drivers.fortios import FortiGate
from drivers.ios import CiscoIos
from drivers.registry import driver, theirs
from drivers.seil_ssh import RecipeOnALine, SeilOnALine
from drivers.sessions.arms import ArmsDevice, ArmsLink, Comparison
from drivers.sessions.carriers import connector
from drivers.sessions.contract import Endpoint, Limits
from drivers.sessions.transcript import Transcript, nowhere
from inventory.catalogue import DIALECTS, Model, outside
from inventory.errors import BadInput
from inventory.plans import ConfigText

_BY_FAMILY: Final[dict[str, type[CommandLineDevice]]] = {
    "ios": CiscoIos,
    "fortios": FortiGate,
    "seil-ssh": SeilOnALine,
    "recipe-ssh": RecipeOnALine,
}
_ON_A_LINE: Final = {"seil": "seil-ssh", "recipe": "recipe-ssh"}
"""Families that usually phone home, and the driver of their command line."""
_DIALECTS: Final = tuple(DIALECTS.values())


def models_from_outside() -> tuple[Model, ...]:
    """What stands for the models of drivers from outside."""
    return tuple(outside(one.family, dialect) for one in theirs() for dialect in _DIALECTS if dialect == one.dialect)


def model_key(name: str) -> str:
    """The key of the model that a name means, where a driver from outside is called so; any other name as it is.

    `frr`, its title `FRRouting`, or the name that such a model is shown under; case does not count.
    """
    for model in models_from_outside():
        names = {model.family, driver(model.family).title, model.names[0][1]}
        if name.strip().casefold() in {one.casefold() for one in names}:
            return model.key
    return name


def on_a_line(family: str) -> Driver:
    """The driver of a family's command line. Raises BadInput for a family that nobody knows."""
    return driver(_ON_A_LINE.get(family, family))


def over_ssh(
    family: str,
    endpoint: Endpoint,
    serial: str | None,
    *,
    wait: Wait,
    distribution_id: str | None = None,
    limits: Limits | None = None,
    transcript: Transcript = nowhere,
) -> CommandLineDevice:
    """A device with a command line; no connection is opened yet.

    `serial` is the number on record, None while it is being registered; `distribution_id` identifies software that
    shows no serial number. `wait` is `Clock.wait`. After first contact
    `host_key` holds the key to store if the endpoint pinned none. Raises BadInput for a family without SSH.
    """
    chosen = on_a_line(family)
    made = chosen.device or _BY_FAMILY.get(chosen.family)
    if made is None:
        raise BadInput(
            f"Family {family} is not reached over SSH.", field="path", next_step="Register the adapter with path arms."
        )
    dialect = plan.dialect_of(chosen)
    limits = limits or Limits()
    connect = connector(limits, redact=dialect.redact, transcript=transcript)
    device = made(chosen, dialect, endpoint, serial, connect=connect, wait=wait, limits=limits)
    device.distribution_id = distribution_id
    device.transcript = transcript
    return device


def over_arms(
    family: str,
    link: ArmsLink,
    serial: str,
    *,
    distribution_id: str | None = None,
    known: Sequence[ConfigText] = (),
) -> ArmsDevice:
    """An adapter that phones home; `known` as in ArmsDevice. Raises BadInput for a family that does not."""
    chosen = driver(family)
    if chosen.carrier != "arms":
        raise BadInput(
            f"Family {family} does not phone home.", field="path", next_step="Register the adapter with path ssh."
        )
    compare = Comparison(
        canonical=lambda module, text: plan.canonical(chosen, module, text),
        difference=lambda before, after: plan.difference_shown(chosen, before, after),
    )
    return ArmsDevice(chosen, link, serial, compare=compare, distribution_id=distribution_id, known=known)
