"""JSON logs on stderr, one line per event, with a filter behind every value (architecture §5a)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from inventory.secrets import MASK, Secret

# Names of values that are secret whatever their type; a Secret is masked by its own repr already.
SECRET_NAMES: Final = re.compile(
    r"(password|passphrase|secret|preshared|private[-_]?key|api[-_]?key|authorization|community|token)", re.I
)
# Texts from libraries may carry a header or a URL with a credential in it.
SECRET_TEXT: Final = re.compile(
    r"(?P<keep>\b(?:Basic|Bearer)\s+|://[^/\s:@]+:(?=[^/\s@]+@)|\b(?:password|passphrase|secret|psksecret|preshared-key|community)"
    r"[=: ]+(?:\d )?\"?)(?P<hide>[^\s\"@]+)",
    re.I,
)


def mask_text(text: str) -> str:
    """`text` with whatever looks like a credential masked. A net behind the types, not a replacement for them."""
    return SECRET_TEXT.sub(lambda found: found["keep"] + MASK, text)


def mask_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: masks secret values by type, by name and by pattern, at any depth."""
    for key in list(event):
        event[key] = MASK if SECRET_NAMES.search(key) else _masked(event[key])
    return event


def _masked(value: object) -> object:
    match value:
        case Secret():
            return MASK
        case str():
            return mask_text(value)
        case dict():
            return {k: MASK if SECRET_NAMES.search(str(k)) else _masked(v) for k, v in value.items()}
        case list() | tuple():
            return [_masked(item) for item in value]
        case int() | float() | None:
            return value
        case _:
            return mask_text(repr(value))


def configure(level: str) -> None:
    """Send structlog's and the standard library's records to stderr as JSON. `level` is `debug` … `error`."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                mask_secrets,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=lambda value: mask_text(repr(value))),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries that write a line per packet or per statement are heard from warning on.
    for name in ("asyncssh", "scrapli", "apscheduler", "sqlalchemy", "aiosqlite", "uvicorn.access", "dbos", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
