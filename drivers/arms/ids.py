"""Distribution ids, SA codes and the Basic credential (arms-protocol §2)."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass

from inventory.errors import BadInput
from inventory.secrets import Secret

_GROUPS = re.compile(r"[0-9A-F]{4}(?:-[0-9A-F]{4}){7}")
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)
MAX_KEY = 64
"""Characters of an LS or RS key; clients silently cut longer ones (arms-protocol §2.2)."""
_MAX_CREDENTIAL = 512


@dataclass(frozen=True, slots=True, order=True)
class DistributionId:
    """The 128-bit name of a service adapter: version 16, vendor 32, SA type 16, SA code 64 bits, big endian."""

    binary: bytes

    def __post_init__(self) -> None:
        if len(self.binary) != 16:
            raise BadInput(f"a distribution id has 16 bytes, not {len(self.binary)}", field="distribution_id")

    @classmethod
    def parse(cls, text: str) -> DistributionId:
        """From eight groups of four hex digits joined by `-`; surrounding blanks and lower case are read as well.

        Raises BadInput. What goes out is always `str()`: adapters compare byte for byte with upper case.
        """
        clean = text.strip().upper()
        if not _GROUPS.fullmatch(clean):
            raise BadInput(
                "a distribution id is eight groups of four hex digits joined by '-'",
                field="distribution_id",
                next_step="Copy it from the adapter's label: 0001-0000-0101-0000-0200-00FF-FE12-3456 has the form.",
            )
        return cls(bytes.fromhex(clean.replace("-", "")))

    @classmethod
    def of(cls, *, version: int, vendor_code: int, sa_type: int, sa_code: int) -> DistributionId:
        """From its four fields. Raises BadInput when one does not fit its bits."""
        try:
            return cls(
                version.to_bytes(2, "big")
                + vendor_code.to_bytes(4, "big")
                + sa_type.to_bytes(2, "big")
                + sa_code.to_bytes(8, "big")
            )
        except OverflowError:
            raise BadInput("a field of the distribution id is too large or negative", field="distribution_id") from None

    @property
    def version(self) -> int:
        """1 is SMFv2."""
        return int.from_bytes(self.binary[:2], "big")

    @property
    def vendor_code(self) -> int:
        """32 bits."""
        return int.from_bytes(self.binary[2:6], "big")

    @property
    def sa_type(self) -> int:
        """16 bits; 0000–007F are the operator's, test clients use 0000."""
        return int.from_bytes(self.binary[6:8], "big")

    @property
    def sa_code(self) -> int:
        """64 bits, unique per vendor."""
        return int.from_bytes(self.binary[8:], "big")

    def __str__(self) -> str:
        return grouped(self.binary)


def grouped(binary: bytes) -> str:
    """Upper-case hex in groups of four digits joined by `-`."""
    return binary.hex("-", 2).upper()


def sa_code_of_mac(mac: str) -> bytes:
    """SA code of an Ethernet address `00:hh:ii:jj:kk:ll`: 02HH-IIFF-FEJJ-KKLL, 8 bytes.

    The first octet is assumed to be 00 and is dropped, as the sample tool does. Raises BadInput.
    """
    if not _MAC.fullmatch(mac.strip()):
        raise BadInput("an Ethernet address has the form 00:00:5e:00:53:2a", field="mac")
    octets = bytes.fromhex(mac.strip().replace(":", ""))
    return b"\x02" + octets[1:3] + b"\xff\xfe" + octets[3:]


@dataclass(frozen=True, slots=True)
class Credential:
    """What an `Authorization: Basic` header says."""

    user: str
    password: Secret

    def proves(self, key: Secret) -> bool:
        """Whether the password is that key, compared in constant time."""
        return hmac.compare_digest(self.password.reveal().encode(), key.reveal().encode())


def basic(user: str, key: Secret) -> str:
    """The value of the Authorization header. The blank and the case are what the client wants (§5.4)."""
    return "Basic " + base64.b64encode(f"{user}:{key.reveal()}".encode()).decode("ascii")


def read_basic(value: str | None) -> Credential | None:
    """The credential of an Authorization header's value; None when there is none that can be read."""
    scheme, _, encoded = (value or "").partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _MAX_CREDENTIAL:
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return Credential(user, Secret(password)) if colon else None
