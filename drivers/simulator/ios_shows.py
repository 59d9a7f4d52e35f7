"""What a simulated IOS device answers to `show`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drivers.simulator.ios_edit import addresses, interface_name
from drivers.simulator.ios_tree import IosNode, differences, parse, render
from inventory.errors import ConfigSyntax

if TYPE_CHECKING:
    from drivers.simulator.ios_cli import IosDevice

TYPE_7 = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"
"""What type 7 secrets are mixed with on every IOS device, from a place on that the secret begins with."""
Show = Callable[["IosDevice", tuple[str, ...]], str]


def long_time(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%H:%M:%S} UTC {moment:%a %b} {moment.day} {moment:%Y}"


def version(device: IosDevice, _rest: tuple[str, ...]) -> str:
    """Version, model and serial number; `Processor board ID` is the serial's place (spec A.8)."""
    minutes = max(0, device.now_ms() - device.started_ms) // 60_000
    uptime = f"{minutes // 1440} days, {minutes // 60 % 24} hours, {minutes % 60} minutes"
    ports = sum(device.is_physical(node.text) for node in device.running.children)
    return (
        f"Cisco IOS XE Software, Version {device.version}\n"
        f"Cisco IOS Software, Simulated Router Software (SIM-UNIVERSALK9-M), Version {device.version}, "
        "RELEASE SOFTWARE (fc1)\n\n"
        f"{device.current_hostname()} uptime is {uptime}\n"
        "System returned to ROM by reload\n"
        'System image file is "bootflash:simulated.bin"\n\n'
        f"cisco {device.model} (1RU) processor with 1433997K/6147K bytes of memory.\n"
        f"Processor board ID {device.serial}\n"
        f"{ports} Ethernet interfaces\n"
        "32768K bytes of non-volatile configuration memory.\n\n"
        "Configuration register is 0x2102\n\n"
    )


def inventory(device: IosDevice, _rest: tuple[str, ...]) -> str:
    return (
        f'NAME: "Chassis", DESCR: "Cisco {device.model} Chassis"\n'
        f"PID: {device.model:<18}, VID: V01  , SN: {device.serial}\n\n"
    )


def running_config(device: IosDevice, rest: tuple[str, ...]) -> str:
    if rest and rest[0].startswith("int") and len(rest) > 1:
        line = f"interface {interface_name(''.join(rest[1:]))}"
        node = device.running.child(line)
        body = render(IosNode("", [node])) if node else "end\n"
        return f"Building configuration...\n\nCurrent configuration : {len(body)} bytes\n!\n{body}\n"
    body = _as_shown(device, render(device.running))
    lines = ["!", *["! a comment of no weight at all, and a long one"] * (device.faults.padding // 48)]
    if device.changed_ms is None:
        lines.append("! No configuration change since last restart")
    else:
        lines.append(f"! Last configuration change at {long_time(device.changed_ms)} by {device.changed_by}")
    if device.saved_ms is not None:
        lines.append(f"! NVRAM config last updated at {long_time(device.saved_ms)} by {device.username}")
    text = "\n".join([*lines, "!", body])
    return f"Building configuration...\n\nCurrent configuration : {len(text)} bytes\n{text}\n"


def _as_shown(device: IosDevice, body: str) -> str:
    """A configuration with what changes from one showing to the next."""
    if device.faults.resalted:
        body = re.sub(r"(?m)( 7 )([0-9A-F]{4,})$", lambda found: found[1] + _encoded(_decoded(found[2])), body)
    if device.faults.volatile_lines:
        body = body.removesuffix("end\n") + f"ntp clock-period {36027000 + secrets.randbelow(999)}\nend\n"
    return body


def _decoded(text: str) -> bytes:
    """The clear text of a type 7 secret."""
    salt, octets = int(text[:2]), bytes.fromhex(text[2:])
    return bytes(octet ^ TYPE_7[(salt + place) % len(TYPE_7)] for place, octet in enumerate(octets))


def _encoded(clear: bytes) -> str:
    """A type 7 secret with a salt of its own."""
    salt = secrets.randbelow(16)
    octets = bytes(octet ^ TYPE_7[(salt + place) % len(TYPE_7)] for place, octet in enumerate(clear))
    return f"{salt:02d}{octets.hex().upper()}"


def startup_config(device: IosDevice, _rest: tuple[str, ...]) -> str:
    body = _as_shown(device, render(device.startup))
    return f"Using {len(body)} out of 33554432 bytes\n!\n{body}\n"


def archive(device: IosDevice, _rest: tuple[str, ...]) -> str:
    path = device.archive_path()
    if path is None:
        return "Archive feature not enabled\n"
    listed = "".join(f"   {number:<9}{name}\n" for number, name in enumerate(device.archived, 1))
    return (
        "The maximum archive configurations allowed is 10.\n"
        f"There are currently {len(device.archived)} archive configurations saved.\n"
        f"The next archive file will be named {path}-<timestamp>-{len(device.archived)}\n"
        f" Archive #  Name\n{listed}"
    )


def rollback_timer(device: IosDevice, _rest: tuple[str, ...]) -> str:
    timer = device.timer
    if device.faults.timer_of:
        return f"Timer type: absolute timer\nTimer value: 10 min\nUser: {device.faults.timer_of}\n"
    if timer is None:
        return "No Rollback Confirmed Change pending\n"
    return (
        f"Time configured(or reconfigured): {long_time(timer.armed_ms)}\n"
        "Timer type: absolute timer\n"
        f"Timer value: {timer.minutes} min\n"
        f"User: {timer.user}\n"
    )


def config_differences(device: IosDevice, rest: tuple[str, ...]) -> str:
    """`+` lines are only in the second file; with one or none, startup or running stand in."""
    first = rest[0] if rest else "nvram:startup-config"
    second = rest[1] if len(rest) > 1 else "system:running-config"
    if len(rest) == 1:
        first, second = rest[0], "system:running-config"
    try:
        trees = [named_config(device, name) for name in (first, second)]
    except ConfigSyntax as error:
        return f"%Error: {error.message}\n"
    for name, tree in zip((first, second), trees, strict=True):
        if tree is None:
            return f"%Error opening {name} (File not found)\n"
    assert trees[0] is not None
    assert trees[1] is not None
    lines = differences(trees[0], trees[1])
    return "!Contextual Config Diffs:\n" + ("\n".join(lines) if lines else "!No changes were found") + "\n"


def named_config(device: IosDevice, name: str) -> IosNode | None:
    """The configuration that a file system name means, or None. Raises ConfigSyntax."""
    if name in ("system:running-config", "running-config"):
        return device.running.copy()
    if name in ("nvram:startup-config", "startup-config"):
        return device.startup.copy()
    text = device.flash.get(name.partition(":")[2])
    return None if text is None else parse(text)


def configuration_lock(device: IosDevice, _rest: tuple[str, ...]) -> str:
    holder = device.lock_seen() or device.lock_holder
    state = (
        f"Owner PID         : 87\nUser              : {holder}\nTTY               : 2\n"
        "Type              : EXCLUSIVE\nState             : LOCKED\n"
        if holder
        else "Owner PID         : -1\nUser              : unknown\nTTY               : -1\n"
        "Type              : NO LOCK\nState             : FREE\n"
    )
    return f"Parser Configure Lock\n---------------------\n{state}\n"


def logging(device: IosDevice, _rest: tuple[str, ...]) -> str:
    lines = "".join(f"{line}\n" for line in device.syslog)
    return f"Syslog logging: enabled\n\nLog Buffer (4096 bytes):\n\n{lines}"


def interface_brief(device: IosDevice, _rest: tuple[str, ...]) -> str:
    known = {name: str(address.ip) for name, address in reversed(list(addresses(device.running)))}
    rows = [f"{'Interface':<27}{'IP-Address':<16}OK? Method Status                Protocol"]
    for node in device.running.children:
        if node.text.startswith("interface "):
            name = node.text.split()[1]
            down = node.child("shutdown") is not None
            status = "administratively down down" if down else "up                    up"
            rows.append(f"{name:<27}{known.get(name, 'unassigned'):<16}YES NVRAM  {status}")
    return "\n".join(rows) + "\n"


def clock(device: IosDevice, _rest: tuple[str, ...]) -> str:
    return f"*{long_time(device.now_ms())}\n"


def flash(device: IosDevice, _rest: tuple[str, ...]) -> str:
    rows = [f"{n:>5}  -rw- {len(text):>10}  {name}" for n, (name, text) in enumerate(device.flash.items(), 1)]
    listed = "\n".join(rows) if rows else "No files in directory"
    used = sum(map(len, device.flash.values()))
    return f"Directory of flash:/\n\n{listed}\n\n8000000000 bytes total ({8_000_000_000 - used} bytes free)\n"


SHOWS: dict[str, Show] = {
    "show version": version,
    "show inventory": inventory,
    "show running-config": running_config,
    "show startup-config": startup_config,
    "show archive": archive,
    "show archive config rollback timer": rollback_timer,
    "show archive config differences": config_differences,
    "show configuration lock": configuration_lock,
    "show logging": logging,
    "show ip interface brief": interface_brief,
    "show clock": clock,
    "dir": flash,
}
IN_USER_MODE = frozenset({"show version", "show inventory", "show clock", "show ip interface brief"})


def piped(text: str, pipe: str) -> str:
    """`| include X`, `| exclude X`, `| begin X`, `| section X`; an unknown filter leaves nothing."""
    verb, _, wanted = pipe.strip().partition(" ")
    lines = text.splitlines(keepends=True)
    pattern = re.compile(wanted.strip() or ".")
    if verb and "include".startswith(verb):
        return "".join(line for line in lines if pattern.search(line))
    if verb and "exclude".startswith(verb):
        return "".join(line for line in lines if not pattern.search(line))
    if verb and "begin".startswith(verb):
        start = next((n for n, line in enumerate(lines) if pattern.search(line)), len(lines))
        return "".join(lines[start:])
    kept, inside = [], False
    for line in lines:
        inside = bool(pattern.search(line)) if not line.startswith(" ") else inside or bool(pattern.search(line))
        if inside:
            kept.append(line)
    return "".join(kept) if verb and "section".startswith(verb) else ""
