"""The status page: plain HTML in the API's own words; nothing is fetched from elsewhere and no script runs."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.controller.api.arranged import write
from tests.controller.house import Fleet, House, ok, serving
from tests.controller.seated import seated

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def browser(house: House) -> Iterator[httpx.Client]:
    """A browser that knows the key."""
    with httpx.Client(base_url=house.url, auth=("anybody", house.key), trust_env=False, timeout=60) as made:
        yield made


def text(page: httpx.Response) -> str:
    """A page whose promises of form hold."""
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert page.headers["cache-control"] == "no-store"
    found = page.text
    tags = re.findall(r"<[a-z][^>]*>", found)
    assert not [tag for tag in tags if tag.startswith(("<script", "<iframe", "<img", "<form"))]
    assert not [tag for tag in tags if re.search(r"\s(?:src|on\w+)=", tag)]
    assert not [tag for tag in tags if re.search(r"\shref=(?!\"/[^/])", tag)]
    return html.unescape(found)


def test_a_browser_is_asked_for_the_key(house: House) -> None:
    for auth in (None, ("admin", ""), ("admin", "wrong" * 10)):
        answer = httpx.get(f"{house.url}/status", auth=auth, trust_env=False)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert "API key" in text(answer)
    for header in ("Basic !!!", "Basic", "Bearer x", "Basic /////w=="):
        answer = httpx.get(f"{house.url}/status", headers={"Authorization": header}, trust_env=False)
        assert answer.status_code == 401
    front = httpx.get(house.url, trust_env=False)
    assert (front.status_code, front.headers["location"]) == (307, "/status")
    assert httpx.get(f"{house.url}/static/kajitori.css", trust_env=False).headers["content-type"].startswith("text/css")


def test_the_page_says_what_the_api_says(browser: httpx.Client, fleet: Fleet) -> None:
    management = fleet.management()
    name = fleet.register(fleet.arms(place={"management": management}))["serial_number"]
    told = ok(fleet.api.get(f"/adapters/{name}/explain"))
    page = text(browser.get(f"/status/adapters/{name}"))
    for said in (told["summary"], told["next_action"], told["word"], *(one["text"] for one in told["facts"])):
        assert said in page
    for fact in told["facts"]:
        assert fact["at"][:19].replace("T", " ") in page
        assert fact["source"] in page


def test_a_link_and_its_explanation(browser: httpx.Client, fleet: Fleet) -> None:
    entry = fleet.register(fleet.ssh(place={"management": fleet.management()}))["place"]
    link = ok(fleet.api.post("/links", json={"entry": entry, "interface": "ge0"}))["id"]
    told = ok(fleet.api.get(f"/links/{link}/explain"))
    assert told["facts"]
    page = text(browser.get(f"/status/links/{link}"))
    assert told["summary"] in page
    assert told["next_action"] in page
    assert told["facts"][0]["source"] in page


def test_a_plan_is_shown_with_its_lines_its_doubts_and_its_push_and_without_its_secrets(
    browser: httpx.Client, fleet: Fleet
) -> None:
    secret = "Pl5e02d1c9f7"
    with seated(fleet) as (entry, device):
        wanted = device.running_text().replace(" description uplink\n", " description <b>uplink</b>\n shutdown\n")
        lines = f"snmp-server community {secret} RO\n"
        write(fleet, entry, wanted.replace("end\n", f"{lines}end\n"))
        made = ok(fleet.api.post("/plans", json={"entry": entry}))
    page = text(browser.get(f"/status/plans/{made['id']}"))
    rare = [f"{one['on']} of {one['of']}" for one in made["diff_lines"] if one["of"]]
    for said in (made["proof"], made["guard"], "0 of 2", *made["remediation"], *made["rollback"], *rare):
        assert said in page
    assert all(one["text"] in page for one in made["diff_lines"])
    assert made["management_path"][0]["reason"] in page
    assert "+ description <b>uplink</b>" in page
    assert "<b>" not in browser.get(f"/status/plans/{made['id']}").text
    assert secret not in page
    assert "snmp-server community ‹masked› RO" in page
    assert f'href="/status/plans/{made["id"]}"' in text(browser.get("/status"))

    ok(fleet.api.post(f"/plans/{made['id']}/approve"))
    other = ok(fleet.api.post("/api-keys", json={"name": f"second-{entry}", "role": "operator"}))["key"]
    second = {"Authorization": f"Bearer {other}"}
    ok(fleet.api.post(f"/plans/{made['id']}/approve", headers=second))
    month = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    push = ok(fleet.api.post("/pushes", json={"plan": made["id"], "not_before": month}))["id"]
    page = text(browser.get(f"/status/plans/{made['id']}"))
    assert "2 of 2" in page
    assert f"second-{entry}" in page
    assert "waits for its turn" in page
    assert f'href="/status/pushes/{push}"' in page
    assert f'href="/status/plans/{made["id"]}"' in text(browser.get(f"/status/pushes/{push}"))
    ok(fleet.api.post(f"/pushes/{push}/cancel"))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_real_browser_shows_a_plan_with_its_colours_and_complains_of_nothing(
    house: House, fleet: Fleet, tmp_path: Path
) -> None:
    with seated(fleet) as (entry, device):
        write(fleet, entry, device.running_text().replace(" description uplink\n", " description <b>up</b>\n"))
        made = ok(fleet.api.post("/plans", json={"entry": entry}))
    drawn = tmp_path / "plan.png"
    at = house.url.replace("://", f"://anybody:{house.key}@")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
            "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={drawn}", "--dump-dom",
            f"{at}/status/plans/{made['id']}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    shown = html.unescape(done.stdout)
    assert f"plan {made['id']}" in shown.lower()
    for said in (made["proof"], made["guard"], *made["remediation"], *made["rollback"]):
        assert said in shown
    assert "<b>" not in done.stdout, "markup in a configuration is text"
    assert "CONSOLE" not in done.stderr, done.stderr
    assert "Refused to" not in done.stderr, done.stderr
    assert drawn.stat().st_size > 10_000, "an empty page is smaller"


def test_what_is_not_there_is_a_page_too(browser: httpx.Client) -> None:
    for path in ("/status/adapters/NOBODY", "/status/pushes/999999", "/status/plans/999999", "/status/links/999999"):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert "Next:" in text(answer)


@pytest.mark.parametrize(
    "path", ["/status?after=" + "9" * 30, "/status?after=-1", "/status/pushes/0", "/status/links/x"]
)
def test_odd_numbers_harm_nobody(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).status_code == 422


def test_markup_in_a_name_is_text(browser: httpx.Client, fleet: Fleet) -> None:
    odd = "<img/src=x>&'\"" + fleet.arms()["serial_number"]
    fleet.register(fleet.arms(serial_number=odd))
    pages, after = "", 0
    while True:
        answer = browser.get("/status", params={"after": after})
        pages += text(answer)
        assert "<img" not in answer.text
        more = re.search(r"/status\?after=(\d+)", answer.text)
        if more is None:
            break
        after = int(more[1])
    assert odd in pages
    links = re.findall(r'href="(/status/adapters/%3Cimg[^"]+)"', browser.get("/status", params={"after": after}).text)
    assert len(links) == 1
    assert odd in text(browser.get(html.unescape(links[0])))


def test_the_manual_of_the_api_needs_nothing_from_elsewhere(house: House) -> None:
    page = text(httpx.get(f"{house.url}/api/docs", trust_env=False))
    assert "/api/v1/adapters/{serial}" in page


@pytest.mark.slow
def test_an_empty_fleet_and_one_of_three_hundred(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data") as house,
        httpx.Client(base_url=house.url, auth=("", house.key), trust_env=False, timeout=60) as browser,
    ):
        assert "No adapter is registered yet." in text(browser.get("/status"))
        fleet = Fleet(house.client())
        management = fleet.management(entries=300)
        names = [fleet.register(fleet.arms(place={"management": management}))["serial_number"] for _ in range(300)]
        first = browser.get("/status")
        assert first.elapsed.total_seconds() < 20
        page = text(first)
        assert "200 onboarding" in page
        assert all(name in page for name in names[:200])
        (more,) = re.findall(r'href="(/status\?after=\d+)"', first.text)
        rest = text(browser.get(more))
        assert all(name in rest for name in names[200:])
        assert names[0] not in rest.split("Last events")[0]
