"""Finer branches of the tree in `inventory/errors.py`, where drivers can tell more.

DeviceError
├ Unreachable
│  ├ NegotiationFailed      no algorithm in common: the device needs another SSH profile; a plain retry cannot help
│  ├ DeviceBusy             all its terminal lines are taken: back off, never hammer
│  └ DomainPaused           the server that knows the accounts refuses us on several devices: all of it is left alone
├ AuthenticationFailed
│  ├ JumpHostRefused        a jump host showed another key or refused us; the device behind it was not spoken to
│  └ LockedOut              the device's REST API shuts our address out for a while: nothing is sent until then
└ CommandRejected
   ├ NotOffered             this model or release has no such REST resource: take another way
   └ UnknownQuestion        the device asked something that no answer table knows; it was answered with a refusal
"""

from __future__ import annotations

from inventory.errors import AuthenticationFailed, CommandRejected, Unreachable


class NegotiationFailed(Unreachable):
    """Client and device share no key exchange, cipher, MAC or host key algorithm, or do not speak SSH 2."""

    code = "negotiation-failed"
    usual_next_step = "Give the device software that speaks SSH 2, or reach it over telnet if your policy permits it."


class DeviceBusy(Unreachable):
    """The device has no terminal line left for us."""

    code = "device-busy"


class DomainPaused(Unreachable):
    """Different devices of one AAA domain have refused us in a row; no further one of it is asked for a while."""

    code = "domain-paused"


class JumpHostRefused(AuthenticationFailed):
    """A jump host showed another host key, or refused our credential; nothing was sent to the device behind it."""

    code = "jump-host-refused"


class LockedOut(AuthenticationFailed):
    """The device's REST API answered 429: our address is shut out, and more tries make it worse."""

    code = "locked-out"


class NotOffered(CommandRejected):
    """The device's REST API has no such resource, or not this verb on it (404, 405, 424)."""

    code = "not-offered"


class UnknownQuestion(CommandRejected):
    """The device asked a question without an entry in the family's answer table. It was refused, not agreed to."""

    code = "unknown-question"
