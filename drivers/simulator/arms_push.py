"""One stay in push mode: paths to be pushed through, heartbeats, and what ends it (arms-protocol §1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from drivers.simulator.arms_answers import Pulled, PushOffer
from drivers.simulator.arms_beat import Heart
from drivers.simulator.arms_runtime import ArmsRuntime
from drivers.simulator.arms_simple import SimpleListener
from drivers.simulator.arms_tunnel import MethodFailed, Tunnel
from drivers.simulator.tls_stream import LinkLost


class PushMode:
    """One push method in use. `run` ends with MethodFailed or a Departure."""

    def __init__(self, runtime: ArmsRuntime, pulled: Pulled, offer: PushOffer, method: str) -> None:
        self._runtime = runtime
        self._pulled = pulled
        self._method = method
        self._tunnels: list[Tunnel] = []
        self._listener: SimpleListener | None = None
        if method == "https-tunnel":
            self._tunnels = [Tunnel(runtime, self, target, offer.echo_interval_s) for target in offer.tunnel_urls]
        else:
            self._listener = SimpleListener(runtime, self, pulled)
        self._tasks: set[asyncio.Task[None]] = set()
        self._heart: asyncio.Task[None] | None = None
        self._failed_paths = 0
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Be pushed to. Raises MethodFailed when the method never worked, Departure when it is over."""
        self._runtime.enter("PUSH_SENDREADY")
        if not self._paths:
            raise MethodFailed(f"{self._method}: no URL to use")
        for path in self._paths:
            self.spawn(path.run)
        try:
            await self._ended
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _paths(self) -> list[Tunnel | SimpleListener]:
        return [*self._tunnels, *([self._listener] if self._listener else [])]

    def spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run something beside; whatever it raises ends push mode."""

        async def wrapped() -> None:
            await work()

        task = asyncio.create_task(wrapped())
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, MethodFailed):
            self._runtime.truth_log.note("path-failed", why=str(error))
            self._failed_paths += 1
            if self._heart is not None or self._failed_paths < len(self._paths):
                return
        if not self._ended.done():
            self._ended.set_exception(error)

    def confirmed(self, path: object) -> None:
        """A path is confirmed: push mode is on; the heartbeat starts, in https-simple each time (§9)."""
        self._runtime.enter("PUSH_WAIT")
        self._runtime.truth_log.note("confirmed", method=self._method, port=_port(path))
        if self._heart is not None and self._listener is not None:
            self._heart.cancel()
            self._heart = None
        if self._heart is None and self._pulled.heartbeats:
            heart = Heart(self._runtime, self._pulled.heartbeats)
            self._heart = asyncio.create_task(heart.beat())
            self._tasks.add(self._heart)
            self._heart.add_done_callback(self._over)

    async def reconfirm(self) -> None:
        """Repeat the confirmation on every path that is up."""
        self._runtime.enter("PUSH_SENDREADY")
        for tunnel in self._tunnels:
            if tunnel.is_up:
                try:
                    await tunnel.confirm()
                except LinkLost:  # its own reader notices, reconnects and confirms
                    continue
        if self._listener is not None:
            await self._listener.confirm()

    async def end_paths(self) -> None:
        """`0` chunk on every tunnel, or the listener closed."""
        for path in self._paths:
            await path.end()


def _port(path: object) -> int | None:
    return path.target.port if isinstance(path, Tunnel) else None
