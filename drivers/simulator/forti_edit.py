"""How a simulated FortiGate carries out configuration statements: contexts, checks, commits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drivers.simulator.forti_schema import (
    ANY_SHAPE,
    BUILT_IN,
    OF_DOMAIN,
    SHAPES,
    TUNNELS,
    Rule,
    Shape,
    as_ip_and_mask,
    fits,
)
from drivers.simulator.forti_tree import DOMAINS, GLOBAL, SECRET_FIELD, Obj, SecretCodec, Section, is_divided, of_unit

FIELD_NAME = re.compile(r"[A-Za-z][\w.-]*$")


class Failed(Exception):
    """A statement that was refused; `answer` is what the device says, line ends included."""

    def __init__(self, text: str, code: int) -> None:
        self.answer = f"{text}\nCommand fail. Return code {code}\n"
        super().__init__(self.answer)


def parse_error(word: str) -> Failed:
    return Failed(f"\ncommand parse error before '{word}'", -61)


def value_error(word: str) -> Failed:
    return Failed(f"\nvalue parse error before '{word}'", -651)


@dataclass(slots=True)
class Frame:
    """One open `config` or `edit`. `working` is what the statements change until it is committed."""

    kind: str
    name: str
    """Path of a section, key of an entry."""
    section: Section
    working: Obj
    parent: Obj
    shape: Shape
    is_new: bool = False


class Editor:
    """One user's contexts over the running tree. `committed` is called after each change that took effect.

    `lock` names the user who holds the objects, if any. With `strict` off (loading a file) values and references are
    taken as they come.

    With virtual domains every statement belongs to a scope, `config global` or a domain, that is entered first; `end`
    leaves it. As on the real unit, `edit` with a new name makes a domain.
    """

    def __init__(
        self,
        root: Obj,
        codec: SecretCodec,
        committed: Callable[[], None],
        *,
        strict: bool = True,
        lock: Callable[[], str] = lambda: "",
    ) -> None:
        self._top = root
        self._root = root
        self._scope = ""
        """Name of the open scope; `vdom` in the list of domains."""
        self._is_divided = strict and is_divided(root)
        self._codec = codec
        self._committed = committed
        self._strict = strict
        self._lock = lock
        self.frames: list[Frame] = []
        self._verbs: dict[str, Callable[[list[str]], None]] = {
            "config": self._config,
            "edit": self._edit,
            "set": self._set,
            "append": self._append,
            "unselect": self._unselect,
            "select": self._set,
            "unset": self._unset,
            "delete": self._delete,
            "rename": self._rename,
            "clone": self._clone,
            "move": self._move,
            "next": self._next,
            "end": self._end,
            "abort": self._abort,
        }

    @property
    def context(self) -> str:
        """What the prompt shows in brackets; empty at the top."""
        return self.frames[-1].name.split()[-1] if self.frames else self._scope

    @property
    def path(self) -> str:
        return " / ".join((*(self._scope,) * bool(self._scope), *(frame.name for frame in self.frames)))

    @property
    def scope(self) -> Obj | None:
        """Where the sections stand that can be shown and changed here; None outside of any scope."""
        return self._root if not self._is_divided or self._root is not self._top else None

    @property
    def in_domain(self) -> bool:
        """Whether what is of one domain can be done here."""
        return not self._is_divided or (self.scope is not None and self.scope is not of_unit(self._top))

    @property
    def in_unit(self) -> bool:
        """Whether what is of the whole unit can be done here."""
        return not self._is_divided or self.scope is of_unit(self._top)

    def confine(self, domain: str) -> None:
        """An administrator of one domain is in it from the first to the last."""
        self._is_divided = False
        self._root = self._top.parts[DOMAINS].entries[domain]

    def enter(self, name: str) -> bool:
        """Go into a scope that is there, as `sudo` does for one command; False if there is none of this name."""
        found = of_unit(self._top) if name == GLOBAL else self._top.parts[DOMAINS].entries.get(name)
        if found is None or not self._is_divided:
            return False
        self._root, self._scope = found, name
        return True

    def leave(self) -> None:
        """Out of the scope."""
        self._root, self._scope = self._top, ""

    def knows(self, verb: str) -> bool:
        return verb in self._verbs

    def carry_out(self, words: list[str]) -> None:
        """One statement. Raises Failed; an object that failed its check at `next`/`end` is then discarded and
        the context is one further out, as on the real unit."""
        verb, rest = words[0], words[1:]
        if not self.frames and self._is_divided and self._change_scope(verb, rest):
            return
        if not self.frames and verb not in ("config", "abort"):
            raise Failed("Unknown action 0", 1)
        self._verbs[verb](rest)

    def _change_scope(self, verb: str, rest: list[str]) -> bool:
        """Whether a statement outside of any section was one that changes the scope. Raises Failed."""
        domains = self._top.parts[DOMAINS].entries
        match verb, rest, self._scope:
            case "config", ["global"], "":
                self.enter(GLOBAL)
            case "config", ["vdom"], "":
                self._scope = DOMAINS
            case "config", _, "" | "vdom" if self._root is self._top:
                raise Failed(f"\ncommand parse error before '{' '.join(rest) or 'config'}'", 1)
            case "edit", [name], "vdom" if self._root is self._top:
                if name not in domains:
                    self._check_lock()
                    domains[name] = Obj()
                    self._committed()
                self._root, self._scope = domains[name], name
            case "delete", [name], "vdom" if self._root is self._top and name in domains:
                self._check_lock()
                del domains[name]
                self._committed()
            case "next", _, _ if self.scope is not None and self.in_domain:
                self._root, self._scope = self._top, DOMAINS
            case "end", _, _ if self._scope:
                self.leave()
            case "abort", _, _ if self._scope:
                raise Failed("Unknown action 0", 1)  # there is nothing to be dropped
            case _:
                return False
        return True

    # -- contexts -----------------------------------------------------------------------------------------

    def _config(self, rest: list[str]) -> None:
        if not rest:
            raise Failed("\nincomplete command in the end.", -160)
        path = " ".join(rest)
        if not self.frames:
            shape = SHAPES.get(path)
            if self._is_divided and bool(OF_DOMAIN.fullmatch(path)) != self.in_domain:
                shape = None
            if shape is None:
                if self._strict:
                    raise Failed(f"\ncommand parse error before '{rest[-1]}'", 1)
                shape = ANY_SHAPE
            parent = self._root
        else:
            if self.frames[-1].kind == "section" and self.frames[-1].shape.is_table:
                raise parse_error(rest[0])
            shape, parent = ANY_SHAPE, self.frames[-1].working
        section = parent.parts.get(path) or Section()
        self.frames.append(Frame("section", path, section, section.own.copy(), parent, shape))

    def _edit(self, rest: list[str]) -> None:
        table = self._section(rest)
        if table.shape is not ANY_SHAPE and not table.shape.is_table:
            raise parse_error(rest[0])
        key = rest[0]
        if key == "0" and (table.shape.numbered or len(self.frames) > 1):
            key = str(max((int(k) for k in table.section.entries if k.isdigit()), default=0) + 1)
        if table.shape.numbered and not key.isdigit():
            raise value_error(key)
        entry = table.section.entries.get(key)
        working = entry.copy() if entry else Obj()
        self.frames.append(Frame("entry", key, table.section, working, table.working, table.shape, entry is None))

    def _section(self, rest: list[str]) -> Frame:
        frame = self.frames[-1]
        if frame.kind != "section":
            raise parse_error(rest[0] if rest else "edit")
        if not rest:
            raise Failed("\nincomplete command in the end.", -160)
        return frame

    def _next(self, _rest: list[str]) -> None:
        if self.frames[-1].kind != "entry":
            raise Failed("Unknown action 0", 1)
        entry = self.frames.pop()
        self._check_required(entry)
        entry.section.entries[entry.name] = entry.working
        if self.frames[-1].name in TUNNELS and len(self.frames) == 1:
            self._make_interface(entry)
        self._attach(self.frames[-1])

    def _make_interface(self, tunnel: Frame) -> None:
        """A unit makes the interface of a tunnel by itself."""
        interfaces = of_unit(self._top).parts.setdefault("system interface", Section()).entries
        made = {
            "vdom": [self._scope or "root"],
            "type": ["tunnel"],
            "interface": tunnel.working.fields.get("interface", []),
        }
        interfaces.setdefault(tunnel.name, Obj({name: values for name, values in made.items() if values}))

    def _end(self, _rest: list[str]) -> None:
        failure: Failed | None = None
        if self.frames[-1].kind == "entry":
            try:
                self._next([])
            except Failed as error:
                failure = error
        frame = self.frames.pop()
        if failure:
            raise failure
        if frame.working.fields != frame.section.own.fields or frame.working.parts != frame.section.own.parts:
            self._check_lock()
            frame.section.own = frame.working
            self._attach(frame)
        elif frame.name not in frame.parent.parts and self.frames:
            self._attach(frame)

    def _attach(self, frame: Frame) -> None:
        """Hang a section that was touched where it belongs; at the top that makes it effective."""
        frame.parent.parts[frame.name] = frame.section
        if len(self.frames) <= 1:
            self._committed()

    def _check_required(self, entry: Frame) -> None:
        missing = next((name for name in entry.shape.required if not entry.working.fields.get(name)), None)
        if self._strict and missing and len(self.frames) == 1:
            raise Failed(
                f"node_check_object fail! for {missing}\n\nAttribute '{missing}' MUST be set.\n"
                "object check operator error, -56, discard the setting",
                -56,
            )
        self._check_lock()

    def _check_lock(self) -> None:
        holder = self._lock()
        if holder:
            raise Failed(
                f"The object is locked by administrator {holder}.\nobject set operator error, -37, discard the setting",
                -37,
            )

    def _abort(self, _rest: list[str]) -> None:
        self.frames.clear()

    # -- values -------------------------------------------------------------------------------------------

    def _object(self, rest: list[str], least: int) -> Frame:
        frame = self.frames[-1]
        if frame.kind == "section" and frame.shape.is_table:
            raise parse_error(rest[0] if rest else "set")
        if len(rest) < least:
            raise Failed("\nincomplete command in the end.", -160)
        if not FIELD_NAME.match(rest[0]) or (self._strict and frame.shape.closed and rest[0] not in frame.shape.rules):
            raise parse_error(rest[0])
        return frame

    def _set(self, rest: list[str]) -> None:
        frame = self._object(rest, 2)
        name, values = rest[0], rest[1:]
        if SECRET_FIELD.match(name) and values[0] == "ENC" and len(values) > 1:
            values = [self._codec.decode(values[1])]
        frame.working.fields[name] = self._checked(name, values, self._rule(frame, name))

    def _append(self, rest: list[str]) -> None:
        frame = self._object(rest, 2)
        present = frame.working.fields.get(rest[0], [])
        more = self._checked(rest[0], rest[1:], self._rule(frame, rest[0]))
        frame.working.fields[rest[0]] = [*present, *(value for value in more if value not in present)]

    def _unselect(self, rest: list[str]) -> None:
        frame = self._object(rest, 2)
        kept = [value for value in frame.working.fields.get(rest[0], []) if value not in rest[1:]]
        if kept:
            frame.working.fields[rest[0]] = kept
        else:
            frame.working.fields.pop(rest[0], None)

    def _unset(self, rest: list[str]) -> None:
        self._object(rest, 1).working.fields.pop(rest[0], None)

    def _rule(self, frame: Frame, name: str) -> Rule | None:
        return frame.shape.rules.get(name) if self._strict and len(self.frames) <= 2 else None

    def _checked(self, name: str, values: list[str], rule: Rule | None) -> list[str]:
        if rule is None:
            return self._tidy(name, values)
        if rule.kind == "ipmask":
            normal = as_ip_and_mask(values)
            if normal is None:
                raise value_error(values[0])
            return normal
        if len(values) > 1 and not rule.many:
            raise parse_error(values[1])
        for value in values:
            if rule.kind == "ref":
                self._check_reference(rule, value)
            elif not fits(rule, value):
                raise value_error(value)
        return values

    @staticmethod
    def _tidy(name: str, values: list[str]) -> list[str]:
        """Addresses with a prefix length become address and mask, wherever they are written so."""
        normal = as_ip_and_mask(values) if name in ("ip", "subnet", "dst", "prefix") else None
        return normal or values

    def _scopes(self) -> list[Obj]:
        """Where something may stand that what is here refers to, or that refers to what is here."""
        if not self._is_divided:
            return [self._root]
        unit = of_unit(self._top)
        return [unit, self._root] if self.in_domain else [unit, *self._top.parts[DOMAINS].entries.values()]

    def _check_reference(self, rule: Rule, value: str) -> None:
        for table in rule.tables:
            parts = [part for scope in self._scopes() if (part := scope.parts.get(table))]
            if table == "system vdom" and self._is_divided:
                if value in self._top.parts[DOMAINS].entries:
                    return
            elif value in BUILT_IN.get(table, ()) or any(value in part.entries for part in parts):
                return
        raise Failed(f"\nentry not found in datasource\n\nvalue parse error before '{value}'", -3)

    # -- entries ------------------------------------------------------------------------------------------

    def _entry_key(self, rest: list[str], words: int) -> tuple[Frame, str]:
        table = self._section(rest)
        if len(rest) < words:
            raise Failed("\nincomplete command in the end.", -160)
        if rest[0] not in table.section.entries:
            raise Failed(f"\nentry not found in table: '{rest[0]}'", -3)
        self._check_lock()
        return table, rest[0]

    def _delete(self, rest: list[str]) -> None:
        table, key = self._entry_key(rest, 1)
        tunnel = table.name in TUNNELS
        users = [*self._users(table.name, key), *(self._users("system interface", key) if tunnel else ())]
        used = len(users) if len(self.frames) == 1 else 0
        if used:
            raise Failed(f"\nThe entry is used by other {used} entries", -23)
        made = table.name == "system interface"
        if made and any(key in self._entries(scope, path) for scope in self._scopes() for path in TUNNELS):
            raise Failed(f"\nnode_check_object fail! for name {key}", -23)
        del table.section.entries[key]
        if tunnel:
            self._entries(of_unit(self._top), "system interface").pop(key, None)
        self._attach(table)

    @staticmethod
    def _entries(scope: Obj, path: str) -> dict[str, Obj]:
        part = scope.parts.get(path)
        return part.entries if part is not None else {}

    def purge(self) -> None:
        """Empty the table that is open; the caller has asked the user."""
        table = self._section(["purge"])
        self._check_lock()
        for key in [k for k in table.section.entries if not any(self._users(table.name, k))]:
            del table.section.entries[key]
        self._attach(table)

    def _users(self, path: str, key: str) -> Iterator[str]:
        """Every entry whose rules refer to `key` of the table `path`."""
        for other, shape in SHAPES.items():
            names = [name for name, rule in shape.rules.items() if path in rule.tables]
            if not names:
                continue
            for scope in self._scopes():
                for entry_key, entry in self._entries(scope, other).items():
                    if any(key in entry.fields.get(name, ()) for name in names):
                        yield f"{other} {entry_key}"

    def _rename(self, rest: list[str]) -> None:
        table, key = self._entry_key(rest, 3)
        new = rest[2]
        if rest[1] != "to" or new in table.section.entries:
            raise Failed(f"\nentry '{new}' already exists", -5)
        entries = table.section.entries
        table.section.entries = {new if k == key else k: entry for k, entry in entries.items()}
        self._refer_to(table.name, key, new)
        self._attach(table)

    def _refer_to(self, path: str, old: str, new: str) -> None:
        """Whoever meant the entry by its old name means it by the new one."""
        for other, shape in SHAPES.items():
            for name, rule in shape.rules.items():
                if path not in rule.tables:
                    continue
                for entry in (entry for scope in self._scopes() for entry in self._entries(scope, other).values()):
                    if old in entry.fields.get(name, ()):
                        entry.fields[name] = [new if v == old else v for v in entry.fields[name]]

    def _clone(self, rest: list[str]) -> None:
        table, key = self._entry_key(rest, 3)
        if rest[1] != "to" or rest[2] in table.section.entries:
            raise Failed(f"\nentry '{rest[2]}' already exists", -5)
        table.section.entries[rest[2]] = table.section.entries[key].copy()
        self._attach(table)

    def _move(self, rest: list[str]) -> None:
        table, key = self._entry_key(rest, 3)
        entries = table.section.entries
        if rest[1] not in ("before", "after") or rest[2] not in entries:
            raise Failed(f"\nentry not found in table: '{rest[2]}'", -3)
        keys = [k for k in entries if k != key]
        keys.insert(keys.index(rest[2]) + (rest[1] == "after"), key)
        table.section.entries = {k: entries[k] for k in keys}
        self._attach(table)
