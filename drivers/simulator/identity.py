"""Who a simulated SEIL or service adapter is: model, serial number, distribution id, LS key.

`fleet_member` makes the same thing from the same number every time, so that a demo, its examiner and a
test agree without talking to each other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from inventory.errors import BadInput
from inventory.secrets import Secret

VENDOR_CODE = 0x0101
TextFamily = Literal["legacy", "recipe"]


@dataclass(frozen=True, slots=True)
class ArmsModel:
    """A model as far as its ARMS client differs (devices-seil §1, §9.1)."""

    name: str
    text_family: TextFamily
    firmware: str
    """`<major>.<minor>`; the module version is `<major>.<minor>.0-0` with the numbers unpadded."""
    firmware_name: str
    sa_type: int
    """Field of the distribution id. Only a few are published; the others are made up and stable."""
    serial_format: str
    shows_serial: bool = True
    """Software routers print `(unknown)` and are known by their distribution id (devices-seil §6.2)."""


SEIL_X1 = ArmsModel("SEIL/X1", "legacy", "5.40", "WallofJericho", 0x0009, "AD9010J-BAA{:010d}")
AYAME = ArmsModel("SEIL/x86 Ayame", "recipe", "3.42", "Release", 0x0087, "AYM{:08d}", shows_serial=False)
SA_W2 = ArmsModel("SA-W2", "recipe", "5.66", "Example1", 0x0010, "1W{:08d}")
ARMS_MODELS = {model.name: model for model in (SEIL_X1, AYAME, SA_W2)}


@dataclass(frozen=True, slots=True)
class ArmsIdentity:
    """One unit: what stands on its label and what the factory wrote into it."""

    model: ArmsModel
    serial_number: str
    distribution_id: str
    """Eight groups of four upper-case hex digits (arms-protocol §2.1)."""
    ls_key: Secret

    @property
    def distribution_id_octets(self) -> bytes:
        """The 16 bytes that heartbeats carry, big endian."""
        return bytes.fromhex(self.distribution_id.replace("-", ""))


def sa_code(mac: str) -> str:
    """SA code from an Ethernet address, as text in four groups (arms-protocol §2.1).

    The first octet is assumed to be `00` and is dropped: `00:hh:ii:jj:kk:ll` → `02HH-IIFF-FEJJ-KKLL`.
    """
    _, h, i, j, k, l = (octet.upper() for octet in mac.split(":"))  # noqa: E741 – letters of the spec
    return f"02{h}-{i}FF-FE{j}-{k}{l}"


def fleet_member(model: ArmsModel, number: int, *, fleet: str = "demo") -> ArmsIdentity:
    """The `number`th unit (1…16777215) of a model in a fleet; the same arguments give the same unit.

    Serial numbers and distribution ids do not depend on `fleet`, LS keys do.
    """
    if not 1 <= number <= 0xFFFFFF:
        raise BadInput(f"A fleet has units 1…16777215, not {number}.", field="number")
    low = f"{number:06x}"
    mac = f"00:00:5e:{low[0:2]}:{low[2:4]}:{low[4:6]}"
    serial_number = model.serial_format.format(number)
    vendor = f"{VENDOR_CODE:08X}"
    key = hashlib.sha256(f"{fleet}/{model.name}/{serial_number}".encode()).hexdigest()[:40]
    return ArmsIdentity(
        model=model,
        serial_number=serial_number,
        distribution_id=f"0001-{vendor[:4]}-{vendor[4:]}-{model.sa_type:04X}-{sa_code(mac)}",
        ls_key=Secret(key),
    )
