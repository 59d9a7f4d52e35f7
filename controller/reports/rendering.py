"""One format of a report out of its JSON. The same JSON gives the same bytes, the PDF excepted."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Final

from controller.reports.csvfile import csv_of
from controller.reports.pages import html_of
from inventory.errors import BadInput, NotFound
from inventory.reporthead import digest
from inventory.reporting import Format, Language

MEDIA: Final[Mapping[Format, str]] = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.HTML: "text/html; charset=utf-8",
    Format.PDF: "application/pdf",
}
_one_pdf = threading.Lock()
"""A PDF of a large report takes much memory; one at a time is enough."""


def render(encoded: bytes, wanted: Format, language: Language) -> bytes:
    """The report in a format. Takes a while: not for the event loop. Raises BadInput without the extra for PDF."""
    if wanted is Format.JSON:
        return encoded
    report, sha256 = json.loads(encoded), digest(encoded)
    if wanted is Format.CSV:
        return csv_of(report, sha256, language)
    page = html_of(report, sha256, language)
    return _pdf(page) if wanted is Format.PDF else page


def file_name(key: str, sha256: str, wanted: Format, audience: str) -> str:
    """Name of a file of a report: whom it is for, its id, and of its digest enough that a newer one is another file."""
    return f"{audience}_{re.sub(r'[^A-Za-z0-9.-]', '_', key)}_{sha256[:12]}.{wanted}"


def require_pdf() -> None:
    """Raises BadInput unless PDFs can be made here."""
    try:
        import weasyprint  # noqa: F401, PLC0415 (an extra)
    except (ImportError, OSError) as error:
        raise BadInput(
            f"PDF needs the extra kajitori[pdf], which does not load here: {error}",
            field="formats",
            next_step="Install kajitori[pdf], which needs Pango, or ask for HTML, which prints on A4.",
        ) from None


def _pdf(page: bytes) -> bytes:
    """The page on A4. Nothing is fetched, whatever stands in it."""
    require_pdf()
    import weasyprint  # noqa: PLC0415 (an extra)

    with _one_pdf:
        written = weasyprint.HTML(string=page.decode(), url_fetcher=_refused).write_pdf()
    assert isinstance(written, bytes)
    return written


def _refused(url: str, *_more: object, **_options: object) -> dict[str, object]:
    raise NotFound(f"a report holds an address, {url}, and nothing is fetched for a PDF")
