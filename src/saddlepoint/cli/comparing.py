"""``saddlepoint compare``: two runs on the same samples, in a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from saddlepoint.auditing import Comparison, Summary
from saddlepoint.auditing import compare as paired
from saddlepoint.cli.tables import show, table
from saddlepoint.report.files import summary_of
from saddlepoint.report.words import percent

CHANCE = 0.05
HEADER = ("accuracy", "first", "second", "difference", "95 % interval", "only first", "only second", "p", "")


def compare(first: Path, second: Path, as_json: bool = False) -> None:
    """Print what stands in each of the runs, and in one alone."""
    found = paired(first, second)
    one, other = (_trust(summary_of(run)) for run in (first, second))
    if as_json:
        said = {
            "first": str(first),
            "second": str(second),
            "trust": [one, other],
            "comparisons": [pair.to_dict() for pair in found],
        }
        sys.stdout.write(json.dumps(said, indent=2, allow_nan=False) + "\n")
        return
    invalid = "invalid" in (one["verdict"], other["verdict"])
    rows = [_row(pair, invalid) for pair in found]
    heads = f"first:  {first}: {_words(one)}", f"second: {second}: {_words(other)}"
    show("", *heads, *_unlike(one, other), "", table(HEADER, rows, right=(1, 2, 3, 4, 5, 6, 7)))


def _trust(summary: Summary) -> dict[str, Any]:
    """What a run says of its own numbers, and how hard was tried."""
    return {
        "verdict": summary.verdict,
        "doubts": list(dict.fromkeys(doubt.name for doubt in summary.doubts if doubt.weight != "note")),
        "plan": summary.settings.get("plan"),
        "access": summary.model["access"],
        "budget": summary.settings["budget"],
    }


def _words(run: dict[str, Any]) -> str:
    why = f" ({', '.join(run['doubts'])})" if run["doubts"] else ""
    return f"{run['verdict']}{why}"


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What differs in how hard was tried: a line each."""
    usual = {"plan": "attacks as named", "access": "none", "budget": "none"}
    return [
        f"note: the {name} differs: {one[name] or none} and {other[name] or none}"
        for name, none in usual.items()
        if one[name] != other[name]
    ]


def _row(one: Comparison, invalid: bool) -> tuple[str, ...]:
    better = "second is better" if one.difference > 0 else "first is better"
    verdict = "may be chance" if one.p >= CHANCE else "means nothing" if invalid else better
    within = f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
    shares = percent(one.first.value), percent(one.second.value), f"{100 * one.difference:+.1f}", within
    return one.name, *shares, f"{one.only_first}", f"{one.only_second}", f"{one.p:.3g}", verdict
