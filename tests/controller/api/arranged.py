"""For each operation of the API one request that must succeed, and what has to be there for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from controller.phonehome import certificates
from drivers.simulator.traffic import Profile, Traffic, ndjson
from tests.controller.api.phoning import phoning
from tests.controller.house import Fleet, House, Json, ok, serial
from tests.controller.routers import USERNAME, router
from tests.controller.waiting_here import until

PASSWORD = "correct horse"
AGENT = {"protocol": "snmp-v2c", "host": "127.0.0.1", "port": 9, "community": "nobody there"}
DAY_MS = 86_400_000
DAYS = 35


@dataclass(frozen=True, slots=True)
class Arranged:
    """The parts of a request."""

    path: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Seeded:
    """A fleet with everything that an operation may need."""

    fleet: Fleet
    management: str
    entry: str
    reachable: str
    """Serial number of the router in that entry."""
    running: str
    draft: str
    """What the router runs, and the same with one line changed."""
    link: int
    proposal: int
    report: str
    house: House


@contextmanager
def seeded(house: House) -> Iterator[Seeded]:
    """Make it, over REST. The router is on until the block ends."""
    fleet = Fleet(house.client())
    name = serial()
    with router(name, password=PASSWORD) as device:
        management = fleet.management(entries=4, standbys=2)
        place = {"management": management}
        endpoint = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": PASSWORD}
        fleet.register(fleet.ssh(serial_number=name, endpoint=endpoint, place=place))
        for item in ("line", "site", "installation", "other", "device"):
            ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
        entry = ok(fleet.api.get(f"/adapters/{name}"))["place"]
        ok(fleet.api.post(f"/adapters/{name}/identify"))
        running = device.running_text()
        draft = running.replace(" description uplink\n", " description uplink of Osaka\n")
        assert draft != running
        write(fleet, entry, draft)
        link, proposal, report = metered(fleet, management)
        yield Seeded(fleet, management, entry, name, running, draft, link, proposal, report, house)


def write(fleet: Fleet, entry: str, text: str) -> int:
    """Store a draft; its number."""
    return int(ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": text}]}))["id"])


def metered(fleet: Fleet, management: str) -> tuple[int, int, str]:
    """A link that was too busy for weeks: its number, that of the proposal drafted, and the key of a report."""
    unit = fleet.ssh(model="FortiGate", hardware="40F", place={"management": management})
    entry = fleet.register(unit)["place"]
    made = ok(fleet.api.post("/links", json={"entry": entry, "interface": "wan1", "line_type": "static"}))["id"]
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = end - timedelta(days=DAYS)
    for rate in ({"kind": "line", "down_bps": 10**9, "up_bps": 10**9}, {"kind": "model", "down_bps": 600_000_000}):
        body = {**rate, "valid_from": (start - timedelta(days=1)).date().isoformat(), "reason": "data sheet"}
        ok(fleet.api.post(f"/links/{made}/capacities", json=body))
    start_ms, end_ms = (int(at.timestamp() * 1000) for at in (start, end))
    readings = Traffic(Profile(14, "office", 10**9, 0.95), start_ms).readings(start_ms, end_ms)
    lines = b"".join(ndjson(entry, "wan1", readings))
    ok(fleet.api.post("/readings", content=lines, headers={"Content-Type": "application/x-ndjson"}))
    drafts = until(lambda: ok(fleet.api.get("/proposals", params={"entry": entry}))["items"], what="a proposal")
    day = (end - timedelta(days=3)).date().isoformat()
    report = ok(fleet.api.post("/reports", json={"link": made, "period": "day", "day": day}))
    return made, drafts[0]["id"], report["key"]


def plan(seed: Seeded) -> Json:
    """A new plan of the entry."""
    made: Json = ok(seed.fleet.api.post("/plans", json={"entry": seed.entry}))
    return made


def approved(seed: Seeded) -> int:
    """Number of a plan that may be started."""
    made = plan(seed)
    assert made["approvals_needed"] == 1, made["doubts"]
    ok(seed.fleet.api.post(f"/plans/{made['id']}/approve"))
    return int(made["id"])


def later(seed: Seeded) -> int:
    """Number of a push that is due in an hour."""
    due = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return int(ok(seed.fleet.api.post("/pushes", json={"plan": approved(seed), "not_before": due}))["id"])


def counted(seed: Seeded) -> Arranged:
    """A place whose counters are read by SNMP; nobody answers there, which is no error of the request."""
    ok(seed.fleet.api.put(f"/adapters/{seed.reachable}/counters", json=AGENT))
    return Arranged({"serial": seed.reachable}, headers=ANY)


FIGURES = {"model": "SEIL CA10", "forwarding_bps": 4 * 10**9, "ports": 6, "source": "measured in the laboratory"}


def entered(seed: Seeded) -> Arranged:
    """Figures of a model that an operator entered."""
    ok(seed.fleet.api.post("/model-figures", json=FIGURES))
    return Arranged({"hardware": "SEIL CA10"})


def quiet(seed: Seeded) -> Json:
    """A maintenance window of the entry."""
    now = datetime.now(UTC)
    window = {"start": now.isoformat(), "end": (now + timedelta(hours=1)).isoformat(), "daily": "02:00-02:45"}
    return {"entry": seed.entry, "kind": "bulk", "reason": "backup", **window}


def windowed(seed: Seeded) -> int:
    """Number of a maintenance window."""
    return int(ok(seed.fleet.api.post("/maintenance-windows", json=quiet(seed)))["id"])


def loose(seed: Seeded, **more: Any) -> str:
    """Serial number of a new adapter of class I that phones home; unseated unless `place` says otherwise."""
    return str(seed.fleet.register(seed.fleet.arms(**more))["serial_number"])


def own_authority() -> Mapping[str, Any]:
    """A new CA for adapters' certificates."""
    made = certificates.authority("Example SA CA", days=3650, now_ms=int(datetime.now(UTC).timestamp() * 1000))
    return {"role": "sa-ca", "certificate": made.certificate, "key": made.key.reveal()}


def alone(seed: Seeded, *, standby: bool = False) -> tuple[str, str, str]:
    """A new management with one entry and one standby: their keys, and the serial number of who sits there."""
    management = seed.fleet.management(entries=1, standbys=1)
    slot = "standby" if standby else "entry"
    sitting = loose(seed, place={"management": management, "slot": slot})
    (entry,), (spare,) = (seed.fleet.slots(noun, management) for noun in ("entries", "standbys"))
    return entry, spare, sitting


def empty_slot(seed: Seeded, noun: str) -> str:
    """A free entry or standby."""
    return seed.fleet.slots(noun, seed.fleet.management(entries=1, standbys=1))[0]


def startup(seed: Seeded) -> Arranged:
    """A place of a SEIL with a draft in its language."""
    entry, _, _ = alone(seed)
    write(seed.fleet, entry, "hostname: osaka\n")
    return Arranged({"key": entry})


def released(seed: Seeded) -> Arranged:
    """A place of a SEIL with a startup config."""
    place = startup(seed)
    ok(seed.fleet.api.post(f"/entries/{place.path['key']}/configs/startup"))
    return place


def suspended(seed: Seeded) -> Arranged:
    """A management that can be resumed."""
    key = seed.fleet.management()
    ok(seed.fleet.api.post(f"/managements/{key}/suspend", json={"ground": 1}))
    return Arranged({"key": key})


def consenting(seed: Seeded) -> Arranged:
    """A consent that can be withdrawn."""
    key, of = seed.fleet.management(), seed.fleet.contractor()
    ok(seed.fleet.api.post(f"/managements/{key}/consents", json={"contractor": of, "proof": "letter 5"}))
    return Arranged({"key": key, "contractor": of})


def promotion(seed: Seeded) -> Arranged:
    """An empty entry and a spare in the standby beside it."""
    entry, spare, _ = alone(seed, standby=True)
    return Arranged({"key": entry}, {"standby": spare})


def two_versions(seed: Seeded) -> Arranged:
    """Two drafts of one place."""
    one = write(seed.fleet, seed.entry, seed.running)
    return Arranged({"version_id": one, "other_id": write(seed.fleet, seed.entry, seed.draft)})


def reading(seed: Seeded) -> Arranged:
    """A line of the past, of a link that is known."""
    ok(seed.fleet.api.post("/links", json={"entry": seed.entry, "interface": "ge0"}))
    line = {"entry": seed.entry, "interface": "ge0", "at": "2026-10-18T00:00:00Z", "in_octets": 0, "out_octets": 0}
    rest = {"counter_bits": 64, "uptime_cs": 8_640_000, "source": "import"}
    return Arranged(body=json.dumps(line | rest) + "\n", media_type="text/plain")


def waiting(seed: Seeded) -> int:
    """Number of an operation on an adapter that is away."""
    body = {"adapter": alone(seed)[2], "kind": "reboot", "wait_s": 86_400}
    return int(ok(seed.fleet.api.post("/operations", json=body))["id"])


def dumped(seed: Seeded) -> Arranged:
    """An operation that has brought octets, from an adapter that was in contact for a moment."""
    with phoning(seed.house, seed.fleet) as name:
        number = ok(seed.fleet.api.post("/operations", json={"adapter": name, "kind": "dump-debug"}))["id"]
        until(lambda: ok(seed.fleet.api.get(f"/operations/{number}"))["result"], what="a dump")
    return Arranged({"operation_id": number})


def carried_out(seed: Seeded) -> int:
    """Number of an operation that is done, on the router."""
    body = {"adapter": seed.reachable, "kind": "read-status", "parameters": {"items": [{"text": "show clock"}]}}
    number = int(ok(seed.fleet.api.post("/operations", json=body))["id"])
    until(lambda: ok(seed.fleet.api.get(f"/operations/{number}"))["outcome"], what="the end of an operation")
    return number


def transcript(seed: Seeded) -> int:
    """Number of its transcript."""
    found = ok(seed.fleet.api.get("/transcripts", params={"operation": carried_out(seed)}))["items"]
    return int(found[0]["id"])


def endpoint(seed: Seeded) -> Json:
    """Where the router is reached."""
    found: Json = ok(seed.fleet.api.get(f"/adapters/{seed.reachable}/endpoint"))
    return found


def key_number(seed: Seeded) -> int:
    """Number of a key that may be revoked."""
    return int(ok(seed.fleet.api.post("/api-keys", json={"name": "short-lived", "role": "viewer"}))["id"])


def incident(seed: Seeded) -> int:
    """Number of an open incident."""
    return seed.house.incident(f"test {serial()}")


def applied(seed: Seeded) -> Json:
    """An application of a management and an adapter that waits for its decision."""
    items = [
        {"kind": "management", "name": "Osaka", "classes": ["I"], "entries": 2, "standbys": 1},
        {"kind": "adapter", "name": serial(), "device_class": "I", "model": "SEIL/X4"},
    ]
    body = {"contractor": seed.fleet.contractor(), "service": "mpc", "form": "as received", "items": items}
    made: Json = ok(seed.fleet.api.post("/applications", json=body))
    return made


def contracted(seed: Seeded) -> tuple[str, str]:
    """A management line and an adapter line in service."""
    body = {"billing_start": datetime.now(timezone(timedelta(hours=9))).date().isoformat()}
    done = ok(seed.fleet.api.post(f"/applications/{applied(seed)['id']}/accept", json=body))
    keys = {line["kind"]: line["key"] for line in done["lines"]}
    return keys["management"], keys["adapter"]


def mobile_access(seed: Seeded) -> str:
    """A mobile access in service, on an adapter line that has no unit yet."""
    items = [
        {"kind": "management", "name": "Osaka", "classes": ["I"], "entries": 1},
        {"kind": "adapter", "name": "edge", "device_class": "I", "model": "SA-W2L"},
        {"kind": "mobile-access", "on": "edge", "plan": "10GB"},
    ]
    form = {"contractor": seed.fleet.contractor(), "service": "mpc", "form": "as received", "items": items}
    number = ok(seed.fleet.api.post("/applications", json=form))["id"]
    start = {"billing_start": datetime.now(timezone(timedelta(hours=9))).date().isoformat()}
    lines = ok(seed.fleet.api.post(f"/applications/{number}/accept", json=start))["lines"]
    return str(next(line["key"] for line in lines if line["kind"] == "mobile-access"))


def noticed(seed: Seeded) -> Arranged:
    """A line with a notice that can be taken back."""
    key = contracted(seed)[1]
    ok(seed.fleet.api.post(f"/contracts/{key}/events", json={"event": "notice"}))
    rows = ok(seed.fleet.api.get(f"/contracts/{key}/events"))["items"]
    number = next(row["id"] for row in rows if row["event"] == "notice")
    return Arranged({"key": key, "event_id": number}, {"reason": "it was for another line"})


def company(seed: Seeded) -> int:
    """Number of a company."""
    return int(ok(seed.fleet.api.post("/companies", json={"name": "Works KK", "relation": "delegate"}))["id"])


RESTRICTION = {"kind": "restriction", "service": "mpc", "facts": {"what": "no pushes", "reason": "earthquake"}}


def record(seed: Seeded) -> int:
    """Number of a record."""
    return int(ok(seed.fleet.api.post("/records", json=RESTRICTION))["id"])


def days(seed: Seeded) -> Mapping[str, str]:
    """A range of days with readings."""
    today = datetime.now(UTC).date()
    return {"first": (today - timedelta(days=9)).isoformat(), "after": (today - timedelta(days=2)).isoformat()}


PRICE = {"service": "smfsx", "item": "entry", "fee": "monthly", "yen": 3_000, "first_day": "2020-01-01"}
PRICE_FILE = "contractor,service,item,fee,yen,first_day\n,smfsx,standby,monthly,1000,2020-01-01\n"
MONTH = {"month": "2026-01"}


def outage(seed: Seeded, *, began_h: int = 30, over: bool = False, claimed: bool = False) -> int:
    """Number of an outage that began so many hours ago; its price is known, so that a credit can be told."""
    key = seed.fleet.contractor()
    ok(seed.fleet.api.post("/price-lists", json={"prices": [PRICE | {"contractor": key}]}))
    made = ok(seed.fleet.api.post("/managements", json={"contractor": key, "service": "smfsx", "entry_count": 1}))
    ago = {hours: (datetime.now(UTC) - timedelta(hours=hours)).isoformat() for hours in (1, began_h)}
    number = int(ok(seed.fleet.api.post("/outages", json={"management": made["key"], "began": ago[began_h]}))["id"])
    if over:
        learnt = {"what": "ended", "at": ago[1], "reason": "seen again"}
        ok(seed.fleet.api.post(f"/outages/{number}/facts", json=learnt))
    if claimed:
        ok(seed.fleet.api.post(f"/outages/{number}/claim", json={}))
    return number


def new_outage(seed: Seeded) -> Arranged:
    """An outage that began a while ago."""
    began = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    return Arranged(body={"management": seed.fleet.management(), "began": began, "reason": "power of the site"})


def learnt_end(seed: Seeded) -> Arranged:
    """Its end is learnt."""
    body = {"what": "ended", "at": datetime.now(UTC).isoformat(), "reason": "seen again"}
    return Arranged({"outage_id": outage(seed)}, body)


DAMAGE = {"what": "damage", "day": "2026-01-10", "cost_yen": 7_000, "reason": "dropped"}


def unit_charge(seed: Seeded) -> Arranged:
    """A charge that is taken back."""
    made = ok(seed.fleet.api.post(f"/adapters/{loose(seed)}/charges", json=DAMAGE))
    return Arranged({"charge_id": made["id"]}, {"reason": "it was a fault of ours"})


def contract_file(seed: Seeded) -> Arranged:
    """A dry run of one line."""
    header = "application,contractor,service,concluded,billing_start,kind,name,entries,standbys\n"
    row = f"7,{seed.fleet.contractor()},smfsx,2024-01-10,2024-02-01,management,Kobe,3,1\n"
    return Arranged(body={"text": header + row})


def scheduled(seed: Seeded) -> str:
    """Id of a new schedule of daily reports."""
    name = f"daily-{serial()}"
    ok(seed.fleet.api.post("/report-schedules", json={"id": name, "link": seed.link, "period": "day"}))
    return name


def recipient(seed: Seeded) -> Arranged:
    """A folder that a schedule writes to."""
    name = scheduled(seed)
    made = ok(seed.fleet.api.post(f"/report-schedules/{name}/recipients", json={"way": "folder", "target": "tokyo"}))
    return Arranged({"schedule": name, "recipient_id": made["id"]})


def undelivered(seed: Seeded) -> Arranged:
    """A report that a webhook has refused."""
    name = scheduled(seed)
    hook = {"way": "webhook", "target": f"{seed.house.url}/nothing"}
    ok(seed.fleet.api.post(f"/report-schedules/{name}/recipients", json=hook))
    key = ok(seed.fleet.api.post("/reports", json={"schedule": name, "day": days(seed)["first"]}))["key"]
    query = {"report": key, "state": "failed"}
    failed = until(lambda: ok(seed.fleet.api.get("/report-deliveries", params=query))["items"], what="a refusal")
    return Arranged({"delivery_id": failed[0]["id"]})


ANY = {"If-Match": "*"}
SOON = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
ENDPOINT = {"host": "127.0.0.1", "port": 9, "username": "admin", "password": "another horse"}

ARRANGED: Mapping[str, Callable[[Seeded], Arranged]] = {
    "create_contractor": lambda _: Arranged(body={"name": "Example KK"}),
    "list_contractors": lambda _: Arranged(query={"text": "fleet", "limit": 1}),
    "read_contractor": lambda s: Arranged({"key": s.fleet.contractor()}),
    "create_management": lambda s: Arranged(
        body={"contractor": s.fleet.contractor(), "service": "smfsx", "entry_count": 2, "standby_count": 1}
    ),
    "list_managements": lambda s: Arranged(query={"contractor": s.fleet.contractor()}),
    "read_management": lambda s: Arranged({"key": s.management}),
    "change_counts": lambda s: Arranged(
        {"key": s.fleet.management()}, {"entry_count": 3, "valid_from": SOON}, headers=ANY
    ),
    "suspend": lambda s: Arranged({"key": s.fleet.management()}, {"ground": 2}),
    "resume": suspended,
    "list_consents": lambda s: Arranged({"key": s.fleet.management()}),
    "give_consent": lambda s: Arranged(
        {"key": s.fleet.management()}, {"contractor": s.fleet.contractor(), "proof": "letter 4"}
    ),
    "withdraw_consent": consenting,
    "create_application": lambda s: Arranged(
        body={
            "contractor": s.fleet.contractor(),
            "service": "smfsx",
            "form": "as received",
            "items": [{"kind": "management", "entries": 2, "standbys": 1}],
        }
    ),
    "list_applications": lambda s: Arranged(query={"contractor": s.fleet.contractor()}),
    "read_application": lambda s: Arranged({"application_id": applied(s)["id"]}),
    "accept_application": lambda s: Arranged({"application_id": applied(s)["id"]}, {"billing_start": SOON}),
    "refuse_application": lambda s: Arranged({"application_id": applied(s)["id"]}, {"reason": 2}),
    "withdraw_application": lambda s: Arranged({"application_id": applied(s)["id"]}),
    "list_contracts": lambda s: Arranged(query={"contractor": s.fleet.contractor(), "kind": "adapter"}),
    "read_contract": lambda s: Arranged({"key": contracted(s)[0]}, query={"as_of": SOON}),
    "explain_contract": lambda s: Arranged({"key": contracted(s)[1]}),
    "list_contract_events": lambda s: Arranged({"key": contracted(s)[1]}),
    "record_contract_event": lambda s: Arranged(
        {"key": contracted(s)[0]}, {"event": "suspend", "ground": 2, "emergency": True}
    ),
    "void_contract_event": noticed,
    "link_contract_unit": lambda s: Arranged({"key": contracted(s)[1]}, {"serial_number": loose(s)}),
    "create_record": lambda _: Arranged(body=RESTRICTION),
    "list_records": lambda _: Arranged(query={"kind": "restriction"}),
    "read_record": lambda s: Arranged({"record_id": record(s)}),
    "create_company": lambda _: Arranged(body={"name": "Works KK", "relation": "subsidiary"}),
    "list_companies": lambda _: Arranged(),
    "end_company": lambda s: Arranged({"company_id": company(s)}),
    "list_entries": lambda s: Arranged(query={"management": s.management, "occupied": True}),
    "read_entry": lambda s: Arranged({"key": s.entry}),
    "change_entry": lambda s: Arranged({"key": s.entry}, {"name": "Osaka", "labels": {"city": "Osaka"}}, headers=ANY),
    "assign": lambda s: Arranged({"key": empty_slot(s, "entries")}, {"serial_number": loose(s)}),
    "promote": promotion,
    "entry_history": lambda s: Arranged({"key": s.entry}),
    "list_standbys": lambda s: Arranged(query={"management": s.management}),
    "read_standby": lambda s: Arranged({"key": empty_slot(s, "standbys")}),
    "assign_standby": lambda s: Arranged(
        {"key": empty_slot(s, "standbys")}, {"serial_number": loose(s), "with_slot": True}
    ),
    "register": lambda s: Arranged(body=s.fleet.arms()),
    "list_adapters": lambda s: Arranged(query={"service": "mpc", "path": "ssh", "seated": True}),
    "read_adapter": lambda s: Arranged({"serial": s.reachable}),
    "explain_adapter": lambda s: Arranged({"serial": s.reachable}),
    "adapter_history": lambda s: Arranged({"serial": s.reachable}),
    "release": lambda s: Arranged({"serial": alone(s)[2]}),
    "identify": lambda s: Arranged({"serial": s.reachable}),
    "clear_quarantine": lambda s: Arranged({"serial": s.reachable}),
    "forget_host_key": lambda s: Arranged({"serial": s.reachable}),
    "live": lambda s: Arranged({"serial": loose(s), "event": "failure-reported"}),
    "read_checklist": lambda s: Arranged({"serial": s.reachable}),
    "tick": lambda s: Arranged({"serial": loose(s), "item": "line"}, {"note": "seen"}),
    "read_endpoint": lambda s: Arranged({"serial": s.reachable}),
    "change_endpoint": lambda s: Arranged(
        {"serial": s.fleet.register(s.fleet.ssh())["serial_number"]}, ENDPOINT, headers=ANY
    ),
    "detect_family": lambda s: Arranged(
        body={name: endpoint(s)[name] for name in ("host", "port", "username")} | {"password": PASSWORD}
    ),
    "list_claims": lambda _: Arranged(),
    "list_boots": lambda s: Arranged({"serial": loose(s)}, query={"limit": 5}),
    "read_contact": lambda s: Arranged({"serial": loose(s)}),
    "read_receiver": lambda _: Arranged(),
    "read_heartbeats": lambda s: Arranged({"serial": loose(s)}),
    "read_statistics": lambda s: Arranged({"serial": s.reachable}),
    "shut_out": lambda s: Arranged({"serial": loose(s)}, {"reason": "stolen, says the police"}),
    "admit": lambda s: Arranged({"serial": loose(s)}),
    "read_keys": lambda s: Arranged({"serial": loose(s)}),
    "rotate_key": lambda s: Arranged({"serial": loose(s)}, {"key": "rs", "deadline_s": 3600}),
    "allow_legacy_tls": lambda s: Arranged({"serial": loose(s)}, {"allowed": False}),
    "read_pki": lambda _: Arranged(),
    "read_root": lambda _: Arranged(),
    "import_authority": lambda _: Arranged({}, own_authority()),
    "write_working": lambda s: Arranged({"key": s.entry}, {"modules": [{"text": s.draft}], "reason": "a new name"}),
    "release_startup": startup,
    "read_startup": released,
    "read_modules": lambda s: Arranged({"key": s.entry}),
    "change_modules": lambda s: Arranged(
        {"key": alone(s)[0]}, {"modules": [{"id": 0, "version": "5.66.0-0"}]}, headers=ANY
    ),
    "list_configs": lambda s: Arranged({"key": s.entry}, query={"kind": "working"}),
    "read_config": lambda s: Arranged({"version_id": write(s.fleet, s.entry, s.draft)}),
    "diff_configs": two_versions,
    "make_plan": lambda s: Arranged(body={"entry": s.entry}),
    "list_plans": lambda s: Arranged(query={"entry": s.entry}),
    "read_plan": lambda s: Arranged({"plan_id": plan(s)["id"]}),
    "explain_plan": lambda s: Arranged({"plan_id": plan(s)["id"]}),
    "recompute_plan": lambda s: Arranged({"plan_id": plan(s)["id"]}),
    "approve": lambda s: Arranged({"plan_id": plan(s)["id"]}),
    "start_push": lambda s: Arranged(
        body={"plan": approved(s), "not_before": (datetime.now(UTC) + timedelta(hours=2)).isoformat()}
    ),
    "list_pushes": lambda s: Arranged(query={"entry": s.entry}),
    "read_push": lambda s: Arranged({"push_id": later(s)}),
    "read_journal": lambda s: Arranged({"push_id": later(s)}),
    "explain_push": lambda s: Arranged({"push_id": later(s)}),
    "cancel_push": lambda s: Arranged({"push_id": later(s)}),
    "start_operation": lambda s: Arranged(
        body={"adapter": alone(s)[2], "kind": "ping", "parameters": {"address": "192.0.2.1", "count": 2}}
    ),
    "start_operations": lambda s: Arranged(
        body={"adapters": [s.reachable], "kind": "ping", "parameters": {"address": "192.0.2.1", "count": 1}}
    ),
    "list_operations": lambda s: Arranged(query={"adapter": s.reachable, "kind": "ping", "state": "waiting"}),
    "read_operation": lambda s: Arranged({"operation_id": waiting(s)}),
    "read_operation_file": dumped,
    "explain_operation": lambda s: Arranged({"operation_id": waiting(s)}),
    "cancel_operation": lambda s: Arranged({"operation_id": waiting(s)}),
    "list_transcripts": lambda s: Arranged(query={"adapter": s.reachable, "entry": s.entry}),
    "read_transcript": lambda s: Arranged({"transcript_id": transcript(s)}),
    "read_push_transcripts": lambda s: Arranged({"push_id": later(s)}),
    "read_operation_transcripts": lambda s: Arranged({"operation_id": carried_out(s)}),
    "import_readings": reading,
    "create_link": lambda s: Arranged(body={"entry": s.entry, "interface": "GigabitEthernet0/0"}),
    "list_links": lambda _: Arranged(query={"limit": 1}),
    "read_link": lambda s: Arranged({"link_id": s.link}),
    "change_link": lambda s: Arranged(
        {"link_id": s.link}, {"port_speed_bps": 10**9, "ifindex": None, "line_type": "static"}, headers=ANY
    ),
    "set_capacity": lambda s: Arranged(
        {"link_id": s.link},
        {"kind": "line", "down_bps": 2 * 10**9, "up_bps": 10**9, "valid_from": SOON, "reason": "faster"},
    ),
    "list_capacities": lambda s: Arranged({"link_id": s.link}),
    "read_congestion": lambda s: Arranged({"link_id": s.link}),
    "list_congestion": lambda _: Arranged(query={"level": 2}),
    "list_days": lambda s: Arranged({"link_id": s.link}, query=days(s)),
    "list_slots": lambda s: Arranged({"link_id": s.link}, query=days(s)),
    "explain_link": lambda s: Arranged({"link_id": s.link}),
    "read_p95": lambda s: Arranged({"link_id": s.link}, query={**days(s), "convention": "p95_of_sum"}),
    "list_months": lambda s: Arranged({"link_id": s.link}),
    "read_forecast": lambda s: Arranged({"link_id": s.link}),
    "list_alarms": lambda s: Arranged({"link_id": s.link}),
    "list_mobile_usage": lambda s: Arranged(query={"contractor": s.fleet.contractor(), "limit": 5}),
    "explain_mobile_usage": lambda s: Arranged({"key": mobile_access(s)}),
    "set_counters": lambda s: Arranged({"serial": s.reachable}, AGENT, headers=ANY),
    "read_counters": counted,
    "remove_counters": counted,
    "list_interfaces": lambda s: Arranged({"serial": s.reachable}),
    "create_window": lambda s: Arranged(body=quiet(s)),
    "list_windows": lambda s: Arranged(query={"entry": s.entry}),
    "read_window": lambda s: Arranged({"window_id": windowed(s)}),
    "cancel_window": lambda s: Arranged({"window_id": windowed(s)}, headers=ANY),
    "list_model_figures": lambda _: Arranged(query={"of": "SEIL/X4"}),
    "enter_model_figures": lambda _: Arranged(body=FIGURES),
    "withdraw_model_figures": entered,
    "list_proposals": lambda _: Arranged(query={"state": "draft"}),
    "read_proposal": lambda s: Arranged({"proposal_id": s.proposal}),
    "list_proposal_steps": lambda s: Arranged({"proposal_id": s.proposal}),
    "list_change_orders": lambda s: Arranged(query={"proposal": s.proposal}),
    "read_proposal_check": lambda s: Arranged({"link_id": s.link}),
    "decide_proposal": lambda s: Arranged({"proposal_id": s.proposal}, {"state": "sent"}, headers=ANY),
    "make_report": lambda s: Arranged(body={"link": s.link, "period": "day", "day": days(s)["first"]}),
    "list_reports": lambda _: Arranged(),
    "read_report": lambda s: Arranged(query={"key": s.report, "format": "csv"}),
    "create_schedule": lambda s: Arranged(body={"id": "weekly-tokyo", "link": s.link, "period": "week"}),
    "list_schedules": lambda _: Arranged(),
    "read_schedule": lambda s: Arranged({"schedule": scheduled(s)}),
    "end_schedule": lambda s: Arranged({"schedule": scheduled(s)}),
    "add_recipient": lambda s: Arranged({"schedule": scheduled(s)}, {"way": "folder", "target": "tokyo/weekly"}),
    "list_recipients": lambda s: Arranged({"schedule": scheduled(s)}),
    "remove_recipient": recipient,
    "list_deliveries": lambda s: Arranged(query={"state": "sent", "limit": 5}),
    "retry_delivery": undelivered,
    "list_price_rows": lambda _: Arranged(),
    "list_prices": lambda _: Arranged(query={"default": True}),
    "read_prices": lambda s: Arranged({"key": s.fleet.contractor()}, query={"on": "2026-01-01"}),
    "put_prices": lambda _: Arranged(body={"prices": [PRICE]}),
    "import_prices": lambda _: Arranged(body={"text": PRICE_FILE, "dry_run": False}),
    "import_contracts": contract_file,
    "read_line_amounts": lambda s: Arranged({"key": contracted(s)[1]}, query=MONTH),
    "read_contractor_amounts": lambda s: Arranged({"key": s.fleet.contractor()}, query=MONTH),
    "charge_unit": lambda s: Arranged({"serial_number": loose(s)}, DAMAGE),
    "take_back_charge": unit_charge,
    "record_outage": new_outage,
    "list_outages": lambda _: Arranged(query={"limit": 5}),
    "read_outage": lambda s: Arranged({"outage_id": outage(s)}),
    "learn_of_outage": learnt_end,
    "attribute_outage": lambda s: Arranged(
        {"outage_id": outage(s, began_h=3)}, {"attributable": True, "reason": "a fault of the core"}
    ),
    "claim_outage": lambda s: Arranged({"outage_id": outage(s, over=True)}, {"reason": "by letter"}),
    "decide_outage": lambda s: Arranged(
        {"outage_id": outage(s, over=True, claimed=True)}, {"attributable": True, "reason": "a fault of the core"}
    ),
    "list_deadlines": lambda _: Arranged(query={"days": 60}),
    "list_incidents": lambda _: Arranged(query={"state": "open", "kind": "client-loop"}),
    "read_incident": lambda s: Arranged({"incident_id": incident(s)}),
    "acknowledge_incident": lambda s: Arranged({"incident_id": incident(s)}, {"reason": "on my way"}),
    "close_incident": lambda s: Arranged({"incident_id": incident(s)}, {"reason": "the unit was replaced"}),
    "list_events": lambda _: Arranged(query={"kind": "adapter"}),
    "list_audit": lambda _: Arranged(query={"limit": 5}),
    "verify_audit": lambda _: Arranged(),
    "list_models": lambda _: Arranged(),
    "create_api_key": lambda _: Arranged(body={"name": "a program", "role": "viewer"}),
    "list_api_keys": lambda _: Arranged(),
    "revoke_api_key": lambda s: Arranged({"key_id": key_number(s)}),
}
