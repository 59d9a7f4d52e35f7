"""`kajitori conformance arms|metering|terms|dialect`: published vector files against this build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.conformance_case import report
from controller.cli.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the runners; each is imported when it runs, since most commands are only clients."""

    @app.command("arms")
    def arms(directory: Path, as_json: AsJson = False) -> None:
        """Check the ARMS codec against a folder of vectors. Exit status 0 if every case passes, else 1."""
        from controller.cli.conformance_arms import run_arms  # noqa: PLC0415

        report(run_arms(directory), as_json=as_json)

    @app.command("metering")
    def metering(
        files: Annotated[list[Path], typer.Argument(help="Vector files, or index.json for all of them.")],
        as_json: AsJson = False,
    ) -> None:
        """Run metering vectors: a line a case, then the count; exit status 1 if any failed."""
        from controller.cli.conformance_metering import run_metering  # noqa: PLC0415

        report(run_metering(files), as_json=as_json)

    @app.command("terms")
    def terms(
        files: Annotated[list[Path], typer.Argument(help="Vector files of the service terms.")],
        as_json: AsJson = False,
    ) -> None:
        """Run vectors of the service terms: a line a case, then the count; exit status 1 if any failed."""
        from controller.cli.conformance_terms import run_terms  # noqa: PLC0415

        report(run_terms(files), as_json=as_json)

    @app.command("dialect")
    def dialect(
        name: Annotated[str, typer.Argument(help="indented, block, statements or key-value.")],
        files: Annotated[list[Path], typer.Argument(help="Configuration files.")],
        as_json: AsJson = False,
    ) -> None:
        """Read files of a dialect: a line a file, then the count; exit status 1 if one was read with a loss."""
        from controller.cli.conformance_dialect import run_dialect  # noqa: PLC0415

        report(run_dialect(name, files), as_json=as_json)
