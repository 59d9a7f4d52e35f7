"""The models of both services, which contract lines offer them, and which slots take them (MPC-2, MPC-3, SMF-A1)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from inventory.errors import BadInput

Service = Literal["mpc", "smfsx"]
DeviceClass = Literal["I", "II", "III"]
"""I: leased by the provider. II: software router. III: owned by the customer. Only mpc has classes."""
Family = str
"""`ios`, `fortios`, `seil`, `recipe`, or that of a driver from outside."""
Dialect = Literal["indented", "block", "statements", "key-value"]
Path = Literal["arms", "ssh"]
"""How an adapter is managed; one at a time, fixed at registration."""
Line = Literal["adapter", "adapter-rental", "ultra-firewall"]

SERVICES: Final[tuple[Service, ...]] = ("mpc", "smfsx")
CLASSES: Final[tuple[DeviceClass, ...]] = ("I", "II", "III")

DIALECTS: Final[dict[Family, Dialect]] = {
    "ios": "indented",
    "fortios": "block",
    "seil": "statements",
    "recipe": "key-value",
}


@dataclass(frozen=True, slots=True)
class CatalogueLine:
    """One row of the catalogue: `device_class` is set for mpc's adapter lines only."""

    service: Service
    line: Line
    device_class: DeviceClass | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of device (機種)."""

    key: str
    """Our name for it, the same in both services: `seil-bpv4`."""
    names: tuple[tuple[Service, str], ...]
    """How each service writes it; the first is used where a service has no spelling of its own."""
    family: Family
    arms_modules: tuple[int, ...]
    """Module ids that hold its configuration over ARMS (devices-seil §9.1); empty: it does not speak ARMS."""
    paths: tuple[Path, ...]
    """Ways to manage it; the first is the usual one (architecture §1, D9)."""
    lines: tuple[CatalogueLine, ...]
    spoken: Dialect | None = None
    """Language of its configuration text, where its family does not tell."""
    doubtful_paths: tuple[Path, ...] = ()
    """Ways that its maker says it has not (devices-seil §2.6): closed unless an operator opens them."""

    @property
    def dialect(self) -> Dialect:
        """Language of its configuration text."""
        return self.spoken or DIALECTS[self.family]

    @property
    def outside(self) -> bool:
        """Whether it is no model of either service: a device of a driver from outside, which no contract line names."""
        return not self.lines

    @property
    def is_range(self) -> bool:
        """Whether it is a range of hardware of another maker, so that it alone tells no figures: none phones home."""
        return not self.arms_modules

    def name(self, service: Service) -> str:
        """The spelling of a service."""
        return dict(self.names).get(service, self.names[0][1])


def _mpc(*classes: DeviceClass) -> tuple[CatalogueLine, ...]:
    return tuple(CatalogueLine("mpc", "adapter", device_class) for device_class in classes)


_RENTAL: Final = CatalogueLine("smfsx", "adapter-rental")
_FIREWALL: Final = CatalogueLine("smfsx", "ultra-firewall")
_SEIL_PATHS: Final[tuple[Path, ...]] = ("arms", "ssh")


def _smfsx(key: str, name: str, modules: tuple[int, ...], *lines: CatalogueLine) -> Model:
    return Model(key, (("smfsx", name),), "seil", modules, _SEIL_PATHS, lines)


def _recipe(key: str, name: str, *classes: DeviceClass) -> Model:
    return Model(key, (("mpc", name),), "recipe", (0,), _SEIL_PATHS, _mpc(*classes))


def _sa(key: str, name: str) -> Model:
    return Model(key, (("mpc", name),), "recipe", (0,), ("arms",), _mpc("I"), doubtful_paths=("ssh",))


MODELS: Final[tuple[Model, ...]] = (
    Model(
        "seil-bpv4",
        (("mpc", "SEIL BPV4"), ("smfsx", "SEIL/BPV4")),
        "seil",
        (0, 1),
        _SEIL_PATHS,
        (*_mpc("I"), _RENTAL, _FIREWALL),
    ),
    _recipe("seil-x4", "SEIL/X4", "I", "III"),
    _sa("sa-w2", "SA-W2"),
    _sa("sa-w2l", "SA-W2L"),
    _recipe("seil-ca10", "SEIL CA10", "I", "III"),
    _recipe("seil-x86-ayame", "SEIL/x86 Ayame", "II"),
    Model("cisco-ios", (("mpc", "Cisco IOS"),), "ios", (), ("ssh",), _mpc("III")),
    Model("fortigate", (("mpc", "FortiGate"),), "fortios", (), ("ssh",), _mpc("III")),
    _smfsx("seil-neu-2fe-plus", "SEIL/neu 2FE Plus", (0,), _RENTAL),
    _smfsx("seil-turbo", "SEIL/Turbo", (0,), _RENTAL, _FIREWALL),
    _smfsx("seil-x1", "SEIL/X1", (0, 1), _RENTAL, _FIREWALL),
    _smfsx("seil-x2", "SEIL/X2", (0, 1), _RENTAL, _FIREWALL),
    _smfsx("seil-b1", "SEIL/B1", (0, 1), _RENTAL),
    _smfsx("seil-x86-fuji", "SEIL/x86 Fuji", (0, 1), _FIREWALL),
)

_SERIES: Final = {"FortiGate series": "fortigate", "FortiGateシリーズ": "fortigate", "IOS": "cisco-ios"}


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


_BY_NAME: Final[dict[str, Model]] = {
    _folded(name): model for model in MODELS for name in (model.key, *(spelling for _, spelling in model.names))
} | {_folded(name): model for name, key in _SERIES.items() for model in MODELS if model.key == key}


_OUTSIDE: Final = re.compile(rf"outside:([a-z0-9][a-z0-9-]{{0,29}}):({'|'.join(DIALECTS.values())})")


def outside(family: str, dialect: Dialect) -> Model:
    """What stands for the model of a device whose driver is from outside: managed over SSH, offered by no line.

    Its key tells all there is to know of it, so that it is known even where its driver no longer is.
    """
    names: tuple[tuple[Service, str], ...] = (("mpc", f"{family} (no service model)"),)
    return Model(f"outside:{family}:{dialect}", names, family, (), ("ssh",), (), dialect)


def model(name: str) -> Model:
    """The model with this name: our key or either service's spelling; case, width and spacing do not count.

    Raises BadInput, with the known names, for any other (MPC-2, SMF-A1).
    """
    theirs = _OUTSIDE.fullmatch(name)
    if theirs:
        spoken = next(one for one in DIALECTS.values() if one == theirs[2])
        return outside(theirs[1], spoken)
    found = _BY_NAME.get(_folded(name))
    if found is None:
        raise BadInput(
            f"{name!r} is no model of the catalogue",
            field="model",
            rule="MPC-2",
            next_step="Use one of the listed names.",
            facts={"models": sorted({spelling for known in MODELS for _, spelling in known.names})},
        )
    return found


def is_model(name: str, key: str) -> bool:
    """Whether the name, in either spelling, is that of the model with this key; an unknown name is not."""
    known = _BY_NAME.get(_folded(name))
    return known is not None and known.key == key


def offered(service: Service, line: Line, device_class: DeviceClass | None, model_name: str) -> bool:
    """Whether the row exists in the catalogue (MPC-2, SMF-A1): service, contract line, class (mpc adapters), model."""
    known = _BY_NAME.get(_folded(model_name))
    return known is not None and CatalogueLine(service, line, device_class) in known.lines


def registrable(service: Service, device_class: DeviceClass | None, candidate: Model) -> bool:
    """Whether an adapter of this model can be registered in the service.

    mpc: an adapter line of that class (MPC-2); a device of a driver from outside has no line and is the customer's own,
    as class III is. smfsx: any model of its catalogue, rented or the contractor's own
    (SMF-A1, MPC-6.1: smfsx adapters need not be rented); it has no classes.
    """
    if service == "smfsx":
        return device_class is None and any(row.service == "smfsx" for row in candidate.lines)
    if candidate.outside:
        return device_class == "III"
    return CatalogueLine("mpc", "adapter", device_class) in candidate.lines


def ultra_firewall_acts(candidate: Model, slot_kind: Literal["entry", "standby"]) -> bool:
    """Ultra Firewall acts only on a designated model, and only while it sits in an entry (SMF-2, SMF-A1)."""
    return slot_kind == "entry" and _FIREWALL in candidate.lines
