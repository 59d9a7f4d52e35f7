"""What may be written down of talk over ARMS: kinds of messages, result codes, lengths; no text of a config."""

from __future__ import annotations

from typing import Final

from drivers.arms.messages import Request, Response
from drivers.arms.parameters import (
    CommandResults,
    Configure,
    MdCommand,
    ModuleList,
    OpenTransactions,
    ReadStorage,
    StoredConfigs,
)
from drivers.arms.results import named
from drivers.sessions.arms import ArmsLink
from drivers.sessions.transcript import Transcript
from inventory.errors import DeviceError

_LONGEST: Final = 80
"""Signs of a command that are told; ours in a push are `show system` and `show key`."""


class Overheard:
    """A link as `ArmsLink`, of which a transcript is told."""

    def __init__(self, link: ArmsLink, transcript: Transcript) -> None:
        self._link = link
        self._transcript = transcript

    async def wait_ready(self, serial: str, *, timeout_s: float) -> None:
        """See `ArmsLink.wait_ready`."""
        await self._link.wait_ready(serial, timeout_s=timeout_s)

    async def request(self, serial: str, request: Request, *, timeout_s: float, failed_too: bool = False) -> Response:
        """See `ArmsLink.request`."""
        self._transcript(">", f"{request.type}{_about(request)}")
        try:
            answer = await self._link.request(serial, request, timeout_s=timeout_s, failed_too=failed_too)
        except DeviceError as error:
            self._transcript("<", f"no answer that counts: {error.message}")
            raise
        started = f", transaction {answer.transaction_id}" if answer.transaction_id else ""
        self._transcript("<", f"{named(answer.result_code)}{started}{_about(answer)}")
        return answer

    async def wait_done(self, serial: str, transaction_id: int, *, timeout_s: float) -> Request:
        """See `ArmsLink.wait_done`."""
        try:
            done = await self._link.wait_done(serial, transaction_id, timeout_s=timeout_s)
        except DeviceError as error:
            self._transcript("<", f"nothing came of transaction {transaction_id}: {error.message}")
            raise
        self._transcript(
            "<", f"{done.type} of transaction {transaction_id}: {named(done.transaction_result)}{_about(done)}"
        )
        return done

    async def acknowledge(self, serial: str, transaction_id: int) -> None:
        """See `ArmsLink.acknowledge`."""
        self._transcript(">", f"100 to the result of transaction {transaction_id}")
        await self._link.acknowledge(serial, transaction_id)


def _about(message: Request | Response) -> str:
    match message.parameters:
        case Configure(configs=configs) | StoredConfigs(configs=configs):
            return "".join(f", module {one.id}: {len(one.content)} signs" for one in configs)
        case MdCommand(commands=commands):
            told = (one.content for one in commands)
            return "".join(f": {text[:_LONGEST]}" for text in told if isinstance(text, str))
        case CommandResults(results=results):
            return "".join(f", module {one.id}: {len(one.content)} signs" for one in results)
        case ReadStorage(storage=storage):
            return f" {storage}"
        case ModuleList(modules=modules):
            return f", modules {', '.join(str(one.id) for one in modules)}"
        case OpenTransactions(ids=ids):
            return f", open: {', '.join(str(one) for one in ids if one) or 'none'}"
        case _:
            return ""
