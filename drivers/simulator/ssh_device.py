"""What every simulated device with a command line over SSH has: a port, a door, sessions, power, a record.

Each accepted TCP connection is looked at before SSH begins, so that the device can stay silent, reset, refuse
the sixth login or show another host key. Then asyncssh speaks SSH on that socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import socket
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import asdict, replace
from types import TracebackType
from typing import ClassVar, Self

import asyncssh

from drivers.simulator.control import ControlServer, Handler, serve_control
from drivers.simulator.faults import Faults
from drivers.simulator.ground_truth import ClockMs, DeviceLog, Login, PendingUndo, Record, Truth, wall_ms
from drivers.simulator.relay import Relay
from drivers.simulator.ssh_door import SSH1_GREETING, Connection, Door, algorithms, reset, speak, stay_silent
from drivers.simulator.terminal import HungUp, Terminal
from inventory.errors import BadInput

AUTH_METHODS = ("password", "keyboard-interactive")


def digest(text: str) -> str:
    """SHA-256 of a configuration text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class CliDevice(ABC):
    """A device on 127.0.0.1, on a port of its own, from `start` to `aclose`.

    `pace` divides every wait (boot, revert timer, slow answers); nothing else. `management` names the
    interface that the controller comes in by: when the running configuration takes its address away, or shuts
    it, the device is no longer reachable until it is put back.
    """

    family: ClassVar[str]
    echo_end: ClassVar[str] = "\r\n"
    boot_s: ClassVar[float] = 60.0

    def __init__(
        self,
        *,
        hostname: str,
        serial: str,
        model: str,
        username: str,
        password: str,
        pace: float = 1.0,
        faults: Faults | None = None,
        management: str | None = None,
        session_limit: int = 5,
        auth_methods: tuple[str, ...] = AUTH_METHODS,
        clock_ms: ClockMs = wall_ms,
    ) -> None:
        if pace <= 0:
            raise BadInput(f"The pace {pace} is not above 0.", field="pace")
        self.first_hostname = hostname
        self.own_serial = serial
        self.model = model
        self.username = username
        self._password = password
        self.pace = pace
        self.faults = faults or Faults()
        self.management = management
        self.session_limit = session_limit
        self.auth_methods = auth_methods
        self.log = DeviceLog(clock_ms)
        self._true_clock_ms = clock_ms
        self.started_ms = clock_ms()
        self.powered = True
        self._logins: list[Login] = []
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._other_keys: dict[str, asyncssh.SSHKey] = {}
        self._alike: tuple[object, asyncssh.SSHServerConnectionOptions] | None = None
        self._listener: socket.socket | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()
        self._boot_timer: asyncio.TimerHandle | None = None

    # -- life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen on 127.0.0.1, on a port that the system chooses (`port`)."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self._port = self._listener.getsockname()[1]
        self._options(self._key_to_show()[0])  # what every login needs is not worked out during the first
        self.log.add("booted", digest=digest(self.running_text()))
        asyncio.get_running_loop().add_reader(self._listener, self._take, self._listener)

    async def aclose(self) -> None:
        """End every session and timer, and free the port."""
        self._stop_timers()
        if self._boot_timer:
            self._boot_timer.cancel()
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
        self.hang_up_all()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener:
            self._listener.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return self._port

    @property
    def host_key(self) -> asyncssh.SSHKey:
        """The public key that a healthy device shows."""
        return self._host_key.convert_to_public()

    def known_hosts(self) -> asyncssh.SSHKnownHosts:
        """This device's own entry, as `known_hosts` of asyncssh."""
        key = self.host_key.export_public_key().decode().strip()
        return asyncssh.import_known_hosts(f"[{self.host}]:{self.port} {key}\n")

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work` for as long as the device lives."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- what the family adds -----------------------------------------------------------------------------

    @abstractmethod
    def running_text(self) -> str:
        """The running configuration without anything volatile, so that equal trees give equal texts."""

    @abstractmethod
    def saved_text(self) -> str:
        """What the next boot will run, in the same form."""

    @abstractmethod
    def pending_undo(self) -> PendingUndo | None:
        """The guard that runs, if any."""

    @abstractmethod
    def current_hostname(self) -> str:
        """The name that the running configuration gives the device."""

    @abstractmethod
    def load_saved(self) -> None:
        """Running becomes what was saved; timers of the old life are gone."""

    @abstractmethod
    def is_reachable(self) -> bool:
        """False while the running configuration keeps the controller away (`management`)."""

    @abstractmethod
    def _stop_timers(self) -> None: ...

    @abstractmethod
    async def converse(self, terminal: Terminal, username: str, command: str | None) -> int:
        """Serve one channel, a shell or one exec request, and return its exit status. HungUp ends it too."""

    # -- the examiner's side ------------------------------------------------------------------------------

    @property
    def serial(self) -> str:
        """The serial number that the device claims."""
        return self.faults.serial or self.own_serial

    def now_ms(self) -> int:
        """The device's own idea of the time."""
        return self._true_clock_ms() + self.faults.clock_jump_ms

    @property
    def logins(self) -> tuple[Login, ...]:
        return tuple(self._logins)

    async def wait_for(self, what: str, timeout_s: float = 10.0, *, since: int = 0) -> Record:
        """See `DeviceLog.wait_for`."""
        return await self.log.wait_for(what, timeout_s, since=since)

    def truth(self) -> Truth:
        running, saved = self.running_text(), self.saved_text()
        return Truth(
            hostname=self.current_hostname(),
            serial=self.own_serial,
            model=self.model,
            powered=self.powered,
            running=running,
            running_digest=digest(running),
            saved=saved,
            saved_digest=digest(saved),
            pending=self.pending_undo(),
            sessions=len(self._open),
            log=self.log.records,
            logins=self.logins,
        )

    def throw(self, **changes: object) -> None:
        """Throw switches; see `Faults.changed` for the errors."""
        self.faults = self.faults.changed(changes)
        for name, value in changes.items():
            self.log.add("fault", switch=name, value=value)

    def control_handlers(self) -> dict[str, Handler]:
        """Commands of the control port: truth, fault, faults, wait_for, power, reload."""

        async def truth(_request: dict[str, object]) -> dict[str, object]:
            return self.truth().to_json()

        async def fault(request: dict[str, object]) -> dict[str, object]:
            self.throw(**{str(request.get("name")): request.get("value")})
            return asdict(self.faults)

        async def faults(_request: dict[str, object]) -> dict[str, object]:
            return asdict(self.faults)

        async def wait_for(request: dict[str, object]) -> dict[str, object]:
            try:
                timeout_s, since = float(str(request.get("timeout_s", 10))), int(str(request.get("since", 0)))
                return asdict(await self.wait_for(str(request.get("what")), timeout_s, since=since))
            except (ValueError, TimeoutError) as error:
                raise BadInput(str(error), field="timeout_s") from error

        async def power(request: dict[str, object]) -> dict[str, object]:
            if request.get("on") is True:
                self.power_on()
            else:
                self.power_off()
            return {"powered": self.powered}

        async def reload(_request: dict[str, object]) -> dict[str, object]:
            self.reload("asked for on the control port")
            return {}

        return {
            "truth": truth,
            "fault": fault,
            "faults": faults,
            "wait_for": wait_for,
            "power": power,
            "reload": reload,
        }

    async def serve_control(self) -> ControlServer:
        """A control port for this device; the caller closes it."""
        return await serve_control(self.control_handlers())

    # -- power --------------------------------------------------------------------------------------------

    def reload(self, why: str) -> None:
        """Go down now and come back after the boot time with what was saved."""
        self.log.add("reload", why=why)
        self._go_down()
        loop = asyncio.get_running_loop()
        self._boot_timer = loop.call_later(self.boot_s / self.pace, self.power_on)

    def power_off(self) -> None:
        """Lose power; nothing comes back before `power_on`."""
        self.log.add("power-off")
        self._go_down()

    def power_on(self) -> None:
        """Boot what was saved. No effect on a device that is up."""
        if self.powered:
            return
        self.powered = True
        self.started_ms = self._true_clock_ms()
        self.log.add("booted", digest=digest(self.running_text()))

    def _go_down(self) -> None:
        self.powered = False
        if self._boot_timer:
            self._boot_timer.cancel()
        self._stop_timers()
        self.load_saved()
        self.hang_up_all()

    def hang_up_all(self) -> None:
        for connection in tuple(self._open):
            connection.abort()

    # -- the wire -----------------------------------------------------------------------------------------

    def allowance(self, direction: str, size: int) -> int:
        """See `Wire.allowance`; counts the cut switches down and releases them when they strike."""
        name = f"cut_{direction}_after"
        left = self.faults.cut_output_after if direction == "output" else self.faults.cut_input_after
        if left is None:
            return size
        if left >= size:
            self.faults = self.faults.changed({name: left - size})
            return size
        self.faults = self.faults.changed({name: None})
        self.log.add("cut", direction=direction)
        return left

    def lock_seen(self) -> str:
        """Who holds the configuration lock, by the switch for it; looking may count it down."""
        holder, looks = self.faults.locked_by, self.faults.lock_looks
        if holder and looks is not None:
            self.faults = replace(self.faults, lock_looks=looks - 1, locked_by=holder if looks > 1 else "")
        return holder

    def passing(self, size: int) -> int:
        """See `Wire.passing`; counts the switch down and releases it when it strikes."""
        left = self.faults.silence_after
        if left is None:
            return size
        self.faults = replace(self.faults, silence_after=left - size if left >= size else None)
        return min(left, size)

    async def strike(self, command: str, moment: str, terminal: Terminal) -> None:
        """Go wrong here, if a switch waits for this command at this moment; raises HungUp then."""
        how = self.faults.strike_how
        if self._strikes(command, moment):
            await terminal.break_off(how)

    def _strikes(self, command: str, moment: str) -> bool:
        """Whether the device goes wrong here; if so it has gone wrong when this returns."""
        faults = self.faults
        if faults.strike_at is None or faults.strike_when != moment:
            return False
        if command.strip() != faults.strike_at.strip():
            return False
        self.faults = replace(faults, strike_at=None)
        self.log.add("cut", direction=faults.strike_how, command=command.strip())
        if faults.strike_how == "reload":
            self.reload("struck by a switch")
        elif faults.strike_how == "power-off":
            self.power_off()
        return True

    def _take(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connected, _peer = listener.accept()
            connected.setblocking(False)
            # Also where the task is cancelled before its first step, as when the device is taken away just now.
            self.spawn(self._serve(connected)).add_done_callback(lambda _over: connected.close())

    async def _serve(self, connected: socket.socket) -> None:
        why = self._refusal()
        if why:
            self.log.add("refused", why=why)
            reset(connected)
            return
        if self.faults.greeting in ("silent", "ssh1") or not self.is_reachable():
            self.log.add("refused", why="silence")
            await stay_silent(connected, SSH1_GREETING if self.faults.greeting == "ssh1" else b"")
            return
        connection = Connection()
        self._open.add(connection)
        try:
            await asyncio.sleep(self.faults.greeting_delay_s / self.pace)
            await self._speak_ssh(self._behind_relay(connected, connection), connection)
        finally:
            self._open.discard(connection)
            connected.close()
            if connection.relay is not None:
                connection.relay.close()
            self.log.add("ended")

    def _refusal(self) -> str:
        if not self.powered:
            return "no power"
        if self.faults.greeting == "reset":
            return "reset"
        return "all lines busy" if len(self._open) >= self.session_limit else ""

    def _behind_relay(self, connected: socket.socket, connection: Connection) -> socket.socket:
        """The socket that the SSH server gets: another one where a switch must be able to stop the octets."""
        faults = self.faults
        short_only = faults.key_exchange == "short"
        if not short_only and faults.silence_after is None and faults.strike_how != "silence":
            return connected
        connection.relay = Relay(connected, short_only=short_only)
        self.spawn(connection.relay.run())
        return connection.relay.server_end

    def _key_to_show(self) -> tuple[asyncssh.SSHKeyPair, str]:
        """The host key of a new connection, as the switches say, and its fingerprint."""
        kind = "other" if self.faults.other_host_key else self.faults.host_key_kind
        key = self._host_key
        if kind in ("other", "rsa"):
            algorithm = "ssh-rsa" if kind == "rsa" else "ssh-ed25519"
            key = self._other_keys.setdefault(kind, asyncssh.generate_private_key(algorithm))
        [pair] = asyncssh.load_keypairs(key)
        if kind == "malformed":
            pair.public_data = pair.public_data[:-8]
        return pair, key.get_fingerprint()

    async def _speak_ssh(self, connected: socket.socket, connection: Connection) -> None:
        pair, fingerprint = self._key_to_show()
        self.log.add("connected", host_key=fingerprint)
        door = Door(self, connection)
        try:
            ssh = await speak(connected, self._options(pair), door, lambda process: self._channel(process, connection))
            await ssh.wait_closed()
        except (OSError, asyncssh.Error):
            # The client went away or was refused before it was in: the log has what it showed.
            connection.abort()

    def _options(self, pair: asyncssh.SSHKeyPair) -> asyncssh.SSHServerConnectionOptions:
        kind = (pair.public_data, self.faults.key_exchange, self.auth_methods)
        if self._alike is None or self._alike[0] != kind:
            made = asyncssh.SSHServerConnectionOptions(
                server_host_keys=[pair],
                encoding=None,
                line_editor=False,
                password_auth="password" in self.auth_methods,
                kbdint_auth="keyboard-interactive" in self.auth_methods,
                public_key_auth=False,
                allow_scp=False,
                gss_host=None,
                x509_trusted_certs=None,
                server_version="Cisco-1.25" if self.family == "ios" else "FortiSSH_1.0",
                **algorithms(self.faults),
            )
            self._alike = (kind, made)
        return self._alike[1]

    async def _channel(self, process: asyncssh.SSHServerProcess[bytes], connection: Connection) -> None:
        pty = process.get_terminal_type() is not None
        username = str(process.get_extra_info("username"))
        self.log.add("session", kind="shell" if process.command is None else "exec", user=username)
        terminal = Terminal(self, process, pty=pty, connection=connection, echo_end=self.echo_end)
        status = 0
        with contextlib.suppress(HungUp, OSError, asyncssh.Error):
            if await self._lets_in(terminal):
                status = await self.converse(terminal, username, process.command)
        terminal.flush()
        with contextlib.suppress(OSError, asyncssh.Error):
            process.exit(status)

    async def _lets_in(self, terminal: Terminal) -> bool:
        """What stands between a login and the command line; False when nobody gets there."""
        faults = self.faults
        await terminal.greet_oddly()
        if faults.after_login == "silent":
            while True:
                await terminal.read_key()
        if faults.after_login == "limit":
            await terminal.write("% CLI session limit reached\n")
        if faults.after_login in ("hang-up", "limit"):
            return False
        if faults.login_again:
            await terminal.write("\nUsername: ")
            name = await terminal.read_line()
            await terminal.write("Password: ")
            return self.admits(name, await terminal.read_line(echo=False), "in the channel")
        if faults.onboarding == "shell":
            await terminal.write("You are forced to change your password. Please input a new password.\nNew Password: ")
            await terminal.read_line(echo=False)
            self.log.add("credential", user="", method="new password", accepted=False)
            return False
        return True

    # -- credentials --------------------------------------------------------------------------------------

    def admits(self, username: str, password: str, method: str) -> bool:
        """Check a credential and record that it was shown."""
        right = hmac.compare_digest(password.encode(), self._password.encode())
        accepted = right and username == self.username and self.has_account(username) and not self.faults.refuse_logins
        self._logins.append(Login(self._true_clock_ms(), username, method, accepted))
        self.log.add("credential", user=username, method=method, accepted=accepted)
        return accepted

    @abstractmethod
    def has_account(self, username: str) -> bool:
        """Whether the running configuration still knows this user."""
