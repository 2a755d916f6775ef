"""What an audit cost: passes through the model in all and for each sample, attack by attack."""

from __future__ import annotations

import dataclasses as dc

from saddlepoint.auditing.summary import StageSummary, Summary
from saddlepoint.report.naming import set_words, stage_words, threat_words
from saddlepoint.report.words import duration, short


@dc.dataclass(frozen=True)
class StageCost:
    """One attack: passes for each of the samples that it ``ran_on``."""

    name: str
    ran_on: int
    forwards: float
    backwards: float


@dc.dataclass(frozen=True)
class Cost:
    """Passes of all attacks together, and the ``stages`` that took some. What checks and proofs took is not in it."""

    forwards: int
    backwards: int
    stages: tuple[StageCost, ...]


def cost(summary: Summary) -> Cost:
    """The cost of an audit; a stage that counts for several threats is counted once."""
    several = len(summary.threats) > 1
    stages: dict[str, tuple[StageSummary, StageCost]] = {}
    for threat in summary.threats:
        for stage in threat.stages:
            where = threat_words(threat) if stage.threat == threat.threat else set_words(threat)
            name = stage_words(stage, threat) + (f", {where}" if several else "")
            stages.setdefault(stage.name, (stage, _per_sample(stage, name)))
    all_of = [stage for stage, _ in stages.values()]
    return Cost(
        sum(stage.forwards for stage in all_of),
        sum(stage.backwards for stage in all_of),
        tuple(each for stage, each in stages.values() if stage.ran_on),
    )


def stage_cells(stage: StageSummary) -> tuple[str, ...]:
    """What one attack did and cost, as the cells of a table: see ``STAGE_COLUMNS``."""
    each = _per_sample(stage, "")
    size = "none" if stage.median_size is None else short(stage.median_size)
    passes = "none" if stage.median_passes is None else f"{stage.median_passes:.0f}"
    return (
        str(stage.ran_on),
        str(stage.broke),
        f"{each.forwards:.0f}",
        f"{each.backwards:.0f}",
        passes,
        size,
        duration(stage.seconds),
    )


STAGE_COLUMNS = (
    "ran on",
    "broke",
    "forwards a sample",
    "backwards a sample",
    "passes of a success",
    "median size",
    "time",
)


def _per_sample(stage: StageSummary, name: str) -> StageCost:
    asked = max(stage.ran_on, 1)
    return StageCost(name, stage.ran_on, stage.forwards / asked, stage.backwards / asked)
