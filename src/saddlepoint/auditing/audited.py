"""What comes back from an audit: the numbers, the records, the worst case of each sample, and a way to check them."""

from __future__ import annotations

import dataclasses as dc
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from saddlepoint.auditing import piece
from saddlepoint.auditing.piece import DamagedError
from saddlepoint.auditing.plan import Plan
from saddlepoint.auditing.records import address, after, worst_case
from saddlepoint.auditing.run import Run
from saddlepoint.auditing.stages import AttackStage
from saddlepoint.auditing.standing import Standing
from saddlepoint.auditing.subject import Subject
from saddlepoint.auditing.summary import Doubt, Estimate, Summary, ThreatSummary, Verdict
from saddlepoint.auditing.verify import Verification, verify
from saddlepoint.errors import RunError, ThreatError
from saddlepoint.shapes import Inputs, PerSample


@dc.dataclass(frozen=True, eq=False)
class Audit:
    """A complete audit. What was found is in the run folder; this is a view of it.

    Attributes: ``run_dir``, the folder; ``records``, a table with one row for each sample and stage it went through
    (also ``records.parquet`` in the folder).
    """

    run_dir: Path
    records: pa.Table
    _summary: Summary
    _subject: Subject
    _plan: Plan
    _run: Run

    def __repr__(self) -> str:
        union = self._summary.union
        return (
            f"Audit({self._summary.title}, n={union.n}, clean={self.clean_accuracy:.1%}, robust={union.value:.1%}"
            f" [{union.low:.1%}, {union.high:.1%}], {self.verdict})"
        )

    @property
    def clean_accuracy(self) -> float:
        """The share of samples that are right unperturbed."""
        return self._summary.clean.value

    @property
    def robust_accuracy(self) -> float:
        """The share of all samples that no attack broke under any threat; wrong ones count as broken."""
        return self._summary.union.value

    @property
    def natural_risk(self) -> float:
        """The expected 0-1 loss on unperturbed samples: 1 - clean accuracy."""
        return 1 - self.clean_accuracy

    @property
    def adversarial_risk(self) -> float:
        """The expected worst 0-1 loss within the threats, at least: 1 - robust accuracy (Madry et al., ICLR 2018)."""
        return 1 - self.robust_accuracy

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of Clopper and Pearson for the robust accuracy."""
        return self._summary.union.interval

    @property
    def verdict(self) -> Verdict:
        """Whether the numbers can be taken at their word: sound, flagged or invalid."""
        return self._summary.verdict

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """What speaks against the numbers, the gravest first: what was found, and what to do."""
        return self._summary.doubts

    @property
    def by_threat(self) -> dict[str, ThreatSummary]:
        """For each threat ("linf:0.1") what stands and what the attacks did."""
        return {one.threat: one for one in self._summary.threats}

    @property
    def x_adv(self) -> Inputs:
        """The worst case of each sample [N, *D], read from the run: an input within a threat that fools the model.

        It is the smallest perturbation under the first threat that breaks the sample; the clean input where none does.
        """
        standing, out = self._standing, self._subject.x.clone()
        rows: dict[int, int] = {}
        for threat in reversed(self._summary.threats):
            rows |= worst_case(self.records, standing, threat.threat)
        for position, row in rows.items():
            out[position] = self._stored(row).to(out.device)
        return out

    def summary(self) -> Summary:
        """All numbers of the audit."""
        return self._summary

    def distances(self, threat: str | None = None) -> PerSample:
        """The smallest size known to break each sample in the set of ``threat`` (default: the first), float64 [N].

        0 where the sample is wrong unperturbed, infinite where nothing was found.
        """
        return torch.from_numpy(self._standing.distance(self._known(threat)))

    def curve(self, radius: float, threat: str | None = None) -> Estimate:
        """The share of samples that stand at ``radius`` in the set of ``threat`` (default: the first).

        It is an upper limit where no attack looked for the smallest perturbation (``curve=None``).
        """
        limit, distance = self._standing.limit_at(radius), self._standing.distance(self._known(threat))
        return Estimate.of(int((distance > limit).sum()), len(distance))

    def verify(self) -> Verification:
        """Check the stored evidence: files, bounds, sizes, and every label by a fresh forward."""
        stages = tuple(stage for stage in self._plan.stages if isinstance(stage, AttackStage))
        return verify(self._subject, stages, self._run, self.records)

    @property
    def _standing(self) -> Standing:
        return after(self._run.spec, self.records)

    def _known(self, threat: str | None) -> str:
        if threat is None:
            return self._summary.threats[0].threat
        if threat not in self.by_threat:
            raise ThreatError(f"no threat {threat!r} in this audit: {', '.join(self.by_threat)}")
        return threat

    def _stored(self, row: int) -> Tensor:
        try:
            return piece.one(address(self.records, row), self.run_dir, self.records.column("sample")[row].as_py())[1]
        except DamagedError as error:
            raise RunError(f"{error}: issue the same audit again, it repairs the run") from error
