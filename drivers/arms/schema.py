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


@dataclass(frozen=True, slots=True)
class _Part:
    """What one field contributes to its element when written."""

    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Element, ...] = ()
    text: str = ""


class Place(Protocol):
    """Where a field stands. `read` gives None when it is not there."""

    def read(self, element: Element) -> object | None:
        """The field's value in its element. Raises ProtocolViolation."""
        ...

    def write(self, value: Any) -> _Part:
        """What the value adds to its element; the value is never None."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A child element with text."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        child = element.child(self.name)
        return None if child is None else child.text

    def write(self, value: str) -> _Part:
        """See `Place`."""
        return _Part(children=(Element(self.name, text=value),))


@dataclass(frozen=True, slots=True)
class Hidden:
    """A child element whose text is a Secret."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        child = element.child(self.name)
        return None if child is None else Secret(child.text)

    def write(self, value: Secret) -> _Part:
        """See `Place`."""
        return _Part(children=(Element(self.name, text=value.reveal()),))


@dataclass(frozen=True, slots=True)
class Number:
    """A child element with a decimal integer."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        child = element.child(self.name)
        return None if child is None else number(child.text, self.name)

    def write(self, value: int) -> _Part:
        """See `Place`."""
        return _Part(children=(Element(self.name, text=str(value)),))


@dataclass(frozen=True, slots=True)
class Texts:
    """Any number of child elements with text."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return tuple(child.text for child in element.all(self.name))

    def write(self, value: tuple[str, ...]) -> _Part:
        """See `Place`."""
        return _Part(children=tuple(Element(self.name, text=text) for text in value))


@dataclass(frozen=True, slots=True)
class Numbers:
    """Any number of child elements with a decimal integer."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return tuple(number(child.text, self.name) for child in element.all(self.name))

    def write(self, value: tuple[int, ...]) -> _Part:
        """See `Place`."""
        return _Part(children=tuple(Element(self.name, text=str(each)) for each in value))


@dataclass(frozen=True, slots=True)
class Group:
    """A child element with fields of its own."""

    name: str
    of: type

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        child = element.child(self.name)
        return None if child is None else read(self.of, child)

    def write(self, value: object) -> _Part:
        """See `Place`."""
        return _Part(children=(write(value, self.name),))


@dataclass(frozen=True, slots=True)
class Groups:
    """Any number of child elements with fields of their own."""

    name: str
    of: type

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return tuple(read(self.of, child) for child in element.all(self.name))

    def write(self, value: tuple[object, ...]) -> _Part:
        """See `Place`."""
        return _Part(children=tuple(write(each, self.name) for each in value))


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute with text."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return element.attribute(self.name)

    def write(self, value: str) -> _Part:
        """See `Place`."""
        return _Part(attributes=((self.name, value),))


@dataclass(frozen=True, slots=True)
class NumberAttribute:
    """An attribute with a decimal integer."""

    name: str

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        text = element.attribute(self.name)
        return None if text is None else number(text, self.name)

    def write(self, value: int) -> _Part:
        """See `Place`."""
        return _Part(attributes=((self.name, str(value)),))


@dataclass(frozen=True, slots=True)
class OwnText:
    """The element's own text."""

    def read(self, element: Element) -> object | None:
        """See `Place`."""
        return element.text

    def write(self, value: str) -> _Part:
        """See `Place`."""
        return _Part(text=value)


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

    def write(self, value: str | bytes) -> _Part:
        """See `Place`."""
        if isinstance(value, str):
            return _Part(text=value)
        return _Part((("encoding", "base64"),), (), base64.b64encode(value).decode("ascii"))


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


def write(value: object, name: str) -> Element:
    """The element of a parameter list: fields in the order of the class, those that are None left out."""
    attributes: list[tuple[str, str]] = []
    children: list[Element] = []
    text = ""
    for field, _, place in _places(type(value)):
        held = getattr(value, field)
        if held is not None:
            part = place.write(held)
            attributes += part.attributes
            children += part.children
            text += part.text
    return Element(name, tuple(attributes), tuple(children), text)
