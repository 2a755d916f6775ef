"""Does the first attack depend on luck or on its options? The same again, with other draws and other steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from saddlepoint.auditing.records import StageRows, first_stage, stage_rows
from saddlepoint.auditing.standing import Flags
from saddlepoint.auditing.summary import Again

AGAIN = "sampled"
"""Whom it is about: some of the samples that are right unperturbed, evenly spread."""


def attacks_again(spec: dict[str, Any], records: pa.Table, label: str) -> tuple[Again, ...]:
    """Each run of the first attack again under the threat ``label``, beside the first one on the same samples."""
    first = first_stage(spec, label)
    if first is None:
        return ()
    later = [
        (stage, stage_rows(records, stage["name"]))
        for stage in spec["stages"]
        if stage["threat"] == label and stage["over"] == AGAIN and stage["attack"] == first["attack"]
    ]
    fell = _broken(spec, records, first["name"])
    return tuple(_again(stage, first["options"], rows, fell) for stage, rows in later if len(rows.positions))


def _again(stage: dict[str, Any], usual: dict[str, Any], rows: StageRows, fell: Flags) -> Again:
    before, now = fell[rows.positions], rows.met
    return Again(
        stage=stage["name"],
        attack=stage["attack"],
        changed={name: value for name, value in stage["options"].items() if usual.get(name) != value},
        n=len(now),
        first=int((~before).sum()),
        again=int((~now).sum()),
        only_first=int((~before & now).sum()),
    )


def _broken(spec: dict[str, Any], records: pa.Table, name: str) -> Flags:
    """Who had fallen when the first attack ended: whoever it was not asked about had fallen before."""
    rows = stage_rows(records, name)
    fell = np.ones(spec["data"]["n"], dtype=np.bool_)
    fell[rows.positions] = rows.met
    return fell
