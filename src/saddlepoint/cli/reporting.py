"""``saddlepoint report``: the page of a run, built again from its records."""

from __future__ import annotations

from pathlib import Path

from saddlepoint.cli.tables import show
from saddlepoint.report import page_of, write_report


def report(run: Path, out: Path | None, json: bool) -> None:
    """Write the page and say where it is, or print its numbers as JSON."""
    show(page_of(run).to_json().rstrip() if json else f"report: {write_report(run, out)}")
