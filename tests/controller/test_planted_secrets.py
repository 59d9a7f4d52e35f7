"""A planted secret is found in no log, error, difference, answer, page, event, audit row, nor in clear in any file."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.keyring import Keyring
from controller.store import identities, phonehome
from controller.store.database import Database
from tests.controller.house import Fleet, House, Json, environment, ok, refused, serial, serving
from tests.controller.routers import USERNAME, router
from tests.controller.waiting_here import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]
ITEMS = ("line", "site", "installation", "other")


class Planted:
    """Secrets by where they were planted, and everything that the daemon ever said."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.said: list[tuple[str, str]] = []

    def plant(self, where: str) -> str:
        """A new secret, unlike anything else."""
        self.secrets[where] = f"Pl{uuid.uuid4().hex}"
        return self.secrets[where]

    def listen(self, answer: httpx.Response) -> None:
        """Keep an answer; a key that is shown once is taken out of it, once."""
        text = answer.read().decode("utf-8", "replace")
        if answer.request.method == "POST" and answer.is_success and "json" in answer.headers["content-type"]:
            for field in ("ls_key", "key"):
                shown = json.loads(text).get(field)
                if isinstance(shown, str) and len(shown) >= 32:
                    self.secrets[f"{field} of {answer.request.url.path}"] = shown
                    text = text.replace(shown, "", 1)
        self.said.append((f"{answer.request.method} {answer.request.url}", text))

    def found(self, where: str, text: str | bytes) -> list[str]:
        """What of the secrets stands in a text."""
        raw = text if isinstance(text, bytes) else text.encode()
        return [f"{secret} in {where}" for secret, clear in self.secrets.items() if clear.encode() in raw]


@contextmanager
def phoning(house: House, ls_key: str) -> Iterator[None]:
    """A simulated SA-W2 that phones home, until the block ends."""
    command = sim(house, "--pace", "50")
    env = environment(house.directory, LS_KEY=ls_key)
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as device:
        try:
            yield
        finally:
            device.terminate()
            device.wait(20)


def sim(house: House, *more: str) -> list[str]:
    """The command of that device."""
    where = ["--root-ca", str(house.directory / "pki/arms-root-ca.crt"), "--ls-url"]
    url = f"https://127.0.0.1:{house.ports['ls']}/"
    return [sys.executable, "-m", "controller", "sim", "arms", *where, url, "--model", "SA-W2", *more]


def identity(house: House) -> Json:
    """Serial number and Distribution ID of that device."""
    ran = subprocess.run(
        [*sim(house), "--json"], env=environment(house.directory), capture_output=True, text=True, check=False
    )
    told: Json = json.loads(ran.stdout)
    return told


def test_planted_secrets_are_found_nowhere(tmp_path: Path) -> None:
    planted = Planted()
    ssh = planted.plant("SSH password")
    with serving(tmp_path / "data", LOG_LEVEL="debug") as house:
        api = house.client()
        api.event_hooks["response"].append(planted.listen)
        planted.secrets["admin key"] = house.key
        fleet = Fleet(api)
        name = serial()
        with router(name, password=ssh) as device:
            _pushed(planted, fleet, name, device.port, device.running_text())
            _refused(planted, fleet)
            _stored(planted, fleet)
            _phoned(planted, fleet, house)
            ok(api.post("/api-keys", json={"name": "another", "role": "viewer"}))
            _everything(planted, api, house)
        ok(api.get("/audit/verify"))
        assert house.stop() == 0
    asyncio.run(_sealed(planted, house.directory))
    assert len(planted.secrets) >= 18, sorted(planted.secrets)
    leaks = [leak for where, text in planted.said for leak in planted.found(where, text)]
    leaks += planted.found("the log", house.log.read_bytes())
    assert "debug" in house.log.read_text(encoding="utf-8")
    files = [path for path in house.directory.rglob("*") if path.is_file() and path.name != "admin.key"]
    assert {"kajitori.db", "traffic.db", "engine.db", "master.key"} <= {path.name for path in files}
    leaks += [leak for path in files for leak in planted.found(str(path), path.read_bytes())]
    assert leaks == []


def _pushed(planted: Planted, fleet: Fleet, name: str, port: int, running: str) -> None:
    """Secrets in a Cisco config that is planned and pushed to a router."""
    endpoint = {"host": "127.0.0.1", "port": port, "username": USERNAME, "password": planted.secrets["SSH password"]}
    endpoint["enable_password"] = planted.plant("enable password")
    body = fleet.ssh(serial_number=name, endpoint=endpoint, place={"management": fleet.management()})
    entry = fleet.register(body)["place"]
    for item in (*ITEMS, "device"):
        ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
    ok(fleet.api.post(f"/adapters/{name}/identify"))
    more = f"snmp-server community {planted.plant('SNMP community')} RO\n"
    more += f"username ops password 0 {planted.plant('Cisco user')}\n"
    more += f"crypto isakmp key {planted.plant('Cisco pre-shared key')} address 192.0.2.9\n"
    draft = running.replace("end\n", more + "end\n")
    ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": draft}]}))
    made = ok(fleet.api.post("/plans", json={"entry": entry}))
    assert "‹masked›" in made["diff"]
    assert "snmp-server community" in made["diff"]
    ok(fleet.api.post(f"/plans/{made['id']}/approve"))
    if made["approvals_needed"] == 2:
        second = ok(fleet.api.post("/api-keys", json={"name": "a second pair of eyes", "role": "operator"}))["key"]
        ok(fleet.api.post(f"/plans/{made['id']}/approve", headers={"Authorization": f"Bearer {second}"}))
    push = ok(fleet.api.post("/pushes", json={"plan": made["id"]}))["id"]
    ended = until(lambda: ok(fleet.api.get(f"/pushes/{push}"))["outcome"], what="the end of the push", deadline_s=60)
    assert ended == "done", ok(fleet.api.get(f"/pushes/{push}/explain"))["summary"]


def _refused(planted: Planted, fleet: Fleet) -> None:
    """Secrets in requests that are refused."""
    bad = fleet.ssh(password=planted.plant("password with a line end") + "\n")
    refused(fleet.api.post("/adapters", json=bad), 422, "bad-input")
    bad = fleet.ssh(password=planted.plant("password of an unknown model"), model="Cisco Nexus")
    refused(fleet.api.post("/adapters", json=bad), 422, "bad-input")
    bad = fleet.ssh()
    bad["endpoint"]["pasword"] = planted.plant("misspelt field")
    refused(fleet.api.post("/adapters", json=bad), 422, "bad-input")
    raw = f'{{"endpoint": {{"password": "{planted.plant("broken JSON")}'
    refused(fleet.api.post("/adapters", content=raw, headers={"Content-Type": "application/json"}), 422, "bad-input")
    made = fleet.register(fleet.ssh(password=planted.plant("password of a dead host")))
    refused(fleet.api.post(f"/adapters/{made['serial_number']}/identify"), 424, "unreachable")
    wrong = {"Authorization": f"Bearer {planted.plant('API key of nobody')}"}
    refused(fleet.api.get("/adapters", headers=wrong), 401, "unauthenticated")


def _stored(planted: Planted, fleet: Fleet) -> None:
    """Secrets in the other three dialects, stored, and in texts that do not parse."""
    forti = f'config vpn ipsec phase1-interface\n    edit "a"\n        set psksecret {planted.plant("FortiGate")}\n'
    seil = f'ike preshared-key add "192.0.2.1" "{planted.plant("SEIL")}"\n'
    recipe = f"ppp.0.password: {planted.plant('recipe')}\n"
    for body, text, broken in (
        (fleet.ssh(model="FortiGate"), forti + "    next\nend\n", forti),
        (fleet.arms(model="SEIL BPV4"), seil, seil.removesuffix('"\n') + "\n"),
        (fleet.arms(), recipe, recipe.replace(":", " ")),
    ):
        entry = fleet.register({**body, "place": {"management": fleet.management()}})["place"]
        for secret in (text, text.replace("Pl", "Other")):
            ok(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": secret}]}))
        modules = [{"text": broken}]
        refused(fleet.api.put(f"/entries/{entry}/configs/working", json={"modules": modules}), 422, "config-syntax")


def _phoned(planted: Planted, fleet: Fleet, house: House) -> None:
    """An adapter that phones home, pulls a config with secrets, and beats."""
    known = identity(house)
    place = {"management": fleet.management()}
    body = fleet.arms(**known, model="SA-W2", place=place)
    made = fleet.register(body)
    name = made["serial_number"]
    for item in ITEMS:
        ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
    text = f"hostname: osaka\nppp.0.password: {planted.plant('startup config')}\n"
    ok(fleet.api.put(f"/entries/{made['place']}/configs/working", json={"modules": [{"text": text}]}))
    ok(fleet.api.post(f"/entries/{made['place']}/configs/startup"))

    def beats() -> bool:
        return bool(ok(fleet.api.get(f"/adapters/{name}/contact"))["last_heartbeat_at"])

    with phoning(house, made["ls_key"]):
        until(beats, what="a heartbeat", deadline_s=60)
        _operated(planted, fleet, name)
        _rotated(planted, fleet, name)


def _rotated(planted: Planted, fleet: Fleet, name: str) -> None:
    """Keys that are replaced, the LS key shown once; a CA key that is refused."""
    for key in ("heartbeat", "certificate", "rs", "ls"):
        ok(fleet.api.post(f"/adapters/{name}/keys/rotate", json={"key": key}))
    ok(fleet.api.get(f"/adapters/{name}/keys"))
    until(lambda: _settled(fleet, name), what="the end of the rotation", deadline_s=60)
    ok(fleet.api.post(f"/adapters/{name}/keys/rotate", json={"key": "rs", "deadline_s": 3600}))
    ok(fleet.api.get(f"/adapters/{name}/explain"))
    bad = {"role": "root", "certificate": "no PEM", "key": planted.plant("CA key that is refused")}
    refused(fleet.api.post("/pki/import", json=bad), 422, "bad-input")


def _settled(fleet: Fleet, name: str) -> bool:
    """Whether the adapter, which phones home, has fetched its new RS key."""
    told = ok(fleet.api.get(f"/adapters/{name}/keys"))["keys"]
    return any((one["key"], one["state"]) == ("rs", "settled") for one in told)


def _outcome(fleet: Fleet, number: int) -> str | None:
    told: str | None = ok(fleet.api.get(f"/operations/{number}"))["outcome"]
    return told


def _operated(planted: Planted, fleet: Fleet, name: str) -> None:
    """Operations that bring the secret of the startup config back, or carry it there."""
    secret = planted.secrets["startup config"]
    asked: tuple[tuple[str, Json], ...] = (
        ("read-storage", {}),
        ("md-command", {"command": "show config"}),
        ("md-command", {"command": f"echo {secret}"}),
        ("read-status", {"items": [{"module": 0, "text": "show config"}, {"module": 4, "text": secret}]}),
        ("dump-debug", {}),
    )
    for kind, parameters in asked:
        number = ok(fleet.api.post("/operations", json={"adapter": name, "kind": kind, "parameters": parameters}))["id"]
        assert until(partial(_outcome, fleet, number), what=f"the end of {kind}", deadline_s=60) == "done"
        ok(fleet.api.get(f"/adapters/{name}/explain"))
        planted.listen(fleet.api.get(f"/operations/{number}/file"))
        ok(fleet.api.get(f"/operations/{number}/explain"))


def _everything(planted: Planted, api: httpx.Client, house: House) -> None:
    """Ask for everything that there is to read."""

    def items(path: str, **query: Any) -> Iterator[Json]:
        after: dict[str, str] = {}
        while True:
            page = ok(api.get(path, params={**query, **after}))
            yield from page["items"]
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    pages = ["/status", "/api/docs"]
    for one in list(items("/adapters")):
        pages.append(f"/status/adapters/{one['serial_number']}")
        for part in ("", "/explain", "/history", "/checklist", "/endpoint", "/contact"):
            api.get(f"/adapters/{one['serial_number']}{part}")
    for entry in list(items("/entries")):
        versions = [one["id"] for one in items(f"/entries/{entry['key']}/configs")]
        for number in versions:
            assert "modules" in ok(api.get(f"/configs/{number}"))
            for other in versions:
                api.get(f"/configs/{number}/diff/{other}")
    for plan in list(items("/plans")):
        ok(api.get(f"/plans/{plan['id']}"))
    for push in list(items("/pushes")):
        pages.append(f"/status/pushes/{push['id']}")
        for part in ("", "/journal", "/explain", "/transcripts"):
            ok(api.get(f"/pushes/{push['id']}{part}"))
        assert ok(api.get(f"/pushes/{push['id']}/transcripts")), "a push of which nothing is told"
    for one in list(items("/transcripts")):
        assert ok(api.get(f"/transcripts/{one['id']}"))["words"]
    for path in (
        "/operations",
        "/events",
        "/audit",
        "/claims",
        "/api-keys",
        "/contractors",
        "/managements",
        "/standbys",
    ):
        list(items(path))
    for path in pages:
        planted.listen(httpx.get(house.url + path, auth=("", house.key), trust_env=False, timeout=60))


async def _sealed(planted: Planted, directory: Path) -> None:
    """Secrets that the daemon made itself, unsealed with its key file."""
    keyring = Keyring.open(directory / "master.key")
    database = await Database.open(f"sqlite:///{directory / 'kajitori.db'}")
    try:
        async with database.read() as tx:
            contacts = await phonehome.contacts(tx)
            for one in await identities.by_adapter(tx, keyring, [contact.adapter_id for contact in contacts]):
                planted.secrets[f"RS key of {one.serial}"] = one.rs_key.reveal()
                planted.secrets[f"passphrase of {one.serial}"] = one.passphrase.reveal()
                for name, before in (("RS key", one.rs_keys.previous), ("passphrase", one.passphrases.previous)):
                    if before is not None:
                        planted.secrets[f"former {name} of {one.serial}"] = before.reveal()
    finally:
        await database.close()
