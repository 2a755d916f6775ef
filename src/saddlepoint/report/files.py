"""The report of a run on disk: one HTML file and its JSON twin."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from saddlepoint.auditing import Example, Summary, atomic, read_example, read_records, read_spec, summarize
from saddlepoint.auditing.run import SUMMARY
from saddlepoint.errors import RunError
from saddlepoint.report.page import Page, build_page
from saddlepoint.report.render import render

NAME = "report.html"


def write_report(run_dir: Path, out: Path | None = None) -> Path:
    """Write the page of a run, and next to it the same numbers as JSON. Returns where the page is.

    Args:
        run_dir: folder of an audit, complete or not.
        out: the page, ``report.html`` in the folder if not given; its twin ends in ``.json``.

    Raises:
        RunError: no run, a damaged one, or a place that cannot be written.
    """
    path = run_dir / NAME if out is None else out
    if path.suffix not in {".html", ".htm"}:
        raise RunError(f"{path}: the report is a page, its name must end in .html")
    page = page_of(run_dir)
    atomic.write(path, render(page).encode())
    atomic.write(path.with_suffix(".json"), page.to_json().encode())
    return path


def page_of(run_dir: Path) -> Page:
    """The page of a run as data.

    Raises:
        RunError: no run, or a damaged one.
    """

    def pixels(example: Example) -> tuple[Tensor, Tensor]:
        return read_example(run_dir, example)

    return build_page(_summary(run_dir), pixels)


def _summary(run_dir: Path) -> Summary:
    """What the run says of itself if it is complete, else what its records say so far."""
    spec = read_spec(run_dir)
    stored = run_dir / SUMMARY
    if stored.is_file():
        return Summary.from_json(stored.read_text(encoding="utf-8"))
    return summarize(spec, read_records(run_dir, spec))
