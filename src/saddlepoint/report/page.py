"""What the report says, as data: the summary of an audit, put into the words and the order of a page."""

from __future__ import annotations

import dataclasses as dc
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from saddlepoint.auditing.summary import CurvePoint, Estimate, Example, StageSummary, Summary, ThreatSummary
from saddlepoint.report import svg
from saddlepoint.report.pictures import Pictures, pictures
from saddlepoint.report.words import duration, percent, short

ReadPixels = Callable[[Example], tuple[Tensor, Tensor]]
"""From an example to its clean and its adversarial input, [*D] each."""

SCHEMA = 1
CARDS = 12
"""Examples a threat shows at most."""
ROWS = 21
"""Points of a curve in its table at most."""
PICTURE_BYTES = 2_000_000
"""What the pictures of a page may weigh, so that it can be sent by mail."""
SET_NAMES = {"linf": "Linf", "l2": "L2", "l1": "L1", "l0": "L0"}


@dc.dataclass(frozen=True)
class Card:
    """One example of the gallery: labels in words, ``pictures`` where the inputs are some."""

    example: Example
    label: str
    clean_predicted: str
    predicted: str
    pictures: Pictures | None


@dc.dataclass(frozen=True)
class Section:
    """What is said about one threat.

    Attributes: ``curve`` and ``losses``, drawings; ``points`` of the former as a table, ``steps`` of the latter;
    ``two_colors``, whether the differences on the ``cards`` are drawn in red and blue.
    """

    summary: ThreatSummary
    heading: str
    steps: tuple[svg.Step, ...]
    curve: str
    losses: str
    points: tuple[CurvePoint, ...]
    cards: tuple[Card, ...]
    two_colors: bool


@dc.dataclass(frozen=True)
class Page:
    """The report: a headline and its explanation, one section for each threat, tables of names and values."""

    summary: Summary
    clean: Estimate
    headline: str
    lead: str
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    tables: Mapping[str, tuple[tuple[str, str], ...]]

    def to_json(self) -> str:
        """The same numbers and words as JSON, without drawings and pictures."""
        summary = json.loads(self.summary.to_json())
        said = {
            "schema": SCHEMA,
            "headline": self.headline,
            "lead": self.lead,
            "warnings": self.warnings,
            "clean": dc.asdict(self.clean),
            "losses": {s.summary.threat: [dc.asdict(step) for step in s.steps] for s in self.sections},
            "shown": {s.summary.threat: [card.example.sample for card in s.cards] for s in self.sections},
        }
        return json.dumps({**said, "summary": summary}, indent=2, allow_nan=False) + "\n"


def build_page(summary: Summary, read_pixels: ReadPixels) -> Page:
    """The page for an audit.

    Args:
        summary: of the audit.
        read_pixels: gives the inputs of an example.
    """
    share = PICTURE_BYTES // max(len(summary.threats), 1)
    return Page(
        summary=summary,
        clean=summary.clean,
        headline=headline(summary),
        lead=_lead(summary),
        warnings=_warnings(summary),
        sections=tuple(_section(summary, threat, read_pixels, share) for threat in summary.threats),
        tables=_tables(summary),
    )


def headline(summary: Summary) -> str:
    """The result in one sentence."""
    where = " and ".join(threat_words(t) for t in summary.threats)
    return f"{percent(summary.union.value)} of {summary.n} samples withstand {where}"


def threat_words(threat: ThreatSummary) -> str:
    """A threat as it is written for people: "Linf 8/255", with what its label says about radii and mask."""
    several = "up to " if "per sample" in threat.threat else ""
    masked = ", masked" if " mask " in threat.threat else ""
    return f"{set_words(threat)} {several}{short(threat.radius)}{masked}"


def set_words(threat: ThreatSummary) -> str:
    """The set of a threat as it is written for people."""
    return SET_NAMES.get(threat.set_name, threat.set_name)


def waterfall(summary: Summary, threat: ThreatSummary) -> tuple[svg.Step, ...]:
    """Where the samples went: wrong already, broken by each attack in turn, standing. The counts add up to all."""
    left = summary.clean_correct
    steps = [svg.Step("wrong already", "wrong", summary.n - left, summary.n)]
    for stage in threat.stages:
        steps.append(svg.Step(stage_words(stage, threat), "broke", stage.broke, left))
        left -= stage.broke
    return (*steps, svg.Step("still standing", "stands", threat.robust.correct, threat.robust.correct))


def stage_words(stage: StageSummary, threat: ThreatSummary) -> str:
    """The attack of a stage, and where it ran if that was not this threat."""
    tag = stage.name.partition("-")[2].removesuffix("-curve")
    tag = tag.replace("-sentinels", ", sentinels").replace("-doubted", ", if in doubt")
    if stage.threat == threat.threat:
        return tag
    radius = stage.threat.partition(":")[2]
    return f"{tag}, any radius" if radius == "inf" else f"{tag} at {stage.threat}"


def option_words(options: Mapping[str, Any]) -> str:
    """Options as they are written in a call.

    >>> option_words({"steps": 100, "restarts": None})
    'steps=100, restarts=None'
    """
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _lead(summary: Summary) -> str:
    clean = f"Unperturbed, {summary.clean_correct} of {summary.n} are classified rightly"
    if len(summary.threats) == 1:
        return f"{clean}; under attack {summary.union.correct} still are."
    parts = [f"{t.robust.correct} under {threat_words(t)}" for t in summary.threats]
    return f"{clean}; {', '.join(parts)}, and {summary.union.correct} under all of them."


def _warnings(summary: Summary) -> tuple[str, ...]:
    unfinished = "The audit is not complete: the robust accuracies below are upper limits. The same command goes on."
    return (*(() if summary.complete else (unfinished,)), *summary.notices)


def _section(summary: Summary, threat: ThreatSummary, read_pixels: ReadPixels, most_bytes: int) -> Section:
    steps = waterfall(summary, threat)
    cards = _cards(summary, threat, read_pixels, most_bytes)
    return Section(
        summary=threat,
        heading=threat_words(threat),
        steps=steps,
        curve=svg.curve(threat.curve, threat.radius, set_words(threat)) if len(threat.curve) > 2 else "",
        losses=svg.losses(steps, summary.n),
        points=_thinned(threat.curve, ROWS),
        cards=cards,
        two_colors=any(card.pictures.two_colors for card in cards if card.pictures),
    )


def _thinned(points: Sequence[CurvePoint], most: int) -> tuple[CurvePoint, ...]:
    """At most ``most`` of the points, evenly picked, the ends among them."""
    if len(points) <= most:
        return tuple(points)
    return tuple(points[round(i * (len(points) - 1) / (most - 1))] for i in range(most))


def _cards(summary: Summary, threat: ThreatSummary, read_pixels: ReadPixels, most_bytes: int) -> tuple[Card, ...]:
    """The closest calls first, as many as fit: their number and their weight are limited."""
    low, high = summary.model.get("bounds", (0.0, 1.0))
    cards: list[Card] = []
    weight = 0
    for example in sorted(threat.gallery, key=lambda e: (e.size, e.sample))[:CARDS]:
        seen = pictures(*read_pixels(example), (float(low), float(high)))
        weight += sum(len(uri) for uri in (seen.clean, seen.difference, seen.adversarial)) if seen else 0
        if weight > most_bytes:
            break
        cards.append(_card(example, summary, seen))
    return tuple(cards)


def _card(example: Example, summary: Summary, seen: Pictures | None) -> Card:
    classes = summary.data.get("classes") or ()
    label, before, after = (
        _class_name(k, classes) for k in (example.label, example.clean_predicted, example.predicted)
    )
    return Card(example, label, before, after, seen)


def _class_name(k: int, classes: Sequence[Any]) -> str:
    return str(classes[k]) if 0 <= k < len(classes) else f"class {k}"


def _tables(summary: Summary) -> dict[str, tuple[tuple[str, str], ...]]:
    run = {"seed": summary.seed, "created": summary.created, "time": duration(summary.seconds), "key": summary.key}
    return {
        "Model": _rows({name: value for name, value in summary.model.items() if name != "structure"}),
        "Data": _rows(summary.data),
        "Settings": _rows(summary.settings),
        "Run": _rows(run),
        "Versions": _rows(summary.versions),
    }


def _rows(entries: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name.replace("_", " "), _words(value)) for name, value in entries.items())


def _words(value: Any) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return option_words(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def stage_cells(stage: StageSummary) -> tuple[str, ...]:
    """One row of the table of attacks."""
    asked = max(stage.ran_on, 1)
    size = "none" if stage.median_size is None else short(stage.median_size)
    return (
        str(stage.ran_on),
        str(stage.broke),
        f"{stage.forwards / asked:.0f}",
        f"{stage.backwards / asked:.0f}",
        size,
        duration(stage.seconds),
    )
