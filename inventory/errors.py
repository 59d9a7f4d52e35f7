"""The tree of errors. Whoever catches one knows from its class alone what to do.

FleetError                  code, message, next_step; never a bare string
├ BadInput                  the request is malformed: field, place             → 422, correct it
├ RuleViolation             the request breaks a term: rule id, the facts      → 409, do not retry
│  ├ NoFreeSlot             the management has no free slot of that kind
│  ├ SlotOccupied           the slot already has an adapter
│  ├ CountBelowOccupancy    the count would fall below the occupied slots: lists the occupants
│  ├ SerialTaken            the serial number belongs to an adapter already, for ever
│  └ NotEligible            class, model or service does not fit the slot
├ Conflict                  the thing is in a state that does not allow the request → 409, look at it first
│  └ StalePlan              a plan whose base has moved: make a new one
├ NotFound                  no such thing, or not in your scope                → 404
├ StaleVersion              somebody changed it since you read it              → 412, read again
├ NotAllowed                the role does not allow it                         → 403
├ Unauthenticated           no valid API key                                   → 401
├ ConfigSyntax              a device configuration text does not parse: line and column → 422
└ DeviceError               serial number, step, the last words of the device (secrets masked) → 424
   ├ Unreachable            retry with back-off
   ├ AuthenticationFailed   do not retry (lock-out)
   ├ IdentityMismatch       quarantine: another serial number, or another host key
   ├ NotOnboarded           the device asks for something that onboarding owns
   ├ Truncated              discard, read again
   ├ ProtocolViolation      bytes that the protocol does not allow; nothing of them was used
   ├ CommandRejected        line number, the device's own words
   ├ RolledBack             safe; the reason
   └ OutcomeUnknown         read back before anything else

`docs/errors.md` has a paragraph for each code; a test fails when one is missing.
"""

from __future__ import annotations

from typing import ClassVar


class FleetError(Exception):
    """Root of all our errors.

    `message` says what is wrong and where; `next_step` what the reader should do now. Both are safe to show:
    whoever raises keeps secrets out of them.
    """

    code: ClassVar[str] = "fleet-error"
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        next_step: str = "",
        rule: str | None = None,
        field: str | None = None,
        facts: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.rule = rule
        """Id of the service term that speaks, such as `MPC-3.2`; None where none does."""
        self.field = field
        """Name of the input field, or its place (`line 3`, `row 7, column serial_number`)."""
        self.facts: dict[str, object] = facts or {}
        """JSON-ready facts that the decision rests on."""

    def __reduce__(self) -> tuple[object, ...]:
        """Whole through a process boundary, whatever the constructor of the class takes."""
        return _again, (type(self), self.args, self.__dict__.copy())


def _again(kind: type[FleetError], args: tuple[object, ...], facts: dict[str, object]) -> FleetError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class BadInput(FleetError):
    """The request itself is malformed; the field is named."""

    code = "bad-input"
    http_status = 422


class RuleViolation(FleetError):
    """The request breaks a term of service; `rule` names it."""

    code = "rule-violation"
    http_status = 409


class NoFreeSlot(RuleViolation):
    """The management has no free slot of the kind asked for."""

    code = "no-free-slot"


class SlotOccupied(RuleViolation):
    """The slot already has an adapter."""

    code = "slot-occupied"


class CountBelowOccupancy(RuleViolation):
    """A slot count would fall below the number of occupied slots; `facts["occupants"]` lists them."""

    code = "count-below-occupancy"


class SerialTaken(RuleViolation):
    """One serial number is one adapter, across both services and for ever (SMF-1)."""

    code = "serial-taken"


class NotEligible(RuleViolation):
    """Class, model or service does not fit the slot or the line."""

    code = "not-eligible"


class Conflict(FleetError):
    """The thing is in a state that does not allow the request."""

    code = "conflict"
    http_status = 409


class StalePlan(Conflict):
    """The device has changed since the plan was computed; a new plan is needed, never force."""

    code = "stale-plan"


class NotFound(FleetError):
    """No such thing, or it lies outside the caller's scope; the two are not told apart."""

    code = "not-found"
    http_status = 404


class StaleVersion(FleetError):
    """The thing changed since the caller read it (`If-Match`)."""

    code = "stale-version"
    http_status = 412


class NotAllowed(FleetError):
    """The caller's role does not allow the request."""

    code = "not-allowed"
    http_status = 403


class Unauthenticated(FleetError):
    """No API key, or none that is valid."""

    code = "unauthenticated"
    http_status = 401


class ConfigSyntax(FleetError):
    """A configuration text does not parse. `line` and `column` count from 1."""

    code = "config-syntax"
    http_status = 422

    def __init__(self, reason: str, *, line: int, column: int, next_step: str = "") -> None:
        super().__init__(
            f"line {line}, column {column}: {reason}",
            next_step=next_step or "Correct that line and send the text again.",
            field=f"line {line}, column {column}",
            facts={"line": line, "column": column},
        )
        self.reason = reason
        self.line = line
        self.column = column


class DeviceError(FleetError):
    """Something a device did or failed to do, while `step` was under way."""

    code = "device-error"
    http_status = 424
    usual_next_step: ClassVar[str] = "Look at the device; then try again."
    """Said where whoever raises knows nothing better."""

    def __init__(
        self,
        message: str,
        *,
        serial: str | None = None,
        step: str | None = None,
        last_words: str = "",
        next_step: str = "",
    ) -> None:
        super().__init__(
            message,
            next_step=next_step or self.usual_next_step,
            facts={k: v for k, v in (("serial_number", serial), ("step", step), ("last_words", last_words)) if v},
        )
        self.serial = serial
        self.step = step
        self.last_words = last_words
        """At most the last 200 characters from the device, secrets masked by the session."""


class Unreachable(DeviceError):
    """No session could be had: refused, reset, or silent before authentication. Retry with back-off."""

    code = "unreachable"
    usual_next_step = "Check power, line, address and port of the device; then try again."


class AuthenticationFailed(DeviceError):
    """The device refused the credential. Not retried: devices lock accounts out."""

    code = "authentication-failed"
    usual_next_step = "Correct the credential; it is not tried again by itself."


class IdentityMismatch(DeviceError):
    """The device showed another serial number or host key than recorded: quarantine, an operator decides."""

    code = "identity-mismatch"


class NotOnboarded(DeviceError):
    """The device asks for something that onboarding owns, such as a first password."""

    code = "not-onboarded"


class Truncated(DeviceError):
    """A reading without its end mark. Discard it and read again; it is never stored."""

    code = "truncated"
    usual_next_step = "Try again: what was read was discarded."


class ProtocolViolation(DeviceError):
    """The other side sent what its protocol does not allow. The whole message is refused, nothing of it is used."""

    code = "protocol-violation"

    def __init__(self, message: str, *, reason: str, next_step: str = "") -> None:
        super().__init__(
            message, next_step=next_step or "Look at the sender: it is no client of this protocol, or a broken one."
        )
        self.reason = reason
        """One word for counting and for tests: `oversize`, `malformed`, `doctype`, `unknown-type`, …"""
        self.facts["reason"] = reason


class CommandRejected(DeviceError):
    """The device refused a line; `facts["line"]` is its number in what was sent, counted from 1."""

    code = "command-rejected"
    usual_next_step = "Read what the device said to that line; correct it, or plan anew."


class RolledBack(DeviceError):
    """The device is back on its former configuration; the message says why."""

    code = "rolled-back"
    usual_next_step = "It runs its former configuration; read the reason before you try again."


class OutcomeUnknown(DeviceError):
    """Contact was lost after something was sent. Read the device back before anything else is sent."""

    code = "outcome-unknown"
    usual_next_step = "Read the device back before anything else is sent."
