"""From the specification of a run and its records to what it says: a pure function, also of half a run."""

from __future__ import annotations

import dataclasses as dc
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from saddlepoint.auditing.climbing import climb
from saddlepoint.auditing.diagnosis import Diagnosis
from saddlepoint.auditing.doubts import Case, doubts
from saddlepoint.auditing.records import CLEAN, StageRows, column, replay, stage_rows, worst_case
from saddlepoint.auditing.stages import CERTIFIED, PROOF
from saddlepoint.auditing.standing import Flags, Rows, Standing
from saddlepoint.auditing.steadiness import attacks_again
from saddlepoint.auditing.summary import (
    ClassShare,
    CurvePoint,
    Estimate,
    Example,
    Landscape,
    StageSummary,
    Summary,
    ThreatSummary,
    Vote,
)
from saddlepoint.errors import RunError

POINTS = 64
"""So many points of a curve lie at distances that were found, evenly spread over the samples."""
GALLERY = 48
"""So many examples are picked for each threat."""

Spec = dict[str, Any]


def summarize(spec: Spec, records: pa.Table, notices: Sequence[str] = ()) -> Summary:
    """The summary of a run; of half a run if its records are not all there yet.

    Raises:
        RunError: not even the clean pass has ended.
    """
    clean = stage_rows(records, CLEAN)
    n = spec["data"]["n"]
    if len(clean.positions) < n:
        raise RunError("the clean pass has not ended, so there is nothing to say yet: issue the same command again")
    standing = Standing(spec)
    stages = _stages(spec, records, standing)
    threats = tuple(_threat(spec, one, records, standing, stages) for one in spec["threats"])
    clean_share = Estimate.of(int(_right(clean.table).sum()), n)
    broken = np.logical_or.reduce([standing.broken(one["label"]) for one in spec["threats"]])
    return Summary(
        title=spec["title"],
        target=None if spec.get("target") is None else spec["data"]["classes"][spec["target"]],
        model=spec["model"],
        data=spec["data"],
        n=n,
        clean_correct=clean_share.correct,
        threats=threats,
        union=_share(broken),
        certified=_certified_all(spec, records, broken),
        votes=tuple(Vote(**one) for one in spec.get("votes") or ()),
        seed=spec["seed"],
        settings={"piece_size": spec["piece_size"], "budget": spec["budget"], **spec["settings"]},
        versions=spec["versions"],
        command=spec["command"],
        created=spec["created"],
        seconds=float(column(records, "seconds").sum()),
        key=spec["key"],
        complete=all(stage.complete for stage, _ in stages),
        notices=(*spec["notices"], *notices),
        doubts=doubts(Case(spec, records, standing, tuple(stages), clean_share, _diagnosis(spec))),
        landscapes=tuple(Landscape.from_dict(one) for one in spec.get("landscapes") or ()),
        outlay=spec.get("outlay") or {},
    )


def _diagnosis(spec: Spec) -> Diagnosis | None:
    return None if spec.get("diagnosis") is None else Diagnosis.from_dict(spec["diagnosis"])


def _right(clean: pa.Table) -> Flags:
    """Which samples are classified rightly unperturbed, [N]."""
    right: Flags = column(clean, "label") == column(clean, "clean_predicted")
    return right


def _share(broken: Flags) -> Estimate:
    return Estimate.of(int((~broken).sum()), len(broken))


def _stages(spec: Spec, records: pa.Table, standing: Standing) -> list[tuple[StageSummary, dict[str, int]]]:
    """Each attack with how many samples it broke, for every threat of its set; ``standing`` learns all on the way."""
    done = []
    for stage, rows in replay(spec, records, standing):
        if stage["name"] == CLEAN:
            continue
        akin = [one["label"] for one in spec["threats"] if standing.akin(stage["threat"], one["label"])]
        broke = {label: _newly_broken(standing, rows, label) for label in akin}
        done.append((_stage(stage, rows, standing.rows(stage["over"], stage["threat"])), broke))
    return done


def _newly_broken(standing: Standing, rows: StageRows, label: str) -> int:
    within = rows.met & (rows.size <= standing.limit(label)[rows.positions])
    return int((within & ~standing.broken(label)[rows.positions]).sum())


def _stage(stage: dict[str, Any], rows: StageRows, expected: Rows) -> StageSummary:
    forwards, backwards = column(rows.table, "forwards"), column(rows.table, "backwards")
    return StageSummary(
        name=stage["name"],
        threat=stage["threat"],
        attack=stage["attack"],
        options=stage["options"],
        ran_on=len(rows.positions),
        broke=0,
        forwards=int(forwards.sum()),
        backwards=int(backwards.sum()),
        seconds=float(column(rows.table, "seconds").sum()),
        median_size=_median(rows.size[rows.met]),
        median_passes=_median((forwards + backwards)[rows.met]),
        complete=bool(np.array_equal(np.sort(rows.positions), expected)),
    )


def _median(values: npt.NDArray[Any]) -> float | None:
    return float(np.median(values)) if len(values) else None


def _threat(
    spec: Spec,
    threat: dict[str, Any],
    records: pa.Table,
    standing: Standing,
    stages: list[tuple[StageSummary, dict[str, int]]],
) -> ThreatSummary:
    label, radius = threat["label"], float(np.max(threat["radius"]))
    curves = {one["label"] for one in spec["curves"]}
    own = [
        dc.replace(stage, broke=broke[label])
        for stage, broke in stages
        if label in broke and (stage.threat == label or stage.threat in curves or broke[label])
        if stage.attack != PROOF
    ]
    searched = any(stage.threat in curves and stage.complete and stage.ran_on for stage in own)
    worst = worst_case(records, standing, label)
    return ThreatSummary(
        threat=label,
        set_name=threat["set"],
        radius=radius,
        robust=_share(standing.broken(label)),
        certified=_certified(spec, records, standing, label),
        stages=tuple(own),
        again=attacks_again(spec, records, label),
        climb=climb(spec, records, label),
        curve=_curve(standing, label, radius, searched),
        gallery=_gallery(records, worst, label),
        classes=_classes(records, standing, worst, label),
    )


def _certified(spec: Spec, records: pa.Table, standing: Standing, label: str) -> int | None:
    """How many samples are proved to withstand a threat."""
    proved = _proved(spec, records, label)
    return None if proved is None else int((~standing.broken(label) & proved).sum())


def _certified_all(spec: Spec, records: pa.Table, broken: Flags) -> int | None:
    """How many samples are proved to withstand every threat."""
    proved = [_proved(spec, records, one["label"]) for one in spec["threats"]]
    known = [one for one in proved if one is not None]
    return int((np.logical_and.reduce(known) & ~broken).sum()) if len(known) == len(proved) else None


def _proved(spec: Spec, records: pa.Table, label: str) -> Flags | None:
    """Which samples are proved to withstand a threat, [N]; None where nothing was tried to prove."""
    tried = [stage for stage in spec["stages"] if stage["attack"] == PROOF and stage["threat"] == label]
    if not tried:
        return None
    rows = stage_rows(records, tried[0]["name"])
    proved = np.zeros(spec["data"]["n"], dtype=np.bool_)
    proved[rows.positions] = column(rows.table, "status") == CERTIFIED
    return proved


def _curve(standing: Standing, label: str, radius: float, searched: bool) -> tuple[CurvePoint, ...]:
    """The share that stands over the radius. Only a search for the smallest perturbations knows more than the ends."""
    distance = standing.distance(label)
    found = np.sort(distance[np.isfinite(distance) & (distance > 0)])
    picked = found[np.linspace(0, len(found) - 1, min(POINTS, len(found))).round().astype(int)] if searched else []
    points = []
    for r in np.unique([0.0, radius, *picked]):
        share = _share(distance <= standing.limit_at(float(r)))
        points.append(CurvePoint(float(r), share.value, share.low, share.high))
    return tuple(points)


def _classes(records: pa.Table, standing: Standing, worst: dict[int, int], label: str) -> tuple[ClassShare, ...]:
    """The counts class by class, of the classes that are there."""
    clean = stage_rows(records, CLEAN).table
    truth, right = column(clean, "label"), _right(clean)
    predicted, robust = column(records, "predicted"), ~standing.broken(label)
    done = []
    for one in np.unique(truth).tolist():
        own = truth == one
        taken = Counter(int(predicted[row]) for position, row in worst.items() if own[position])
        most = min(taken, key=lambda other: (-taken[other], other)) if taken else None
        done.append(ClassShare(one, int(own.sum()), int((own & right).sum()), int((own & robust).sum()), most))
    return tuple(done)


def _gallery(records: pa.Table, worst: dict[int, int], label: str) -> tuple[Example, ...]:
    """The samples that need least, label after label in turn."""
    size, labels = column(records, "size"), column(records, "label")
    by_size = sorted(worst.values(), key=lambda row: (size[row], row))
    turns: Counter[int] = Counter()
    turn = {}
    for row in by_size:
        turn[row] = turns[labels[row]]
        turns[labels[row]] += 1
    chosen = sorted(by_size, key=lambda row: turn[row])[:GALLERY]
    return tuple(_example(records, row, label) for row in chosen)


def _example(records: pa.Table, row: int, label: str) -> Example:
    fields = {name: values[0] for name, values in records.slice(row, 1).to_pydict().items()}
    kept = [field.name for field in dc.fields(Example) if field.name not in ("threat", "found")]
    return Example(threat=label, found=fields["threat"], **{name: fields[name] for name in kept})
