"""Shapes of the inventory nouns on the wire. Values come from `inventory`, keys are shown as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from inventory.adapters import Adapter
from inventory.explain import Explanation
from inventory.slots import Contractor, Entry, Management, Placement, Standby

NO_NUL = r"^[^\x00]*$"
"""What any text must match: one of the databases takes no NUL character."""
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]
Text = Annotated[str, StringConstraints(max_length=1000, pattern=NO_NUL)]
Serial = Annotated[str, StringConstraints(min_length=1, max_length=80)]


def _key(kind: str) -> Any:
    # The pattern is for readers of the document; what is read is also `e-012`, in any width (`parse_key`).
    shown: dict[str, JsonValue] = {"pattern": f"^{kind}-[1-9][0-9]{{0,8}}$", "examples": [f"{kind}-1"]}
    return Field(min_length=3, max_length=24, json_schema_extra=shown)


ContractorKey = Annotated[str, _key("K")]
ManagementKey = Annotated[str, _key("M")]
EntryKey = Annotated[str, _key("E")]
StandbyKey = Annotated[str, _key("S")]
LineKey = Annotated[str, _key("L")]


def instant(at_ms: int) -> datetime:
    """Milliseconds UTC as the API shows them: RFC 3339 with offset."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


class Body(BaseModel):
    """A request body: an unknown field is refused, so that a typo never passes for a default."""

    model_config = ConfigDict(extra="forbid")


class NewContractor(Body):
    """Who holds contracts."""

    name: Name


class ContractorView(BaseModel):
    """A contractor."""

    key: str
    name: str
    created_at: datetime
    version: int

    @classmethod
    def of(cls, contractor: Contractor) -> ContractorView:
        """View of a value."""
        return cls(
            key=contractor.key,
            name=contractor.name,
            created_at=instant(contractor.created_ms),
            version=contractor.version,
        )


class NewManagement(Body):
    """A management: so many entries, so many standbys."""

    contractor: ContractorKey
    service: Literal["mpc", "smfsx"]
    classes: list[Literal["I", "II", "III"]] = Field(default_factory=list, max_length=3)
    name: Name = "management"
    entry_count: Annotated[int, Field(ge=0, le=100_000)]
    standby_count: Annotated[int, Field(ge=0, le=100_000)] = 0


class Counts(Body):
    """A change of counts; a count left out stays. Takes effect on `valid_from`, today in Tokyo if left out."""

    entry_count: Annotated[int, Field(ge=0, le=100_000)] | None = None
    standby_count: Annotated[int, Field(ge=0, le=100_000)] | None = None
    valid_from: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None


class Suspension(Body):
    """A suspension on a ground of SMF-21.1, 1 to 4, until a day or until it is resumed.

    For a management with a contract line its reason and period are notified, or it is an emergency.
    """

    ground: Annotated[int, Field(ge=1, le=4)]
    until: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    notified: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    emergency: bool = False


class ManagementView(BaseModel):
    """A management."""

    key: str
    contractor: str
    service: str
    classes: list[str]
    name: str
    entry_count: int
    standby_count: int
    suspended: str | None
    version: int

    @classmethod
    def of(cls, management: Management) -> ManagementView:
        """View of a value."""
        return cls(
            key=management.key,
            contractor=f"K-{management.contractor_id}",
            service=management.service,
            classes=list(management.classes),
            name=management.name,
            entry_count=management.entry_count,
            standby_count=management.standby_count,
            suspended=management.suspended,
            version=management.version,
        )


class EntryChange(Body):
    """What an operator may write on a place; a field left out stays."""

    name: Name | None = None
    site: Text | None = None
    labels: dict[Annotated[str, StringConstraints(min_length=1, max_length=63)], Name] | None = Field(
        default=None, max_length=64
    )


class EntryView(BaseModel):
    """A place, and who sits there."""

    key: str
    management: str
    name: str
    site: str
    labels: dict[str, str]
    generation: int
    occupant: str | None = Field(description="Serial number of the adapter in it.")
    version: int

    @classmethod
    def of(cls, entry: Entry, occupant: Adapter | None) -> EntryView:
        """View of a value."""
        return cls(
            key=entry.key,
            management=f"M-{entry.management_id}",
            name=entry.name,
            site=entry.site,
            labels=dict(entry.labels),
            generation=entry.generation,
            occupant=occupant.serial.shown if occupant else None,
            version=entry.version,
        )


class StandbyView(BaseModel):
    """A slot for a spare."""

    key: str
    management: str
    occupant: str | None
    unit: str | None = Field(description="Serial number of the unit that comes with the slot (MPC-1).")

    @classmethod
    def of(cls, standby: Standby, occupant: Adapter | None, unit: str | None) -> StandbyView:
        """View of a value."""
        return cls(
            key=standby.key,
            management=f"M-{standby.management_id}",
            occupant=occupant.serial.shown if occupant else None,
            unit=unit,
        )


class NewHop(Body):
    """A jump host on the way to an adapter. Its key is pinned here: nobody is there to look at a first contact."""

    host: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    username: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]*$")]
    password: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f]*$")]
    host_key: Annotated[str, StringConstraints(max_length=4096, pattern=r"^[a-z0-9@.-]+ [A-Za-z0-9+/=]+$")]
    profile: Literal["modern", "compat", "legacy"] = "modern"


class NewRest(Body):
    """A FortiGate's REST API: read first, with the command line where it cannot."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]*$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 443
    certificate: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="SHA-256 of its certificate in hex; left out: learnt at the first contact, then pinned.",
    )


class NewEndpoint(Body):
    """Where an adapter that is managed over SSH is reached. Credentials are stored sealed and never shown again."""

    host: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    username: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]*$")]
    password: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f]*$")]
    enable_password: (
        Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f]*$")] | None
    ) = None
    host_key: Annotated[str, StringConstraints(max_length=4096, pattern=r"^[a-z0-9@.-]+ [A-Za-z0-9+/=]+$")] | None = (
        Field(
            default=None, description="Public key in OpenSSH form; left out: learnt at the first contact, then pinned."
        )
    )
    profile: Literal["modern", "compat", "legacy"] = "modern"
    transport: Literal["ssh", "lane", "telnet"] = Field(
        default="ssh", description="lane: netmiko, for devices that asyncssh cannot talk to; telnet: all in clear."
    )
    jump: Annotated[list[NewHop], Field(max_length=4)] = []
    rest: NewRest | None = None
    aaa_domain: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,63}$")] | None = Field(
        default=None,
        description="Name of the server that knows the accounts: devices of one name are logged in to at most 5 times "
        "a second, and left alone together when two of them refuse us in a row.",
    )


class HopView(BaseModel):
    """A jump host without its credential."""

    host: str
    port: int
    username: str
    host_key: str | None
    profile: str


class RestView(BaseModel):
    """A REST API without its token."""

    port: int
    certificate: str | None


class EndpointView(BaseModel):
    """An endpoint without its credentials."""

    host: str
    port: int
    username: str
    host_key: str | None
    profile: str
    transport: str
    jump: list[HopView]
    rest: RestView | None
    aaa_domain: str | None


class NewPlace(Body):
    """Where the new adapter sits: any free slot of a management, or one named slot."""

    management: ManagementKey | None = None
    slot: Literal["entry", "standby"] = "entry"
    entry: EntryKey | None = None
    standby: StandbyKey | None = None


class NewAdapter(Body):
    """A registration by serial number."""

    serial_number: Serial
    contractor: ContractorKey
    service: Literal["mpc", "smfsx"]
    device_class: Literal["I", "II", "III"] | None = None
    model: Annotated[Name, Field(examples=["SEIL/X4"])]
    hardware: Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f]*$")] = ""
    path: Literal["arms", "ssh"] | None = None
    distribution_id: Annotated[str, StringConstraints(max_length=39)] | None = Field(
        default=None, examples=["0001-0000-0101-000B-0200-5EFF-FE00-5301"]
    )
    rented: bool | None = Field(default=None, description="smfsx only; left out: rented where the model can be.")
    endpoint: NewEndpoint | None = None
    place: NewPlace | None = None


class AdapterView(BaseModel):
    """An adapter: identity, life, and where it sits. `ls_key` is there once, in the answer to its registration."""

    serial_number: str
    contractor: str
    service: str
    device_class: str | None
    model: str
    family: str
    hardware: str
    path: str
    distribution_id: str | None
    life: str
    place: str | None = Field(description="Entry or standby it sits in.")
    registered_at: datetime
    version: int
    ls_key: str | None = Field(default=None, description="Key for the Location Server; shown once.")

    @classmethod
    def of(cls, adapter: Adapter, place: str | None, ls_key: str | None = None) -> AdapterView:
        """View of a value."""
        return cls(
            serial_number=adapter.serial.shown,
            contractor=f"K-{adapter.contractor_id}",
            service=adapter.service,
            device_class=adapter.device_class,
            model=adapter.model.name(adapter.service),
            family=adapter.model.family,
            hardware=adapter.hardware,
            path=adapter.path,
            distribution_id=adapter.distribution_id,
            life=adapter.life.value,
            place=place,
            registered_at=instant(adapter.registered_ms),
            version=adapter.version,
            ls_key=ls_key,
        )


class AdapterMove(Body):
    """Which adapter goes into the slot."""

    serial_number: Serial


class StandbyMove(AdapterMove):
    """Which adapter goes into the standby."""

    with_slot: bool = Field(
        default=False, description="It was delivered with the standby (mpc, class I): no line, due back with the slot."
    )


class Promotion(Body):
    """Which standby takes the entry's place."""

    standby: StandbyKey


class ChecklistView(BaseModel):
    """Onboarding checklist (MPC-7.1, SMF-8.1): control starts only when nothing is missing."""

    provided: list[str]
    missing: list[str]


class Tick(Body):
    """A checklist item is there."""

    note: Text = ""


class PlacementView(BaseModel):
    """Who sat where, and when."""

    serial_number: str
    slot: str
    since: datetime
    until: datetime | None
    cause: str

    @classmethod
    def of(cls, placement: Placement, serial: str) -> PlacementView:
        """View of a value."""
        return cls(
            serial_number=serial,
            slot=placement.slot_key,
            since=instant(placement.from_ms),
            until=None if placement.to_ms is None else instant(placement.to_ms),
            cause=placement.cause,
        )


class FactView(BaseModel):
    """One thing known."""

    at: datetime
    text: str
    source: str
    rule: str | None = None


class ExplanationView(BaseModel):
    """Why it is as it is, and what to do next."""

    subject: str
    word: str
    summary: str
    facts: list[FactView]
    next_action: str

    @classmethod
    def of(cls, explanation: Explanation) -> ExplanationView:
        """View of a value."""
        return cls(
            subject=explanation.subject,
            word=explanation.word,
            summary=explanation.summary,
            facts=[FactView(at=instant(f.at_ms), text=f.text, source=f.source, rule=f.rule) for f in explanation.facts],
            next_action=explanation.next_action,
        )


class NewApiKey(Body):
    """A key for a person or a program."""

    name: Name
    role: Literal["admin", "operator", "billing", "viewer", "contractor"]
    contractor: ContractorKey | None = Field(default=None, description="Whose key it is; with the role contractor.")
    company: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Number of the company that its holder works for, when work is delegated (SMF-18)."
    )


class ApiKeyView(BaseModel):
    """An API key; `key` is there once, in the answer that made it."""

    id: int
    name: str
    role: str
    contractor: str | None
    company: str | None
    created_at: datetime
    revoked_at: datetime | None
    key: str | None = None


class EventView(BaseModel):
    """Something that happened."""

    id: int
    kind: str
    at: datetime
    facts: dict[str, object]


class ModelView(BaseModel):
    """A model of the catalogue and the contract lines that offer it."""

    key: str
    names: dict[str, str]
    family: str
    dialect: str
    paths: list[str]
    lines: list[str]
