"""Parameter lists as dataclasses: each field says by an annotation where it stands in the XML.

    @dataclass(frozen=True, slots=True)
    class PingStart:
        address: Annotated[str, Text("address")]
        size: Annotated[int | None, Number("size")] = None

A field without a default is required. Unknown elements and attributes are skipped, as the clients do.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Protocol, TypeVar, get_type_hints

from drivers.arms import xml
from drivers.arms.xml import Element
from inventory.errors import ProtocolViolation
from inventory.secrets import Secret

_INTEGER = re.compile(r"\s*(-?[0-9]{1,10})\s*")
T = TypeVar("T")


def number(text: str, name: str) -> int:
    """A decimal integer of at most 31 bits and sign. Raises ProtocolViolation."""
    match = _INTEGER.fullmatch(text)
    if match is None or not -(2**31) <= int(match[1]) < 2**31:
        raise ProtocolViolation(f"{name} is no decimal integer of 32 bits", reason="malformed")
    return int(match[1])


class Writing:
    """One element being written: XML text, without a tree in between, for it is a large part of a pull's work."""

    __slots__ = ("_attributes", "_content", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._attributes = ""
        self._content: list[str] = []

    def attribute(self, name: str, value: str) -> None:
        """Add an attribute. Raises BadInput for a character that XML cannot carry; so do the others."""
        self._attributes += f' {name}="{xml.escaped_attribute(value, self._name)}"'

    def text(self, text: str) -> None:
        """Add text of the element's own."""
        self._content.append(xml.escaped_text(text, self._name))

    def child(self, name: str, text: str) -> None:
        """Add a child element that holds text alone."""
        self._content.append(f"<{name}>{xml.escaped_text(text, name)}</{name}>")

    def element(self, text: str) -> None:
        """Add a child element that is written already."""
        self._content.append(text)

    def done(self) -> str:
        """The element."""
        return f"<{self._name}{self._attributes}>{''.join(self._content)}</{self._name}>"


class Place(Protocol):
    """Where a field stands. `read` gives None when it is not there."""

    def read(self, element: Element) -> object | None:
        """The field's value in its element. Raises ProtocolViolation."""
        ...

    def write(self, value: Any, out: Writing) -> None:
        """Add the value to its element; the value is never None."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A child element with text."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        child = element.child(self.name)
        return None if child is None else child.text

    def write(self, value: str, out: Writing) -> None:
        """See `Place`."""
        out.child(self.name, value)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A child element whose text is a Secret."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        child = element.child(self.name)
        return None if child is None else Secret(child.text)

    def write(self, value: Secret, out: Writing) -> None:
        """See `Place`."""
        out.child(self.name, value.reveal())


@dataclass(frozen=True, slots=True)
class Number:
    """A child element with a decimal integer."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        child = element.child(self.name)
        return None if child is None else number(child.text, self.name)

    def write(self, value: int, out: Writing) -> None:
        """See `Place`."""
        out.child(self.name, str(value))


@dataclass(frozen=True, slots=True)
class Texts:
    """Any number of child elements with text."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return tuple(child.text for child in element.all(self.name))

    def write(self, value: tuple[str, ...], out: Writing) -> None:
        """See `Place`."""
        for text in value:
            out.child(self.name, text)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Any number of child elements with a decimal integer."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return tuple(number(child.text, self.name) for child in element.all(self.name))

    def write(self, value: tuple[int, ...], out: Writing) -> None:
        """See `Place`."""
        for each in value:
            out.child(self.name, str(each))


@dataclass(frozen=True, slots=True)
class Group:
    """A child element with fields of its own."""

    name: str
    of: type

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        child = element.child(self.name)
        return None if child is None else read(self.of, child)

    def write(self, value: object, out: Writing) -> None:
        """See `Place`."""
        out.element(write(value, self.name))


@dataclass(frozen=True, slots=True)
class Groups:
    """Any number of child elements with fields of their own."""

    name: str
    of: type

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return tuple(read(self.of, child) for child in element.all(self.name))

    def write(self, value: tuple[object, ...], out: Writing) -> None:
        """See `Place`."""
        for each in value:
            out.element(write(each, self.name))


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute with text."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return element.attribute(self.name)

    def write(self, value: str, out: Writing) -> None:
        """See `Place`."""
        out.attribute(self.name, value)


@dataclass(frozen=True, slots=True)
class NumberAttribute:
    """An attribute with a decimal integer."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        text = element.attribute(self.name)
        return None if text is None else number(text, self.name)

    def write(self, value: int, out: Writing) -> None:
        """See `Place`."""
        out.attribute(self.name, str(value))


@dataclass(frozen=True, slots=True)
class OwnText:
    """The element's own text."""

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return element.text

    def write(self, value: str, out: Writing) -> None:
        """See `Place`."""
        out.text(value)


@dataclass(frozen=True, slots=True)
class Content:
    """The element's own content: text, or bytes with `encoding="base64"` (§6.0)."""

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        encoding = element.attribute("encoding")
        if encoding is None:
            return element.text
        if encoding != "base64":
            raise ProtocolViolation(f"encoding {encoding[:40]!r} is not known", reason="malformed")
        try:
            return base64.b64decode("".join(element.text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise ProtocolViolation(f"the base64 of {element.name} is broken", reason="malformed") from None

    def write(self, value: str | bytes, out: Writing) -> None:
        """See `Place`."""
        if isinstance(value, str):
            out.text(value)
        else:
            out.attribute("encoding", "base64")
            out.text(base64.b64encode(value).decode("ascii"))


_PLACES: dict[type, tuple[tuple[str, bool, Place], ...]] = {}


def _places(of: type) -> tuple[tuple[str, bool, Place], ...]:
    """Name, required, place of each field; worked out once for each class."""
    if of not in _PLACES:
        _PLACES[of] = _work_out(of)
    return _PLACES[of]


def _work_out(of: type) -> tuple[tuple[str, bool, Place], ...]:
    assert is_dataclass(of)
    hints = get_type_hints(of, include_extras=True)
    return tuple((field.name, field.default is MISSING, hints[field.name].__metadata__[0]) for field in fields(of))


def read(of: type[T], element: Element) -> T:
    """The value of a parameter list. Raises ProtocolViolation when a required field is missing or malformed."""
    values: dict[str, object] = {}
    for name, required, place in _places(of):
        value = place.read(element)
        if value is not None:
            values[name] = value
        elif required:
            raise ProtocolViolation(f"{element.name} has no {name}", reason="missing")
    return of(**values)


def write(value: object, name: str) -> str:
    """The element of a parameter list as text: fields in the order of the class, those that are None left out.

    Raises BadInput for a character that XML cannot carry.
    """
    out = Writing(name)
    for field, _, place in _places(type(value)):
        held = getattr(value, field)
        if held is not None:
            place.write(held, out)
    return out.done()
