"""``saddlepoint compare``: two runs on the same samples, in a table."""

from __future__ import annotations

import dataclasses as dc
import json
import sys
from pathlib import Path

from saddlepoint.auditing import Comparison
from saddlepoint.auditing import compare as paired
from saddlepoint.auditing.compare import Trust, trust
from saddlepoint.cli.tables import show, table
from saddlepoint.report.words import percent

CHANCE = 0.05
HEADER = ("accuracy", "first", "second", "difference", "95 % interval", "only first", "only second", "p", "")


def compare(first: Path, second: Path, as_json: bool = False) -> None:
    """Print what stands in each of the runs, and in one alone."""
    found = paired(first, second)
    one, other = trust(first), trust(second)
    if as_json:
        said = {
            "first": str(first),
            "second": str(second),
            "trust": [dc.asdict(one), dc.asdict(other)],
            "comparisons": [pair.to_dict() for pair in found],
        }
        sys.stdout.write(json.dumps(said, indent=2, allow_nan=False) + "\n")
        return
    invalid = "invalid" in (one.verdict, other.verdict)
    rows = [_row(pair, invalid) for pair in found]
    heads = f"first:  {first}: {_words(one)}", f"second: {second}: {_words(other)}"
    show("", *heads, *_unlike(one, other), "", table(HEADER, rows, right=(1, 2, 3, 4, 5, 6, 7)))


def _words(run: Trust) -> str:
    why = f" ({', '.join(run.doubts)})" if run.doubts else ""
    return f"{run.verdict}{why}"


def _unlike(one: Trust, other: Trust) -> list[str]:
    """What differs in how hard was tried: a line each."""
    pairs = {
        "plan": (one.plan or "attacks as named", other.plan or "attacks as named"),
        "access": (one.access, other.access),
        "budget": (one.budget or "none", other.budget or "none"),
    }
    return [f"note: the {name} differs: {a} and {b}" for name, (a, b) in pairs.items() if a != b]


def _row(one: Comparison, invalid: bool) -> tuple[str, ...]:
    better = "second is better" if one.difference > 0 else "first is better"
    verdict = "may be chance" if one.p >= CHANCE else "means nothing" if invalid else better
    within = f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
    shares = percent(one.first.value), percent(one.second.value), f"{100 * one.difference:+.1f}", within
    return one.name, *shares, f"{one.only_first}", f"{one.only_second}", f"{one.p:.3g}", verdict
