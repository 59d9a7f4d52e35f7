"""What every error tells the person who reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers import errors as finer
from inventory.errors import DeviceError, IdentityMismatch, NotOnboarded, ProtocolViolation

pytestmark = pytest.mark.fast


def kinds(of: type[DeviceError]) -> Iterator[type[DeviceError]]:
    """All finer kinds, and itself."""
    yield of
    for one in of.__subclasses__():
        yield from kinds(one)


@pytest.mark.parametrize("kind", [kind for kind in kinds(DeviceError) if kind is not ProtocolViolation])
def test_whatever_goes_wrong_with_a_device_the_reader_is_told_what_to_do(kind: type[DeviceError]) -> None:
    assert kind("192.0.2.1 port 22 ended the connection").next_step
    assert kind("192.0.2.1 port 22 ended the connection", next_step="Wait.").next_step == "Wait."


def test_a_device_that_is_not_reached_is_looked_for_and_one_of_ssh_1_is_not_tried_again() -> None:
    assert "address and port" in kinds_next(finer.DeviceBusy)
    assert "SSH 2" in kinds_next(finer.NegotiationFailed)
    assert kinds_next(IdentityMismatch) == kinds_next(NotOnboarded) == DeviceError.usual_next_step


def kinds_next(kind: type[DeviceError]) -> str:
    """What an error says by itself."""
    return kind("it went wrong").next_step
