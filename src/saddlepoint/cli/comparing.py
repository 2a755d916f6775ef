"""``saddlepoint compare``: two runs on the same samples, in a table."""

from __future__ import annotations

from pathlib import Path

from saddlepoint.auditing import Comparison
from saddlepoint.auditing import compare as paired
from saddlepoint.cli.tables import show, table
from saddlepoint.report.words import percent

CHANCE = 0.05
HEADER = ("accuracy", "first", "second", "difference", "only first", "only second", "p", "")


def compare(first: Path, second: Path) -> None:
    """Print what stands in each of the runs, and in one alone."""
    rows = [_row(one) for one in paired(first, second)]
    show("", f"first:  {first}", f"second: {second}", "", table(HEADER, rows, right=(1, 2, 3, 4, 5, 6)))


def _row(one: Comparison) -> tuple[str, ...]:
    difference = 100 * (one.second.value - one.first.value)
    verdict = "may be chance" if one.p >= CHANCE else "second is better" if difference > 0 else "first is better"
    shares = percent(one.first.value), percent(one.second.value), f"{difference:+.1f}"
    return one.name, *shares, f"{one.only_first}", f"{one.only_second}", f"{one.p:.3g}", verdict
