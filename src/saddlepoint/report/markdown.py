"""The report as a Markdown appendix for a paper: the numbers, what speaks against them, and how to get them again."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from saddlepoint.auditing.summary import CurvePoint, Estimate, Summary
from saddlepoint.report.classes import class_rows
from saddlepoint.report.cost import STAGE_COLUMNS, cost, stage_cells
from saddlepoint.report.naming import option_words, plan_words, stage_words, threat_words
from saddlepoint.report.page import headline, lead, tables, warnings
from saddlepoint.report.ruling import NECESSARY, brackets, doubt_title, ruling
from saddlepoint.report.steadiness import steadiness
from saddlepoint.report.voting import vote_words
from saddlepoint.report.words import duration, interval, percent, sentence, short

FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""At so many times the radius of a threat the accuracy is told."""


def markdown(summary: Summary) -> str:
    """The summary as Markdown with tables (as GitHub reads them); everything that came from outside is escaped."""
    parts = [
        f"# {escaped(summary.title)}: robustness audit",
        f"**{escaped(headline(summary))}.** {escaped(lead(summary))}",
        *(f"> {escaped(warning)}" for warning in warnings(summary)),
        _verdict(summary),
        "## Robust accuracy",
        _accuracies(summary),
        *(f"{escaped(known.threat)}: {known.words}." for known in brackets(summary)),
        *(escaped(vote_words(vote, summary)) for vote in summary.votes),
        *_over_radius(summary),
        *_classes(summary),
        *_doubts(summary),
        "## Attacks",
        _attacks(summary),
        *(escaped(f"{threat_words(t)}: {told}") for t in summary.threats if (told := steadiness(t))),
        _cost(summary),
        "## How it was measured",
        *_command(summary),
        *(_pairs(name, rows) for name, rows in tables(summary).items() if rows),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    r"""The text as Markdown shows it: on one line, no character of it markup.

    >>> print(escaped("a_b | `c` <i>"))
    a\_b \| \`c\` &lt;i&gt;
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = re.sub(r"([\\`*_{}\[\]#|~$!])", r"\\\1", line)
    line = re.sub(r"^(\d*)([-+.)])(?=\s|$)", r"\1\\\2", line)  # no list at the beginning of a line
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"://|@|\bwww\.", lambda found: f"{found[0][:-1]}&#{ord(found[0][-1])};", line)


def fenced(code: str) -> str:
    """The code as a block that none of its lines can end.

    >>> print(fenced("ls"))
    ```
    ls
    ```
    """
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{code}\n{fence}"


def _verdict(summary: Summary) -> str:
    given = ruling(summary)
    tried = f" ({words})" if (words := plan_words(summary)) else ""
    return f"Verdict: **{given.verdict}**{tried}. {given.sentence} {NECESSARY}"


def _accuracies(summary: Summary) -> str:
    rows: list[tuple[str, Estimate, int | None]] = [("clean (natural)", summary.clean, None)]
    rows += [(threat_words(t), t.robust, t.certified) for t in summary.threats]
    if len(summary.threats) > 1:
        rows.append(("all threats", summary.union, summary.certified))
    cells = [
        (
            name,
            percent(e.value),
            f"{e.correct} of {e.n}",
            interval(e),
            percent(1 - e.value),
            "" if proven is None else str(proven),
        )
        for name, e, proven in rows
    ]
    return _table(("threat", "accuracy", "right", "95 % interval", "risk", "proven"), cells, left=1)


def _over_radius(summary: Summary) -> list[str]:
    """For each threat whose accuracy is known at other radii, that at parts and multiples of its own."""
    rows = [
        (
            threat_words(threat),
            *(
                percent(threat.robust.value) if factor == 1 else share_at(threat.curve, factor * threat.radius)
                for factor in FACTORS
            ),
            half_stand(threat.curve),
        )
        for threat in summary.threats
        if threat.curve and math.isfinite(threat.radius)
    ]
    header = ("threat", *(f"{factor:g} ×" for factor in FACTORS), "half fall at")
    told = "The share that is not known to fall at so many times the radius of each threat."
    return ["## Over the radius", told, _table(header, rows, left=1)] if rows else []


def share_at(curve: Sequence[CurvePoint], radius: float) -> str:
    """The share that stands at a radius; nothing where no more is known than at smaller ones.

    >>> points = [CurvePoint(0.0, 0.9, 0.8, 1.0), CurvePoint(0.1, 0.5, 0.4, 0.6)]
    >>> share_at(points, 0.05), share_at(points, 0.1), share_at(points, 0.2)
    ('90.0 %', '50.0 %', '')
    """
    known = [point for point in curve if point.radius <= radius]
    return percent(known[-1].robust) if known and radius <= curve[-1].radius else ""


def half_stand(curve: Sequence[CurvePoint]) -> str:
    """The radius at which no more than half of all samples stand; the last one that is known, where more do.

    >>> points = [CurvePoint(0.0, 0.9, 0.8, 1.0), CurvePoint(0.1, 0.5, 0.4, 0.6)]
    >>> half_stand(points), half_stand(points[:1])
    ('0.1', 'above 0')
    """
    fallen = [point.radius for point in curve if point.robust <= 0.5]
    return short(fallen[0]) if fallen else f"above {short(curve[-1].radius)}"


def _classes(summary: Summary) -> list[str]:
    """Class by class, under each threat."""
    rows = [
        (
            threat_words(threat),
            row.name,
            str(row.share.n),
            percent(row.clean),
            percent(row.robust),
            row.taken_for,
        )
        for threat in summary.threats
        for row in class_rows(summary, threat)
    ]
    header = ("threat", "class", "samples", "clean", "withstand", "most often taken for")
    return ["## Classes", _table(header, rows, left=2)] if rows else []


def _doubts(summary: Summary) -> list[str]:
    given = ruling(summary)
    lines = [
        f"- **{doubt.weight}: {escaped(doubt_title(doubt, summary))}.** Found: {escaped(sentence(doubt.found))}"
        f" What to do: {escaped(sentence(doubt.advice))}"
        for doubt in (*given.grave, *given.notes)
    ]
    return ["## Doubts", "\n".join(lines)] if lines else []


def _attacks(summary: Summary) -> str:
    rows = [
        (
            threat_words(threat),
            stage_words(stage, threat) + ("" if stage.complete else " (not finished)"),
            option_words(stage.options),
            *stage_cells(stage),
        )
        for threat in summary.threats
        for stage in threat.stages
    ]
    return _table(("threat", "attack", "options", *STAGE_COLUMNS), rows, left=3)


def _cost(summary: Summary) -> str:
    spent = cost(summary)
    return f"In all {spent.forwards:,} forwards and {spent.backwards:,} backwards, {duration(summary.seconds)}."


def _command(summary: Summary) -> list[str]:
    return [] if summary.command is None else ["This command gives the same numbers again:", fenced(summary.command)]


def _pairs(name: str, rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join([f"{name}:", "", *(f"- {escaped(key)}: {escaped(value)}" for key, value in rows)])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """The first ``left`` columns are aligned to the left, the others to the right."""
    rule = [":--" if i < left else "--:" for i in range(len(header))]
    lines = [header, rule, *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
