"""How far the first attack came with each question, and whether it was still gaining ground when it ended.

Source: the loss and the success over iterations, Carlini et al. 2019; "incomplete optimization", a rescaled loss that
still moves at the end, Pintor et al., "Indicators of attack failure", NeurIPS 2022.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from saddlepoint.attacks.progress import questions
from saddlepoint.auditing.records import column, first_stage, stage_rows
from saddlepoint.auditing.summary import Climb, ClimbPoint

LONG = 8
"""A run of fewer columns than this, a dozen questions, has no end that could be told from its beginning."""
HALF = 2
"""So many columns later the questions have doubled."""


def climb(spec: dict[str, Any], records: pa.Table, label: str) -> Climb | None:
    """The climb of the first attack under the threat ``label``; None where it was not watched or asked about nobody."""
    first = first_stage(spec, label)
    if first is None:
        return None
    table = stage_rows(records, first["name"]).table
    seen = [
        (np.asarray(row, dtype=np.float64), met) for row, met in zip(_lists(table), column(table, "met"), strict=True)
    ]
    seen = [(row, met) for row, met in seen if len(row)]
    if not seen:
        return None
    last = max(len(row) for row, _ in seen)
    left = np.stack([np.pad(row, (0, last - len(row)), mode="edge") for row, _ in seen])
    points = {
        questions(k): ClimbPoint(questions(k), float(one.mean()), float((one > 0).mean()))
        for k, one in enumerate(left.T)
    }
    ends = np.array([(row[-1 - HALF] - row[-1], 1 - row[-1]) for row, met in seen if not met and len(row) >= LONG])
    late = float(ends[:, 0].sum() / ends[:, 1].sum()) if len(ends) and ends[:, 1].sum() > 0 else 0.0
    return Climb(first["attack"], len(seen), tuple(points.values()), len(ends), late)


def _lists(table: pa.Table) -> list[list[float]]:
    found: list[list[float]] = table.column("progress").to_pylist()
    return found
