"""What the report says, as data: the summary of an audit, put into the words and the order of a page."""

from __future__ import annotations

import dataclasses as dc
import json
from collections.abc import Mapping, Sequence
from typing import Any

from saddlepoint.auditing.outlay import Outlay
from saddlepoint.auditing.summary import CurvePoint, Estimate, Summary, ThreatSummary
from saddlepoint.report import svg
from saddlepoint.report.classes import ClassRow, class_rows
from saddlepoint.report.cost import Cost, cost
from saddlepoint.report.gallery import Gallery, ReadPixels, build_gallery
from saddlepoint.report.landscape import Map, build_map
from saddlepoint.report.naming import option_words, set_words, stage_words, threat_words
from saddlepoint.report.ruling import Bracket, Ruling, bracket, bracket_of_all, ruling
from saddlepoint.report.steadiness import steadiness
from saddlepoint.report.voting import vote_words
from saddlepoint.report.words import duration, interval, percent

SCHEMA = 2
ROWS = 21
"""Points of a curve in its table at most."""
PICTURE_BYTES = 2_000_000
"""What the pictures of a page may weigh, so that it can be sent by mail."""
MAPS = 12
"""Landscapes a threat shows at most."""


@dc.dataclass(frozen=True)
class Section:
    """What is said about one threat.

    Attributes: ``bracket`` where proofs were tried; ``curve``, ``losses`` and ``climb``, drawings; ``points`` of the
    first as a table, ``steps`` of the second; ``steadiness`` of the first attack, in a sentence; the ``classes``, the
    ``gallery`` and the ``maps`` of the loss landscape.
    """

    summary: ThreatSummary
    heading: str
    bracket: Bracket | None
    steps: tuple[svg.Step, ...]
    curve: str
    losses: str
    steadiness: str
    climb: str
    points: tuple[CurvePoint, ...]
    classes: tuple[ClassRow, ...]
    gallery: Gallery
    maps: tuple[Map, ...]


@dc.dataclass(frozen=True)
class Page:
    """The report: a headline, its verdict and its explanation, one section for each threat, costs, names and values.

    ``bracket``: of all threats together; ``votes``: what is known of the vote of the model under noise, in words.
    """

    summary: Summary
    clean: Estimate
    headline: str
    lead: str
    ruling: Ruling
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    bracket: Bracket | None
    votes: tuple[str, ...]
    cost: Cost
    passes: str
    tables: Mapping[str, tuple[tuple[str, str], ...]]

    def to_json(self) -> str:
        """The same numbers and words as JSON, without drawings and pictures."""
        summary = json.loads(self.summary.to_json())
        said = {
            "schema": SCHEMA,
            "headline": self.headline,
            "lead": self.lead,
            "target": self.summary.target,
            "targeted_success": self.summary.targeted and dc.asdict(self.summary.targeted),
            "verdict": self.ruling.verdict,
            "warnings": self.warnings,
            "clean": dc.asdict(self.clean),
            "undecided": {s.summary.threat: s.bracket.undecided for s in self.sections if s.bracket},
            "losses": {s.summary.threat: [dc.asdict(step) for step in s.steps] for s in self.sections},
            "shown": {s.summary.threat: [card.example.sample for card in s.gallery.cards] for s in self.sections},
            "cost": dc.asdict(self.cost),
        }
        return json.dumps({**said, "summary": summary}, indent=2, allow_nan=False) + "\n"


def build_page(summary: Summary, read_pixels: ReadPixels) -> Page:
    """The page for an audit.

    Args:
        summary: of the audit.
        read_pixels: gives the inputs of an example.
    """
    spent = cost(summary)
    return Page(
        summary=summary,
        clean=summary.clean,
        headline=headline(summary),
        lead=lead(summary),
        ruling=ruling(summary),
        warnings=warnings(summary),
        sections=tuple(_section(summary, k, read_pixels) for k in range(len(summary.threats))),
        bracket=bracket_of_all(summary),
        votes=tuple(vote_words(vote, summary) for vote in summary.votes),
        cost=spent,
        passes=svg.passes(spent.stages) if spent.stages else "",
        tables=tables(summary),
    )


def headline(summary: Summary) -> str:
    """The result in one sentence."""
    if summary.targeted is not None:
        where = " or ".join(threat_words(t) for t in summary.threats)
        made = f"{percent(summary.targeted.value)} of {summary.n} samples of other classes"
        return f"{made} are taken for {summary.target} within {where}: the targeted success rate"
    where = " and ".join(threat_words(t) for t in summary.threats)
    return f"{percent(summary.union.value)} of {summary.n} samples withstand {where}"


def lead(summary: Summary) -> str:
    """The counts behind the headline."""
    clean = f"Unperturbed, {summary.clean_correct} of {summary.n} are classified rightly"
    if summary.target is not None:
        parts = [f"{t.robust.n - t.robust.correct} under {threat_words(t)}" for t in summary.threats]
        return f"{clean}; taken for {summary.target} are {', '.join(parts)}. Any other mistake counts for nothing."
    if len(summary.threats) == 1:
        return f"{clean}; under attack {summary.union.correct} still are."
    parts = [f"{t.robust.correct} under {threat_words(t)}" for t in summary.threats]
    return f"{clean}; {', '.join(parts)}, and {summary.union.correct} under all of them."


def warnings(summary: Summary) -> tuple[str, ...]:
    """What must be known before the numbers are read."""
    unfinished = "The audit is not complete: the robust accuracies below are upper limits. The same command goes on."
    return (*(() if summary.complete else (unfinished,)), *summary.notices)


def waterfall(summary: Summary, threat: ThreatSummary) -> tuple[svg.Step, ...]:
    """Where the samples went: wrong already, broken by each attack in turn, standing. The counts add up to all.

    Attacks that there was no sample for are left out.
    """
    left = threat.robust.correct + sum(stage.broke for stage in threat.stages)
    first = "wrong already" if summary.target is None else f"{summary.target} already"
    steps = [svg.Step(first, "wrong", summary.n - left, summary.n)]
    for stage in threat.stages:
        if stage.ran_on:
            steps.append(svg.Step(stage_words(stage, threat), "broke", stage.broke, left))
        left -= stage.broke
    return (*steps, svg.Step("still standing", "stands", threat.robust.correct, threat.robust.correct))


def tables(summary: Summary) -> dict[str, tuple[tuple[str, str], ...]]:
    """What was audited and how, as names and values."""
    run = {"seed": summary.seed, "created": summary.created, "time": duration(summary.seconds), "key": summary.key}
    return {
        "Model": _rows({name: value for name, value in summary.model.items() if name != "structure"}),
        "Data": _rows(summary.data),
        "Settings": _rows(summary.settings),
        **outlay_rows(summary),
        "Run": _rows(run),
        "Versions": _rows(summary.versions),
    }


def outlay_rows(summary: Summary) -> dict[str, tuple[tuple[str, str], ...]]:
    """What an endpoint was asked, and how well a stand-in was learned, where there is either."""
    said = Outlay.from_dict(summary.outlay) if summary.outlay else Outlay()
    found = {}
    if said.usage is not None:
        found["Questions"] = _rows(dc.asdict(said.usage))
    if said.labels is not None:
        agree = said.agreement
        share = "not measured" if agree is None else f"{percent(agree.value)} {interval(agree)}, n = {agree.n}"
        found["Stand-in"] = (("labels asked for", str(said.labels)), ("agrees with the model on what is new", share))
    return found


def _section(summary: Summary, k: int, read_pixels: ReadPixels) -> Section:
    threat = summary.threats[k]
    steps, known = waterfall(summary, threat), bracket(threat)
    maps = [one for one in summary.landscapes if one.threat == threat.threat][:MAPS]
    return Section(
        summary=threat,
        heading=threat_words(threat),
        bracket=known,
        steps=steps,
        curve=_curve(threat, known) if len(threat.curve) > 2 else "",
        losses=svg.losses(steps, summary.n),
        steadiness=steadiness(threat),
        climb=svg.climb(threat.climb) if threat.climb and len(threat.climb.points) > 1 else "",
        points=_thinned(threat.curve, ROWS),
        classes=class_rows(summary, threat),
        gallery=build_gallery(summary, threat, f"g{k}", read_pixels, PICTURE_BYTES // len(summary.threats)),
        maps=tuple(build_map(one, summary) for one in maps),
    )


def _curve(threat: ThreatSummary, known: Bracket | None) -> str:
    proven = known.proven / known.n if known else None
    return svg.curve(threat.curve, threat.radius, set_words(threat), threat.robust.value, proven)


def _thinned(points: Sequence[CurvePoint], most: int) -> tuple[CurvePoint, ...]:
    """At most ``most`` of the points, evenly picked, the ends among them."""
    if len(points) <= most:
        return tuple(points)
    return tuple(points[round(i * (len(points) - 1) / (most - 1))] for i in range(most))


def _rows(entries: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name.replace("_", " "), _words(value)) for name, value in entries.items())


def _words(value: Any) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return option_words(value) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
