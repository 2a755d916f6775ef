"""``saddlepoint report``: the page of a run, built again from its records; or the index of a folder of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from saddlepoint.auditing import atomic
from saddlepoint.cli.tables import show
from saddlepoint.errors import OptionError
from saddlepoint.report import index_of, markdown, page_of, runs_in, summary_of, write_index, write_report

Format = Literal["html", "md", "json"]


def report(run: Path, out: Path | None, form: Format) -> None:
    """Write the page and say where it is, or give the same as Markdown or JSON.

    Args:
        run: folder of an audit, or of several.
        out: the file; a page goes into the folder if not given, anything else to stdout.
        form: of what is written.

    Raises:
        OptionError: Markdown of several audits.
        RunError: no run, a damaged one, or a place that cannot be written.
    """
    several = bool(runs_in(run))
    if form == "html":
        name, write = ("index:", write_index) if several else ("report:", write_report)
        return show(f"{name} {write(run, out)}")
    if form == "md" and several:
        raise OptionError(f"{run} holds several audits, Markdown is of one: give its folder, or --format html or json")
    text = _json(run, several) if form == "json" else markdown(summary_of(run))
    return _give(text, out)


def _json(run: Path, several: bool) -> str:
    return index_of(run).to_json() if several else page_of(run).to_json()


def _give(text: str, out: Path | None) -> None:
    if out is None:
        return show(text.rstrip("\n"))
    atomic.write(out, text.encode())
    return show(f"report: {out}")
