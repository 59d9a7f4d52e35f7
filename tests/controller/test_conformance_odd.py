"""Files that are no configuration, or half of one, are read without loss or refused at their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controller.test_conformance_dialect import run

ODD = {
    "empty": b"",
    "one line end": b"\n",
    "spaces": b"   \t  ",
    "CR LF": b"hostname a\r\ninterface b\r\n description x \r\n",
    "CR alone": b"hostname a\rinterface b\r",
    "tabs and blanks": b"\thostname a  \n \t interface b\t\n\t\tdescription x y\t \n",
    "byte order mark": b"\xef\xbb\xbfhostname a\nconfig a\nend\n",
    "UTF-16": "hostname a\ninterface b\n".encode("utf-16"),
    "Latin-1": b'hostname caf\xe9\nset name "caf\xe9"\n',
    "octets": bytes(range(256)) * 8,
    "NUL": b"hostname a\x00b\n\x00\nset x \x00\n",
    "half a sign": b"hostname \xe3\x81",
    "no line end": b"hostname a",
    "form feed": b"hostname a\x0cinterface b\n\x0c\n",
    "banner with an odd mark": b"banner motd #\n  hello ^C # \nhostname a\n",
    "banner on one line": b"banner motd \x03x\x03\nbanner login ^Cy^C\nbanner exec ~ ~\nhostname a\n",
    "banner never closed": b"banner motd ^C\nhostname a\nend\n",
    "certificate": b"crypto pki certificate chain A\n certificate self-signed 01\n  3082 0101\n  \tquit\nhostname a\n",
    "certificate never closed": b"crypto pki certificate chain A\n certificate 01\n  3082 0101\n",
    "nested quotes": b'config a\n    edit "x \\"y\\" \'z\'"\n        set b \'it is "so"\'\n    next\nend\n',
    "a quote over lines": b'config a\n    set b "one\n  two\n\n\tthree"\nend\n',
    "a quote never closed": b'config a\n    set b "one\nend\n',
    "a backslash at the end": b"config a\n    set b one\\\nend\n",
    "unbalanced": b"config a\n    edit 1\n        config b\n    next\nend\n",
    "one end too many": b"config a\nend\nend\nnext\n",
    "deep": b"".join(b" " * n + b"section %d\n" % n for n in range(200)),
    "deep tables": b"config a\nedit 1\n" * 100,
    "keys": b'a.b: 1\na.b : 2\na..b: 1\n: x\na.b: "x" y\na.b: "x\n',
    "a key twice": b"a.b: 1\na.b: 2\n",
    "variables": b"a.${ X}.b: ${Y}\n${: 1\na.b: ${\n",
    "only comments": b"! a\n# b\n!\n#\n",
    "long line": b"hostname " + b"x" * 1_000_000 + b"\n",
    "long quote": b'config a\n set b "' + b'y \\" ' * 100_000 + b'"\nend\n',
    "long quote never closed": b'config a\n set b "' + b"y' " * 100_000,
    "many backslashes": b"config a\n set b " + b"\\" * 100_001 + b"\nend\n",
    "many quotes": b"a.b: " + b'"' * 100_001 + b"\n",
    "many blanks": b"hostname a" + b" " * 200_000 + b"b\n" + b" " * 200_000 + b"\n",
    "many lines": b"x\n" * 20_000,
}


@pytest.mark.parametrize("name", ["indented", "block", "statements", "key-value"])
def test_whatever_a_file_holds_is_read_without_loss_or_refused_at_its_place(name: str, tmp_path: Path) -> None:
    for number, octets in enumerate(ODD.values()):
        (tmp_path / f"{number}.cfg").write_bytes(octets)
    strange = tmp_path / "caf\udce9.cfg"
    strange.write_bytes(b"hostname a\n")
    done = run(name, *(f"{number}.cfg" for number in range(len(ODD))), strange.name, cwd=tmp_path)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    lines = done.stdout.splitlines()
    failed = [(title, line) for title, line in zip(ODD, lines, strict=False) if not line.startswith("ok ")]
    assert failed == []
    assert lines[-2].startswith("ok caf\\xe9.cfg ")
    assert lines[-1] == f"{len(ODD) + 1} passed, 0 failed"
    assert done.exit_code == 0
    refused = [line for line in lines if "refused" in line]
    assert all("refused at line " in line and ", column " in line for line in refused)
