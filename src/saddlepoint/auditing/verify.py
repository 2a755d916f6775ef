"""Ask the model about every stored input again, and compare with the record."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from saddlepoint.access.asking import predict
from saddlepoint.auditing import piece
from saddlepoint.auditing.piece import Address, DamagedError, Evidence
from saddlepoint.auditing.records import column, positions, stage_rows
from saddlepoint.auditing.run import Run
from saddlepoint.auditing.stages import AttackStage
from saddlepoint.auditing.subject import Subject
from saddlepoint.sets import Neighborhood

ROUNDING = 1e-4
"""Relative: sizes and logits that differ by less are the same but for rounding."""
CHANCE = 0.25
"""Relative: the logits of a random model, means over draws, that differ by less may change places by chance."""


@dc.dataclass(frozen=True)
class Verification:
    """``checked`` stored inputs were asked again. ``faults`` say where the record does not hold.

    ``borderline`` counts answers that differ where two logits are equal up to rounding, which another device or batch
    size may decide otherwise; up to a quarter where answers are means over draws.
    """

    checked: int
    borderline: int
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """No faults."""
        return not self.faults


def verify(subject: Subject, stages: tuple[AttackStage, ...], run: Run, records: pa.Table) -> Verification:
    """Check every piece of evidence of a run: files, bounds, sizes, and the labels by fresh forwards."""
    checked, borderline, faults = 0, 0, []
    for stage in stages:
        rows = stage_rows(records, stage.name).table
        for part in sorted(set(column(rows, "part").tolist())):
            address = Address(stage.label, stage.name, part)
            table = rows.filter(pc.equal(rows.column("part"), part))
            try:
                stored = _stored(run, address, table)
            except DamagedError as error:
                faults.append(str(error))
                continue
            if stored is None:
                continue
            claims = table.take(_rows_of(table, stored.sample))
            doubts = list(_check(subject, stage, stored, claims, records, str(address.inputs(run.path))))
            checked += len(stored.sample)
            borderline += doubts.count(None)
            faults += [doubt for doubt in doubts if doubt is not None]
    return Verification(checked, borderline, tuple(faults))


def _stored(run: Run, address: Address, table: pa.Table) -> Evidence | None:
    """The evidence of a piece whose records are still those of ``table``."""
    again = run.read(address)
    if again is None or piece.digest(again) != piece.digest(table.select(again.column_names)):
        raise DamagedError(f"{address.records(run.path)} is not there as it was")
    return piece.evidence(address, run.path)


def _rows_of(table: pa.Table, sample: Tensor) -> list[int]:
    place = {int(number): row for row, number in enumerate(column(table, "sample"))}
    return [place[int(number)] for number in sample]


def _check(
    subject: Subject, stage: AttackStage, stored: Evidence, claims: pa.Table, records: pa.Table, place: str
) -> Iterator[str | None]:
    """A fault for each sample and claim that does not hold, None where rounding alone may explain it."""
    rows = positions(records, claims)
    x, _, _ = subject.rows(rows)
    x_adv = stored.x_adv.to(x.device)
    for row, what in [*_misfits(subject, stage.threat.rows(torch.from_numpy(rows)), stored, claims, x, x_adv)]:
        yield f"sample {int(stored.sample[row])} of {place}: {what}"
    with subject.model.quiet(stage.seed):
        answers = {"clean_predicted": subject.logits(x).cpu(), "predicted": subject.logits(x_adv).cpu()}
    for name, logits in answers.items():
        recorded, again = torch.from_numpy(column(claims, name).copy()), predict(logits)
        for row in (again != recorded).nonzero().squeeze(1).tolist():
            close = _close(logits[row], int(recorded[row]), ROUNDING if subject.model.draws == 1 else CHANCE)
            said = f"{name} was {int(recorded[row])}, a fresh forward says {int(again[row])}"
            yield None if close else f"sample {int(stored.sample[row])} of {place}: {said}"


def _misfits(
    subject: Subject, threat: Neighborhood, stored: Evidence, claims: pa.Table, x: Tensor, x_adv: Tensor
) -> Iterator[tuple[int, str]]:
    """What does not fit without asking the model: (row, what is wrong)."""
    box = subject.model.box
    size, apart = _measured(threat, stored, x, x_adv)
    recorded, radius = (torch.from_numpy(column(claims, name).copy()) for name in ("size", "radius"))
    marks = {
        "its clean input is not that of the data": (x.cpu() != stored.x).flatten(1).any(1),
        "it leaves the bounds": ((x_adv < box.low) | (x_adv > box.high)).flatten(1).any(1).cpu(),
        "it is not what its perturbation makes of the clean input": apart,
        "its perturbation is larger than recorded": size > recorded * (1 + ROUNDING) + ROUNDING**2,
        "its perturbation is larger than the radius": size > radius * (1 + ROUNDING),
    }
    for what, wrong in marks.items():
        yield from ((row, what) for row in wrong.nonzero().squeeze(1).tolist())


def _measured(threat: Neighborhood, stored: Evidence, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor]:
    """The sizes [M] anew, and whether what was stored is not what the perturbation makes of x (bool [M])."""
    if threat.additive:
        size = threat.size(x.double(), x_adv.double() - x.double()).cpu()
        return size, torch.zeros_like(size, dtype=torch.bool)
    if stored.delta is None:
        return torch.full((len(x),), torch.inf, dtype=torch.float64), torch.ones(len(x), dtype=torch.bool)
    delta = stored.delta.to(x.device)
    gap = (threat.apply(x, delta) - x_adv).flatten(1).abs().amax(1).cpu()
    width = 1.0 if math.isinf(threat.box.high - threat.box.low) else threat.box.high - threat.box.low
    return threat.size(x.double(), delta.double()).cpu(), gap > ROUNDING * width


def _close(logits: Tensor, label: int, tolerance: float = ROUNDING) -> bool:
    """Whether ``label`` is as good an answer as the best, up to a part of the largest of logits [K]."""
    return label >= 0 and bool(logits.max() - logits[label] <= tolerance * logits.abs().max())
