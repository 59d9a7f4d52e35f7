"""Result codes (arms-protocol §8)."""

from __future__ import annotations

from typing import Final

NAMES: Final[dict[int, str]] = {
    100: "Success",
    102: "Command Execute Error",
    201: "Invalid XML",
    202: "Invalid Message type",
    203: "Invalid Parameter",
    301: "Server Busy",
    302: "SA Busy",
    303: "Module syncing",
    400: "Bad Request",
    401: "Server Failure",
    402: "SA Failure",
    403: "Authentication Failure",
    404: "SA Marked as stand-by",
    405: "Not found",
    406: "Too many Transaction",
    407: "Too many Status",
    408: "Invalid Storage",
    409: "Invalid Module ID",
    410: "Validation Failure",
    411: "Commit Failure",
    412: "Transaction Failure",
    413: "Resource Exhausted",
    414: "SA Rollbacked",
    415: "System Error",
    416: "System Mismatch",
    417: "Invalid Hardware",
    418: "Invalid Firmware",
    419: "Module Sync needed",
    420: "Distribution ID not found",
    421: "Configuration not found",
    422: "Multiple Request",
    423: "Distribution ID Mismatch",
    501: "Out of Service",
    502: "Push Failed",
    503: "Need Reboot",
    504: "Address Mismatch",
    505: "Not Support",
    506: "Server Moved",
    507: "Invalid type",
    508: "Rollback Failure",
}
"""Every code and its name. The client decides by range and never reads the name."""

SUCCESS: Final = 100
MODULE_SYNCING: Final = 303


def named(code: int | None) -> str:
    """A code with its name, such as `402 SA Failure`."""
    return "no code" if code is None else f"{code} {NAMES.get(code, 'unknown code')}"


def sendable(code: int) -> bool:
    """Whether a server may answer it: 200–299, 502 and 504–508 make clients loop or reboot (§8.2–§8.4)."""
    return code in NAMES and (code < 200 or 300 <= code < 500 or code in {501, 503})
