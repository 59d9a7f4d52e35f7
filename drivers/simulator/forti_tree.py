"""The simulated FortiGate's own configuration tree: statements, objects, tables, printing, secrets.

Deliberately not the controller's dialect, so that a mistake there is not made here too.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field


class Unclosed(Exception):
    """A quotation that goes on over the line end."""


def statement(text: str) -> list[str]:
    """The words of one statement; `"…"` and `'…'` hold blanks and line ends, a backslash takes the next one.

    Raises Unclosed when a quotation has no end yet. `#` begins a comment only as the first character.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    escaped = False
    for character in text:
        if escaped:
            word = [*(word or []), character]
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            if character == quote:
                quote = ""
            else:
                assert word is not None
                word.append(character)
        elif character in "\"'":
            quote, word = character, word or []
        elif character.isspace():
            if word is not None:
                words.append("".join(word))
                word = None
        else:
            word = word or []
            word.append(character)
    if quote or escaped:
        raise Unclosed
    if word is not None:
        words.append("".join(word))
    return words


@dataclass(slots=True)
class Obj:
    """Values by name, and what is configured inside: `config system interface` / `edit port1` / this."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    parts: dict[str, Section] = field(default_factory=dict)

    def copy(self) -> Obj:
        return Obj(
            {name: list(values) for name, values in self.fields.items()},
            {path: part.copy() for path, part in self.parts.items()},
        )


@dataclass(slots=True)
class Section:
    """`config <path>`: the values of an object, or the entries of a table, in order."""

    own: Obj = field(default_factory=Obj)
    entries: dict[str, Obj] = field(default_factory=dict)

    def copy(self) -> Section:
        return Section(self.own.copy(), {key: entry.copy() for key, entry in self.entries.items()})


GLOBAL = "global"
DOMAINS = "vdom"
"""With virtual domains these two sections hold all others."""


def is_divided(root: Obj) -> bool:
    """Whether the unit has virtual domains."""
    return DOMAINS in root.parts


def of_unit(root: Obj) -> Obj:
    """Where the sections of the whole unit stand: at the top, or in `config global`."""
    return root.parts.setdefault(GLOBAL, Section()).own if is_divided(root) else root


SECRET_FIELD = re.compile(
    r"(password|passwd|passphrase|psksecret|secret|key|secondary-key|tertiary-key|auth-pwd|priv-pwd|"
    r"ppk-secret|psksecret-remote|ppp-password|authpasswd|crypto-password|md5-key|sae-password)$"
)
TEXT_FIELD = re.compile(
    r"(.*-?name|alias|hostname|description|comments?|vdom|member|exclude-member|srcaddr6?|dstaddr6?|srcintf|"
    r"dstintf|service|interface|device|schedule|associated-interface|timezone|accprofile|category|poolname|"
    r"route-map-.*|update-source|match-ip-address|server|groups|users|contact-info|location|private-key|"
    r"certificate|buffer|proposal-text|zone)$"
)
BARE = re.compile(r"[\w./:+,-]+$")


class SecretCodec:
    """Writes the same secret differently each time, and reads each of its writings back (`ENC …`)."""

    def __init__(self, device_key: bytes) -> None:
        self._device_key = device_key

    def encode(self, clear: str) -> str:
        salt = secrets.token_bytes(8)
        return base64.b64encode(salt + self._mixed(salt, clear.encode("utf-8", "surrogateescape"))).decode()

    def decode(self, written: str) -> str:
        """The clear text of one of this device's own writings; another's stays as it is."""
        try:
            octets = base64.b64decode(written, validate=True)
            clear = self._mixed(octets[:8], octets[8:]).decode("ascii")
        except ValueError:
            return f"ENC {written}"
        return clear if clear.isprintable() else f"ENC {written}"

    def _mixed(self, salt: bytes, text: bytes) -> bytes:
        stream = hashlib.shake_256(self._device_key + salt).digest(len(text))
        return bytes(one ^ other for one, other in zip(text, stream, strict=True))


def fingerprint(clear: str) -> str:
    """A stable stand-in for a secret, for digests and the ground truth."""
    return f"<{hashlib.sha256(clear.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}>"


class Printer:
    """Prints the tree as `show` does. With a codec, secrets are salted anew; without, fingerprinted."""

    def __init__(self, codec: SecretCodec | None = None) -> None:
        self._codec = codec

    def tree(self, root: Obj) -> list[str]:
        """A whole configuration; with virtual domains first their list, then the unit, then each of them."""
        if not is_divided(root):
            return self.scope(root)
        domains = root.parts[DOMAINS].entries
        lines = ["config vdom", *(line for name in domains for line in (f"edit {_bare(name)}", "next")), "end"]
        lines += ["config global", *self.scope(of_unit(root)), "end"]
        for name, domain in domains.items():
            lines += ["config vdom", f"edit {_bare(name)}", *self.scope(domain), "end"]
        return lines

    def scope(self, scope: Obj) -> list[str]:
        """The sections of a unit, or of one of its domains."""
        return [line for path, part in scope.parts.items() for line in self.section(path, part, 0)]

    def section(self, path: str, part: Section, depth: int) -> list[str]:
        pad = " " * 4 * depth
        lines = [f"{pad}config {path}", *self.object(part.own, depth + 1)]
        for key, entry in part.entries.items():
            lines += [*self.entry(key, entry, depth + 1)]
        return [*lines, f"{pad}end"]

    def entry(self, key: str, entry: Obj, depth: int) -> list[str]:
        pad = " " * 4 * depth
        shown = key if key.isdigit() else quoted(key)
        return [f"{pad}edit {shown}", *self.object(entry, depth + 1), f"{pad}next"]

    def object(self, shown: Obj, depth: int) -> list[str]:
        pad = " " * 4 * depth
        lines = [f"{pad}set {name} {self._values(name, values)}" for name, values in shown.fields.items()]
        for path, part in shown.parts.items():
            lines += self.section(path, part, depth)
        return lines

    def _values(self, name: str, values: list[str]) -> str:
        if SECRET_FIELD.match(name):
            clear = " ".join(values)
            return f"ENC {self._codec.encode(clear) if self._codec else fingerprint(clear)}"
        as_text = TEXT_FIELD.match(name) is not None
        return " ".join(quoted(value) if as_text or not BARE.match(value) else value for value in values)


def _bare(name: str) -> str:
    return name if BARE.match(name) else quoted(name)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
