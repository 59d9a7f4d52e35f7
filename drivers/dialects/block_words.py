"""Words of a FortiOS statement: blanks separate, quotes and backslashes join, quoted values span lines (§B.5)."""

from __future__ import annotations

import re
from typing import Final

WORD: Final = re.compile(r"""(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^ \t\n"'\\])*""", re.DOTALL)
"""One word as written, or nothing. Between single quotes nothing is special."""

_PIECE: Final = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^"'\\]+)""", re.DOTALL)
ON_ONE_LINE: Final = re.compile(r"""(?:[^"'\\\n]++|"[^"\\\n]*+")*+(?=\n|\Z)""")
"""The rest of a line in which every quote is closed and nothing is escaped: what most statements are."""

_SPECIAL: Final = re.compile(r"""["'\\\t\n]""")
_SIMPLY_QUOTED: Final = re.compile(r'"[^"\\]*"')
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+,*=-]+")


def words(statement: str) -> list[str]:
    """The words of one statement as they are written."""
    if not _SPECIAL.search(statement):
        return [word for word in statement.split(" ") if word]
    return [word for word in WORD.findall(statement) if word]


def value(word: str) -> str:
    """What a written word means: quotes removed, escapes resolved, a backslash before a line end joins the lines.

    In double quotes a backslash is itself, except before a quote or another backslash.
    """
    if not _SPECIAL.search(word):
        return word
    if _SIMPLY_QUOTED.fullmatch(word):
        return word[1:-1]
    parts: list[str] = []
    for piece in _PIECE.finditer(word):
        single, double, escaped, plain = piece.groups()
        if escaped is not None:
            parts.append("" if escaped == "\n" else escaped)
        elif double is not None:
            parts.append(re.sub(r"\\([\\\"'])", r"\1", double))
        else:
            parts.append(single if single is not None else plain)
    return "".join(parts)


def quoted(text: str) -> str:
    """The canonical spelling of a value: plain where that is possible, else in double quotes."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
