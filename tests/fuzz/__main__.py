"""`python -m tests.fuzz --seconds 600`: every target in turn, guided by coverage; `… TARGET FILE` tries an input again.

The corpus is kept in `.fuzz/corpus`, so the next run begins where this one ended; an input that breaks a promise is
saved in `.fuzz/findings`, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import atheris
import structlog

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

FOLDER: Final = Path(".fuzz")
SLOW_S: Final = 10
"""One input that takes longer is a finding: it would stop the loop for everybody."""
MEMORY_MB: Final = 2048
LONGEST: Final = 8192
_DOORS_SHARE: Final = 3
"""The doors run everything there is behind them, slowly: they get three times the time of a parser."""


def main() -> int:
    """Exit status: 0 nothing was found, 1 something was."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("--seconds", type=int, default=600, help="for all targets together")
    asked.add_argument("target", nargs="?", help="one target only")
    asked.add_argument("files", nargs="*", help="inputs to try again, nothing else")
    given = asked.parse_args()
    with atheris.instrument_imports(include=["drivers", "controller.phonehome", "inventory"]):
        # Only what is imported from here on is instrumented.
        from tests.fuzz.targets import TARGETS
    if given.target is None:
        return _all(list(TARGETS), given.seconds)
    _one(TARGETS[given.target], given.seconds, given.files)
    return 0


def _all(names: list[str], seconds: int) -> int:
    share = seconds // (len(names) - 1 + _DOORS_SHARE)
    failed = []
    for name in names:
        own = share * _DOORS_SHARE if name == "doors" else share
        print(f"== {name}: {own} s", flush=True)
        done = subprocess.run([sys.executable, "-m", "tests.fuzz", "--seconds", str(own), name], check=False)
        if done.returncode:
            failed.append(name)
    print(f"{len(names) - len(failed)} targets without a finding, {len(failed)} with: {' '.join(failed)}".rstrip(": "))
    return 1 if failed else 0


def _one(target: Target, seconds: int, files: list[str]) -> None:
    """Ends the process: 0, or what the fuzzer says of a finding."""
    from tests.fuzz.seeds import dictionary

    corpus, findings = FOLDER / "corpus" / target.name, FOLDER / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    words = FOLDER / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in dictionary()), encoding="ascii")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    limits = [f"-timeout={SLOW_S}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={LONGEST}", f"-dict={words}"]
    saved = f"-artifact_prefix={findings}/{target.name}-"
    inputs = files or [f"-max_total_time={seconds}", "-print_final_stats=1", str(corpus)]
    atheris.Setup([sys.argv[0], *limits, saved, *inputs], target.open())
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(
        chr(each) if each in b"<>/=-" or (chr(each).isalnum() and each < 128) else f"\\x{each:02x}" for each in word
    )


if __name__ == "__main__":
    sys.exit(main())
