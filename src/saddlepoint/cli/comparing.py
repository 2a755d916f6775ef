"""``saddlepoint compare``: two runs on the same samples, in a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from saddlepoint.auditing import Comparison
from saddlepoint.auditing import compare as paired
from saddlepoint.cli.tables import show, table
from saddlepoint.report.words import percent

CHANCE = 0.05
HEADER = ("accuracy", "first", "second", "difference", "95 % interval", "only first", "only second", "p", "")


def compare(first: Path, second: Path, as_json: bool = False) -> None:
    """Print what stands in each of the runs, and in one alone."""
    found = paired(first, second)
    if as_json:
        said = {"first": str(first), "second": str(second), "comparisons": [one.to_dict() for one in found]}
        sys.stdout.write(json.dumps(said, indent=2, allow_nan=False) + "\n")
        return
    rows = [_row(one) for one in found]
    show("", f"first:  {first}", f"second: {second}", "", table(HEADER, rows, right=(1, 2, 3, 4, 5, 6, 7)))


def _row(one: Comparison) -> tuple[str, ...]:
    verdict = "may be chance" if one.p >= CHANCE else "second is better" if one.difference > 0 else "first is better"
    within = f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
    shares = percent(one.first.value), percent(one.second.value), f"{100 * one.difference:+.1f}", within
    return one.name, *shares, f"{one.only_first}", f"{one.only_second}", f"{one.p:.3g}", verdict
