"""Settings from one TOML file and the environment, read once at start.

Order of trust: defaults < file < environment. The environment names are `KAJITORI_` and the path of the key in upper
case with two underscores between section and key: `KAJITORI_API__PORT=8081`. An unknown key in either is refused with
the nearest known name, so a typo never silently leaves a default in force.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from drivers.sessions.admission import Most
from inventory.errors import BadInput

PREFIX = "KAJITORI_"
OF_THE_CLI = frozenset(
    {
        "KAJITORI_SETTINGS",
        "KAJITORI_URL",
        "KAJITORI_API_KEY",
        "KAJITORI_CA",
        "KAJITORI_PASSWORD",
        "KAJITORI_LS_KEY",
    }
)
"""Variables that the commands read; whoever exports them for `kajitori adapter …` may start a daemon too."""
Port = Annotated[int, Field(ge=0, le=65535)]


def _literal_address(text: str) -> str:
    """ARMS clients resolve no names: every address we hand out is a literal (arms-protocol §4)."""
    return str(ipaddress.ip_address(text))


Address = Annotated[str, AfterValidator(_literal_address)]


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


Network = Annotated[str, AfterValidator(_network)]
PushMethod = Literal["https-tunnel", "https-simple"]


def _listed(value: object) -> object:
    """Lists are written `a, b` in the environment."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _each_once(values: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands there twice")
    return values


def _port_range(text: str) -> str:
    first, _, last = text.partition("-")
    if not (first.isascii() and first.isdigit() and (last or first).isascii() and (last or first).isdigit()):
        raise ValueError("a port range is one port, or first-last")
    if not 1 <= int(first) <= int(last or first) <= 65535:
        raise ValueError("ports are 1 to 65535, the lower one first")
    return text


_Each = AfterValidator(_each_once)
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_listed), _Each]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_listed), _Each]
PushMethods = Annotated[tuple[PushMethod, ...], BeforeValidator(_listed), Field(min_length=1), _Each]
LineRate = Annotated[int, Field(gt=0, le=10**13)]


def _family_limit(text: str) -> str:
    family, sign, most = text.partition("=")
    if not (family and sign and most.isascii() and most.isdecimal() and int(most) > 0):
        raise ValueError("a limit of a family is written family=number, such as fortios=20")
    return f"{family.strip()}={int(most)}"


FamilyLimit = Annotated[str, AfterValidator(_family_limit)]
PortRange = Annotated[str, AfterValidator(_port_range)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DatabaseSettings(_Section):
    """Where things are kept. `sqlite:///relative-or-absolute/path` or `postgresql://…` (architecture D1, D2)."""

    url: str = ""
    """Main database; empty: `kajitori.db` in the data directory."""
    traffic_url: str = ""
    """Traffic database; empty: `traffic.db` in the data directory, or the main PostgreSQL."""
    engine_url: str = ""
    """The durable engine's own database; empty: `engine.db` in the data directory, or the main PostgreSQL."""


class ApiSettings(_Section):
    """REST, status pages and API documents."""

    host: Address = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """Port to listen on; 0: any free one."""
    tls_certificate: Path | None = None
    """PEM file with the certificate, and its intermediates, that REST and pages show; empty: plain HTTP."""
    tls_key: Path | None = None
    """PEM file with its key, not encrypted. The floor here is TLS 1.2, whatever `arms.tls_floor` says."""


class ArmsSettings(_Section):
    """The ARMS listeners (arms-protocol). `address` is what adapters are told; it must be a literal."""

    host: Address = "127.0.0.1"
    """Address to listen on."""
    hosts: Annotated[Addresses, Field(max_length=10)] = ()
    """Addresses to listen on instead of `host`, of both families if there are both: `0.0.0.0` and `::`."""
    address: Address = "127.0.0.1"
    """Address that adapters are told; a literal, they resolve no names."""
    addresses: Annotated[Addresses, Field(max_length=5)] = ()
    """Up to five addresses that adapters are told instead of `address`, best first: Resource Servers, tunnels and
    heartbeat receivers. All nodes have the same list in the same order. An adapter uses those of one family."""
    ls_port: Port = 17443
    """Location Server (TLS)."""
    rs_port: Port = 17444
    """Resource Server and tunnels (TLS)."""
    heartbeat_port: Port = 17446
    """Heartbeats (UDP)."""
    tls_floor: Literal["1.0", "1.2"] = "1.2"
    """`1.0` opens the legacy policy on the ARMS listeners alone; everything else stays at 1.2."""
    client_certificates: Literal["require", "ask", "off"] = "require"
    """`require`: an adapter that a config pull gave a certificate must show it on RS and tunnels; `ask`: it may; \
`off`: it is not asked."""
    rs_retry_max: Annotated[int, Field(ge=1, le=100)] = 3
    """Rounds an adapter makes over its Resource Servers before it asks the Location Server again."""
    rs_retry_interval_s: Annotated[int, Field(ge=30, le=3600)] = 30
    """Seconds between those rounds."""
    echo_interval_s: Annotated[int, Field(ge=10, le=3600)] = 60
    """Seconds between echoes in a tunnel; 0 would make a client rebuild it for ever."""
    heartbeat_interval_s: Annotated[int, Field(ge=10, le=3600)] = 60
    """Seconds between heartbeats."""
    pulls_per_s: Annotated[float, Field(gt=0)] | None = None
    """Ceiling of pulls admitted per second; empty: as many as the node can serve. The rest are held in a queue, and \
told to come back (301) when their turn is not within 20 s (architecture §6)."""
    loop_requests: Annotated[int, Field(ge=10, le=10_000)] = 30
    """Requests of one adapter within the window beyond which it is caught in a loop; a normal start makes four."""
    loop_window_s: Annotated[int, Field(ge=10, le=3600)] = 60
    """Seconds of that window."""
    config_tries: Annotated[int, Field(ge=1, le=100)] = 3
    """Boots whose connection check a new startup config may fail before the last proven one is served."""
    connections: Annotated[int, Field(ge=0)] = 0
    """Connections open at once; 0: all that the limit of open files leaves, less a reserve. Never more than that."""
    unproven_per_source: Annotated[int, Field(ge=8)] = 500
    """Connections from one IPv4 address or IPv6 /64 that have not yet shown an adapter's key."""
    locations: Path | None = None
    """Text of `network,country` lines, such as `192.0.2.0/24,JP`: adapters that may not leave Japan and phone home \
from elsewhere are flagged (MPC-10.1, SMF-9.1); empty: the check is off."""
    push_methods: PushMethods = ("https-tunnel", "https-simple")
    """Push methods in our order; an adapter is told those that it offers itself."""
    push_ports: PortRange = "10443"
    """Ports of adapters that we dial in https-simple: one, or `first-last`."""
    push_networks: Networks = ()
    """Networks in which an adapter may be dialled although its request came from another address (NAT)."""

    @property
    def listens_on(self) -> tuple[str, ...]:
        """Every address to listen on."""
        return self.hosts or (self.host,)

    @property
    def told(self) -> tuple[str, ...]:
        """Every address that adapters are told, best first."""
        return self.addresses or (self.address,)


class PushSettings(_Section):
    """Pushes (architecture §4)."""

    at_once: Annotated[int, Field(ge=1, le=1000)] = 32
    """Pushes under way at the same time."""
    guard_s: Annotated[int, Field(ge=60, le=7200)] = 120
    """Time after which a device undoes an unconfirmed change by itself; IOS counts whole minutes."""
    plan_valid_s: Annotated[int, Field(ge=60)] = 86_400
    """Seconds after which a plan must be made anew."""
    four_eyes_unproven: bool = True
    """A plan that is unproven, touches the management path, or is not all taken back by the device's guard needs a
    second approver."""
    source: Address | None = None
    """Our own address as devices on path ssh see it, behind any translation; access lists are judged by it. Empty: a
    plan that narrows who may log in is flagged."""


class SessionSettings(_Section):
    """Sessions with devices over SSH and telnet: what is too much waits (devices-ios-fortios §C.3)."""

    devices: Annotated[int, Field(ge=1, le=4000)] = 400
    """Devices with a session at the same time; a push has up to two on one device."""
    families: Annotated[tuple[FamilyLimit, ...], BeforeValidator(_listed), _Each] = ()
    """The most of them for one family: `fortios=20, ios=200`. A family that is not named has no limit of its own."""
    logins: Annotated[int, Field(ge=1, le=4000)] = 100
    """Logins under way at the same time."""
    logins_per_s: Annotated[float, Field(gt=0, le=10_000)] = 150.0
    """New connections a second."""
    logins_per_jump_host: Annotated[int, Field(ge=1, le=1000)] = 10
    """Logins under way at the same time behind one jump host; sshd drops some beyond its `MaxStartups`."""
    logins_per_s_of_domain: Annotated[float, Field(gt=0, le=1000)] = 5.0
    """Logins a second to devices whose endpoints name the same AAA domain."""
    domain_pause_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """Seconds for which an AAA domain is left alone after two of its devices have refused us in a row."""
    sa_over_ssh: bool = False
    """Whether an SA-W2 or SA-W2L may be registered on path ssh, to be read; its maker says that it has no login."""

    def most(self) -> Most:
        """The same, for the gate that sessions come in by."""
        return Most(
            devices=self.devices,
            logins=self.logins,
            logins_per_s=self.logins_per_s,
            logins_per_jump_host=self.logins_per_jump_host,
            logins_per_s_of_domain=self.logins_per_s_of_domain,
            domain_pause_s=self.domain_pause_s,
            of_family={family: int(most) for family, _, most in (one.partition("=") for one in self.families)},
        )


class MeteringSettings(_Section):
    """Polling and reports (metering.md)."""

    snmp_interval_s: Annotated[int, Field(ge=5, le=300)] = 60
    """Seconds between two polls of one adapter."""
    report_directory: Path | None = None
    """Where reports are written; empty: `reports/` in the data directory."""
    line_offers_bps: Annotated[tuple[LineRate, ...], BeforeValidator(_listed), _Each] = ()
    """Line rates that can be ordered, in bit/s: a proposal names the smallest that suffices; empty: the need alone."""
    model_ladder: Annotated[tuple[str, ...], BeforeValidator(_listed), _Each] = ()
    """Models from small to big: where a busy processor is the witness of one without a figure, the next is named."""
    proposal_valid_days: Annotated[int, Field(ge=1, le=3650)] = 60
    """Days that a proposal can be accepted after it was sent, unless the sender names another last day."""


class MailSettings(_Section):
    """The mail server that reports go out by (SMTP). Without host and sender no mail is sent."""

    host: str = ""
    """Name or address of the server."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """Its port: 587 with `starttls`, 465 with `tls`."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is protected; `none` only for a server on this machine."""
    ca_file: Path | None = None
    """PEM file of the CA to trust; empty: those of the system."""
    username: str = ""
    """Whom to log in as; empty: no log-in."""
    password_file: Path | None = None
    """File that holds the password, read at each sending."""
    sender: str = ""
    """Address in From, such as `Kajitori <noc@isp.example>`."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60
    """Seconds that handing over one message may take."""


class DeliverySettings(_Section):
    """Reports to folders and webhooks."""

    folder: Path | None = None
    """Folder below which reports are written; empty: `delivered/` in the data directory. Nodes should share it."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60
    """Seconds that a webhook may take to answer."""


class MetricsSettings(_Section):
    """Where a NOC looks: `/metrics`, and Prometheus remote write."""

    open: bool = False
    """Whether `/metrics` and `/metrics/links` answer without an API key."""
    remote_write_url: str = ""
    """Where each final slot of every link is sent, such as `https://prometheus.example/api/v1/write`; empty: no."""
    remote_write_token_file: Path | None = None
    """File with a token that is sent as `Authorization: Bearer`; read at each request."""
    remote_write_backlog_s: Annotated[int, Field(ge=300, le=86_400)] = 7200
    """Slots that are older when the receiver is back are left out, and the gap is told."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 30
    """Seconds that one request may take."""


class Settings(_Section):
    """All settings of one node."""

    data_directory: Path = Path("kajitori-data")
    """Key file, certificates, SQLite files, reports. Made with mode 0700."""
    node: str = ""
    """Unique name of this node; empty: a random one, kept in the data directory."""
    pace: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Divides waits, never time stamps. For simulations only; `explain` shows it when it is not 1."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    database: DatabaseSettings = DatabaseSettings()
    api: ApiSettings = ApiSettings()
    arms: ArmsSettings = ArmsSettings()
    push: PushSettings = PushSettings()
    sessions: SessionSettings = SessionSettings()
    metering: MeteringSettings = MeteringSettings()
    mail: MailSettings = MailSettings()
    delivery: DeliverySettings = DeliverySettings()
    metrics: MetricsSettings = MetricsSettings()

    def database_url(self) -> str:
        """URL of the main database."""
        return self.database.url or f"sqlite:///{self.data_directory / 'kajitori.db'}"

    def traffic_url(self) -> str:
        """URL of the traffic database: on PostgreSQL the main one, else a file of its own (architecture D2)."""
        return self.database.traffic_url or self._beside("traffic.db")

    def engine_url(self) -> str:
        """URL of the durable engine's database."""
        return self.database.engine_url or self._beside("engine.db")

    def report_directory(self) -> Path:
        """Folder that reports are written to."""
        return self.metering.report_directory or self.data_directory / "reports"

    def delivery_folder(self) -> Path:
        """Folder below which recipients' folders lie."""
        return self.delivery.folder or self.data_directory / "delivered"

    def _beside(self, name: str) -> str:
        main = self.database_url()
        return main if main.startswith("postgresql") else f"sqlite:///{self.data_directory / name}"


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as the manual shows it."""

    name: str
    variable: str
    default: str
    meaning: str


def describe(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[Described]:
    """Every setting in the order of this file."""
    for key, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from describe(inner, (*path, key))
        else:
            full = (*path, key)
            default = "" if field.default is None else _shown(field.default)
            meaning = " ".join((field.description or "").split())
            yield Described(".".join(full), PREFIX + "__".join(full).upper(), default, meaning)


def _shown(default: object) -> str:
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def load(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read settings. Raises BadInput that names the file or variable, the key, what is wrong and the nearest name."""
    tree: dict[str, object] = {}
    if file is not None:
        tree = _read(file)
    for name, text in environment.items():
        if name.startswith(PREFIX) and name not in OF_THE_CLI:
            _put(tree, name.removeprefix(PREFIX).lower().split("__"), text, name)
    _refuse_unknown(tree, Settings, (), file)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"setting {key}: {first['msg']}",
            field=key,
            next_step="Correct the value; docs/settings.md lists each setting.",
        ) from None


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"the settings file {file} cannot be read: {error.strerror}", next_step="Check the path and its mode."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"the settings file {file} is not TOML: {error}", next_step="Correct the line that the message names."
        ) from None


def _put(tree: dict[str, object], path: list[str], text: str, variable: str) -> None:
    branch = tree
    for part in path[:-1]:
        below = branch.setdefault(part, {})
        if not isinstance(below, dict):
            raise BadInput(f"{variable}: {part} is a value, not a section", field=variable)
        branch = below
    branch[path[-1]] = text


def _refuse_unknown(
    tree: Mapping[str, object], model: type[BaseModel], path: tuple[str, ...], file: Path | None
) -> None:
    for key, value in tree.items():
        field = model.model_fields.get(key)
        if field is None:
            raise _unknown(key, path, model, file)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if not isinstance(value, Mapping):
                raise BadInput(f"setting {'.'.join((*path, key))} is a section, not a value", field=key)
            _refuse_unknown(value, inner, (*path, key), file)


def _unknown(key: str, path: tuple[str, ...], model: type[BaseModel], file: Path | None) -> BadInput:
    near = difflib.get_close_matches(key, model.model_fields, n=1, cutoff=0.0)
    name = ".".join((*path, key))
    where = f" in {file} or the environment" if file else " in the environment"
    guess = ".".join((*path, near[0])) if near else ""
    return BadInput(
        f"there is no setting {name}{where}; the nearest known name is {guess}",
        field=name,
        next_step=f"Did you mean {guess}? docs/settings.md lists all of them.",
    )
