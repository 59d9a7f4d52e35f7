"""The secrets of 500 generated configs stand in no answer, difference, error, plan, transcript, log or file.

All 500 go through everything that turns a config into words; some of them in every run, all in `make test-deep`, also
through the daemon.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from drivers import plan
from drivers.dialects import dialect
from drivers.registry import driver
from drivers.sessions.transcript import Mask, Words
from inventory.errors import BadInput, ConfigSyntax
from inventory.plans import ConfigText
from tests.controller.house import Fleet, House, Json, ok, serial
from tests.controller.routers import USERNAME, router
from tests.controller.waiting_here import until
from tests.deep.depth import sample
from tests.drivers.dialects.test_secrets import PLACES

pytestmark = pytest.mark.slow
CONFIGS = 500
SEED = 20261122
FAMILIES = {"indented": "ios", "block": "fortios", "statements": "seil", "key-value": "recipe"}


@dataclass(frozen=True)
class Generated:
    """A config with its secrets in clear, the same with other secrets and another name, and a beginning of it."""

    dialect: str
    text: str
    changed: str
    broken: str
    secrets: tuple[str, ...]


def generated(count: int = CONFIGS) -> list[Generated]:
    """The same configs in every run; each secret is in one of them only."""
    dice = random.Random(SEED)
    return [_generated(dice, number) for number in range(count)]


def _generated(dice: random.Random, number: int) -> Generated:
    name = list(PLACES)[number % len(PLACES)]
    places = dice.sample(PLACES[name], dice.randint(3, 7))
    secrets = [[f"{kind}{dice.getrandbits(96):024x}" for _ in places] for kind in ("Pl", "Qm")]
    text, changed = (
        "".join(place.replace("{}", secret) + "\n" for place, secret in zip(places, some, strict=True))
        for some in secrets
    )
    if name == "indented":
        text, changed = (f"version 15.2\nhostname r{at}\n{each}end\n" for at, each in enumerate((text, changed)))
    return Generated(name, text, changed, text[: dice.randint(10, len(text))], (*secrets[0], *secrets[1]))


def told(one: Generated) -> Iterator[str]:
    """Everything that is said of a config to people and to logs."""
    d, family = dialect(one.dialect), driver(FAMILIES[one.dialect])
    for text in (one.text, one.changed, one.broken):
        yield d.redact(text)
        mask = Mask((), d.redact)
        mask.learn(text)
        yield from (mask(line) for line in text.splitlines() if "PRIVATE KEY" not in text)
        try:
            d.parse(text)
        except (BadInput, ConfigSyntax) as error:
            yield f"{error.message} {error.next_step} {error.facts!r} {error!r}"
    computed = plan.compute(family, ConfigText.single(one.text), ConfigText.single(one.changed))
    yield from (computed.diff_shown, computed.proof, repr(computed.management_path))
    yield from (*computed.remediation_shown, *computed.rollback_shown)
    typed, mask = Words(), Mask((), d.redact)
    mask.learn("\n".join(computed.remediation))
    for line in computed.remediation:
        typed(">", mask(typed.brief(line)))
        typed("<", mask(typed.brief(f"% Invalid input: {line}")))
    yield typed.take()
    yield plan.difference_shown(family, ConfigText.single(one.text), ConfigText.single(one.changed))


def found(one: Generated, text: str) -> list[str]:
    """The secrets of a config that stand in a text."""
    return [secret for secret in one.secrets if secret in text]


def test_nothing_that_is_said_of_a_config_holds_one_of_its_secrets() -> None:
    leaks = [(number, text[:200]) for number, one in enumerate(generated()) for text in told(one) if found(one, text)]
    assert leaks == []


def test_the_daemon_tells_none_of_them(house: House, fleet: Fleet) -> None:
    some: Sequence[Generated] = sample(generated(), generated(24))
    said: list[tuple[str, str]] = []

    def listen(answer: httpx.Response) -> None:
        said.append((str(answer.request.url), answer.read().decode("utf-8", "replace")))

    api = house.client()
    api.event_hooks["response"].append(listen)
    bodies: dict[str, Json] = {
        "indented": fleet.ssh(),
        "block": fleet.ssh(model="FortiGate"),
        "statements": fleet.arms(model="SEIL BPV4"),
        "key-value": fleet.arms(),
    }
    entries = {
        name: fleet.register({**body, "place": {"management": fleet.management()}})["place"]
        for name, body in bodies.items()
    }
    for one in some:
        _stored(api, f"/entries/{entries[one.dialect]}", one)
    assert len(said) >= 6 * len(some)
    written = house.log.read_text(encoding="utf-8", errors="replace")
    files = b"".join(path.read_bytes() for path in house.directory.glob("*.db*"))
    for one in some:
        assert [where for where, text in said if found(one, text)] == []
        assert found(one, written) == []
        assert [secret for secret in one.secrets if secret.encode() in files] == []


def _stored(api: httpx.Client, entry: str, one: Generated) -> None:
    """Store it, change it, store a broken one, and look at all that came of it."""
    for text in (one.text, one.changed):
        ok(api.put(f"{entry}/configs/working", json={"modules": [{"text": text}]}))
    api.put(f"{entry}/configs/working", json={"modules": [{"text": one.broken}]})
    newest: list[Any] = ok(api.get(f"{entry}/configs", params={"limit": 3}))["items"]
    ok(api.get(f"/configs/{newest[0]['id']}"))
    api.get(f"/configs/{newest[0]['id']}/diff/{newest[-1]['id']}")


def test_none_of_those_that_are_pushed_stands_in_a_transcript(house: House, fleet: Fleet) -> None:
    """A line may well be refused by the router, which repeats it; the transcript has that, too."""
    every = [one for one in generated() if one.dialect == "indented"]
    said: list[tuple[str, str]] = []
    api = house.client()
    api.event_hooks["response"].append(lambda answer: said.append((str(answer.request.url), answer.read().decode())))
    other = house.client(ok(fleet.api.post("/api-keys", json={"name": "another", "role": "operator"}))["key"])
    name, pushed = serial(), 0
    with router(name) as device:
        endpoint = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": "correct horse"}
        body = fleet.ssh(serial_number=name, endpoint=endpoint, place={"management": fleet.management()})
        entry = fleet.register(body)["place"]
        for item in ("line", "site", "installation", "other", "device"):
            ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
        ok(fleet.api.post(f"/adapters/{name}/identify"))
        for one in sample(every, every[:3]):
            lines = "".join(line + "\n" for line in one.text.splitlines()[2:-1])
            text = device.running_text().removesuffix("end\n") + lines + "end\n"
            ok(api.put(f"/entries/{entry}/configs/working", json={"modules": [{"text": text}]}))
            made = api.post("/plans", json={"entry": entry})
            if not made.is_success:
                continue
            number = made.json()["id"]
            for person in (api, other)[: made.json()["approvals_needed"]]:
                ok(person.post(f"/plans/{number}/approve"))
            push = ok(api.post("/pushes", json={"plan": number}))["id"]
            until(partial(_over, api, push), what="the end of the push")
            pieces = ok(api.get(f"/pushes/{push}/transcripts"))
            assert pieces
            said += [("transcript", piece["words"]) for piece in pieces]
            ok(api.get("/transcripts", params={"push": push}))
            pushed += 1
    assert pushed >= 2
    written = house.log.read_text(encoding="utf-8", errors="replace")
    for one in sample(every, every[:3]):
        assert [where for where, text in said if found(one, text)] == []
        assert found(one, written) == []


def _over(api: httpx.Client, push: int) -> str | None:
    told: str | None = ok(api.get(f"/pushes/{push}"))["outcome"]
    return told
