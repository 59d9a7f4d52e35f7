"""XML to and from devices: a small tree, a hardened parser, one way to write (arms-protocol §5.2, §12)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn
from xml.parsers import expat  # document types, entities, depth and size are refused below

from inventory.errors import BadInput, ProtocolViolation

DECLARATION = b'<?xml version="1.0" encoding="US-ASCII"?>\n'
MAX_DEPTH = 16
MAX_ELEMENTS = 20_000
MAX_ATTRIBUTES = 16
"""Of one element; the protocol has at most four."""
MAX_TAG = 64 * 1024
"""Bytes of one tag or comment: an unfinished one is read again with each piece, and its attributes come all at once."""
_CONTROL = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_PLAIN = bytes(set(range(0x20, 0x7F)) - set(b'&<>"'))
"""Characters that are written as they are, in a text and in an attribute."""
_PLAIN_TEXT = _PLAIN + b'\n\t"'
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE = {**_TEXT, **str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})}


@dataclass(frozen=True, slots=True)
class Element:
    """One element. `text` is all its character data joined; what stood between child elements is not kept apart."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Element, ...] = ()
    text: str = ""

    def child(self, name: str) -> Element | None:
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)

    def all(self, name: str) -> Iterator[Element]:
        """Every child of that name, in document order."""
        return (child for child in self.children if child.name == name)

    def attribute(self, name: str) -> str | None:
        """The value of an attribute."""
        return next((value for key, value in self.attributes if key == name), None)


@dataclass(slots=True)
class _Open:
    name: str
    attributes: tuple[tuple[str, str], ...]
    children: list[Element]
    text: list[str]


class TreeParser:
    """Incremental parser of one document of at most `limit` bytes.

    Control characters that XML forbids are taken out first: devices pass ESC through. Text is read as UTF-8 (ASCII is
    part of it) whatever a declaration says. Document types, entities, processing instructions, more than 16 levels
    or 20,000 elements, more than 16 attributes and tags above 64 KiB are refused. Every refusal is a ProtocolViolation.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._elements = 0
        self._quiet = 0
        self._stack: list[_Open] = []
        self._root: Element | None = None
        self._failed: ProtocolViolation | None = None
        parser = expat.ParserCreate("UTF-8")
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.ProcessingInstructionHandler = self._refuse_doctype
        self._parser = parser

    def feed(self, piece: bytes) -> None:
        """Take the next bytes. Raises ProtocolViolation; after one the parser only repeats it."""
        self._size += len(piece)
        if self._size > self._limit and self._failed is None:
            self._failed = ProtocolViolation(f"the message is longer than {self._limit} bytes", reason="oversize")
        clean = piece.translate(None, _CONTROL)
        for start in range(0, len(clean), MAX_TAG):
            self._parse(clean[start : start + MAX_TAG], final=False)
        if self._failed is not None:
            raise self._failed

    def close(self) -> Element:
        """End of the document: its tree. Raises ProtocolViolation."""
        self._parse(b"", final=True)
        assert self._root is not None
        return self._root

    def _parse(self, piece: bytes, *, final: bool) -> None:
        if self._failed is not None:
            raise self._failed
        self._quiet += len(piece)
        try:
            self._parser.Parse(piece, final)
            if self._quiet > 2 * MAX_TAG:
                raise ProtocolViolation(f"a tag or comment of more than {MAX_TAG} bytes", reason="oversize")
        except expat.ExpatError as error:
            text = expat.ErrorString(error.code)
            self._failed = ProtocolViolation(
                f"the XML is malformed at line {error.lineno}, column {error.offset + 1}: {text}",
                reason="malformed",
            )
            raise self._failed from None
        except ProtocolViolation as refusal:
            self._failed = refusal
            raise

    def _start(self, name: str, flat: list[str]) -> None:
        self._elements += 1
        self._quiet = 0
        if len(flat) > 2 * MAX_ATTRIBUTES:
            raise ProtocolViolation(f"an element with more than {MAX_ATTRIBUTES} attributes", reason="oversize")
        if len(self._stack) >= MAX_DEPTH:
            raise ProtocolViolation(f"more than {MAX_DEPTH} levels of elements", reason="too-deep")
        if self._elements > MAX_ELEMENTS:
            raise ProtocolViolation(f"more than {MAX_ELEMENTS} elements", reason="oversize")
        self._stack.append(_Open(name, tuple(zip(flat[::2], flat[1::2], strict=True)), [], []))

    def _end(self, _name: str) -> None:
        self._quiet = 0
        done = self._stack.pop()
        element = Element(done.name, done.attributes, tuple(done.children), "".join(done.text))
        if self._stack:
            self._stack[-1].children.append(element)
        else:
            self._root = element

    def _data(self, text: str) -> None:
        self._quiet = 0
        if self._stack:
            self._stack[-1].text.append(text)

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise ProtocolViolation("document types, entities and processing instructions are refused", reason="doctype")


def parse(document: bytes, *, limit: int) -> Element:
    """The tree of a whole document. Raises ProtocolViolation as `TreeParser`."""
    parser = TreeParser(limit=limit)
    parser.feed(document)
    return parser.close()


def write(element: Element) -> bytes:
    """ASCII with numeric references, no white space of our own, `<x></x>` for an empty element (§5.2).

    Raises BadInput when a character has no place in XML 1.0: such content travels as base64.
    """
    out: list[str] = []
    _write(element, out)
    return octets("".join(out))


def octets(text: str) -> bytes:
    """XML text as it is sent: what is not ASCII becomes a numeric reference."""
    return text.encode("ascii", "xmlcharrefreplace")


def _write(element: Element, out: list[str]) -> None:
    out.append(f"<{element.name}")
    for key, value in element.attributes:
        out.append(f' {key}="{escaped_attribute(value, element.name)}"')
    out.append(">")
    out.append(escaped_text(element.text, element.name))
    for child in element.children:
        _write(child, out)
    out.append(f"</{element.name}>")


def escaped_text(text: str, name: str) -> str:
    """Character data of the element of that name. Raises BadInput as `write`."""
    return _escaped(text, _TEXT, _PLAIN_TEXT, name)


def escaped_attribute(text: str, name: str) -> str:
    """The value of an attribute of the element of that name. Raises BadInput as `write`."""
    return _escaped(text, _ATTRIBUTE, _PLAIN, name)


def _escaped(text: str, table: dict[int, str], plain: bytes, name: str) -> str:
    # A configuration of plain ASCII is looked through in a tenth of the time.
    if text.isascii() and not text.encode("ascii").translate(None, plain):
        return text
    bad = _UNWRITABLE.search(text)
    if bad:
        raise BadInput(
            f"the text of {name} has the character U+{ord(bad[0]):04X}, which XML cannot carry",
            field=name,
            next_step="Send such content as bytes: it then travels as base64.",
        )
    return text.translate(table)


def canonical(element: Element) -> Element:
    """The same message in one chosen form, so that equal messages have equal bytes.

    What carries no meaning (§5.2, §6.0) is levelled: order of attributes, order of elements with different names, white
    space between elements, line breaks inside base64.
    """
    children = tuple(sorted((canonical(child) for child in element.children), key=lambda child: child.name))
    text = element.text if not children else ""
    if element.attribute("encoding") == "base64":
        text = "".join(text.split())
    return Element(element.name, tuple(sorted(element.attributes)), children, text)
