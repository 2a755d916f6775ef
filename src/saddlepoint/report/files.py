"""The report of a run on disk: one HTML file and its JSON twin; and the index of a folder of runs."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from saddlepoint.auditing import Example, Summary, atomic, read_example, read_records, read_spec, summarize
from saddlepoint.auditing.run import SPEC, SUMMARY
from saddlepoint.errors import RunError
from saddlepoint.report.index import Index, build_index
from saddlepoint.report.page import Page, build_page
from saddlepoint.report.render import render, render_index

NAME, INDEX = "report.html", "index.html"


def write_report(run_dir: Path, out: Path | None = None) -> Path:
    """Write the page of a run, and next to it the same numbers as JSON. Returns where the page is.

    Args:
        run_dir: folder of an audit, complete or not.
        out: the page, ``report.html`` in the folder if not given; its twin ends in ``.json``.

    Raises:
        RunError: no run, a damaged one, or a place that cannot be written.
    """
    path = _page_path(run_dir / NAME if out is None else out)
    page = page_of(run_dir)
    atomic.write(path, render(page).encode())
    atomic.write(path.with_suffix(".json"), page.to_json().encode())
    return path


def write_index(folder: Path, out: Path | None = None) -> Path:
    """Write the index of all runs in a folder, and next to it the same as JSON. Returns where the index is.

    Args:
        folder: its folders are runs, complete or not; others are passed over.
        out: the page, ``index.html`` in the folder if not given; links lead from ``folder``, so leave it there to use
            them.

    Raises:
        RunError: no run in the folder, or a place that cannot be written.
    """
    path = _page_path(folder / INDEX if out is None else out)
    index = index_of(folder)
    atomic.write(path, render_index(index).encode())
    atomic.write(path.with_suffix(".json"), index.to_json().encode())
    return path


def page_of(run_dir: Path) -> Page:
    """The page of a run as data.

    Raises:
        RunError: no run, or a damaged one.
    """

    def pixels(example: Example) -> tuple[Tensor, Tensor]:
        return read_example(run_dir, example)

    return build_page(summary_of(run_dir), pixels)


def index_of(folder: Path) -> Index:
    """The index of a folder as data.

    Raises:
        RunError: it holds no run.
    """
    runs = runs_in(folder)
    if not runs:
        raise RunError(
            f"{folder} holds no run, and none of its folders does: give the folder of an audit, or of several"
        )
    return build_index(folder, runs, summary_of, NAME)


def runs_in(folder: Path) -> list[Path]:
    """The folders in ``folder`` that hold a run, in the order of their names; none if it is a run itself."""
    if not folder.is_dir() or (folder / SPEC).exists():
        return []
    return sorted(path for path in folder.iterdir() if (path / SPEC).is_file())


def summary_of(run_dir: Path) -> Summary:
    """What the run says of itself if it is complete, else what its records say so far.

    Raises:
        RunError: no run, a damaged one, or one that nothing can be said about yet.
    """
    spec = read_spec(run_dir)
    stored = run_dir / SUMMARY
    if not stored.is_file():
        return summarize(spec, read_records(run_dir, spec))
    try:
        return Summary.from_json(stored.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise RunError(f"{stored} is damaged ({error}): issue the command of the audit again") from error


def _page_path(path: Path) -> Path:
    if path.suffix not in {".html", ".htm"}:
        raise RunError(f"{path}: the report is a page, its name must end in .html")
    return path
