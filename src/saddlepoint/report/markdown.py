"""The report as a Markdown appendix for a paper: the numbers, what speaks against them, and how to get them again."""

from __future__ import annotations

import re
from collections.abc import Sequence

from saddlepoint.auditing.summary import Estimate, Summary
from saddlepoint.report.cost import STAGE_COLUMNS, cost, stage_cells
from saddlepoint.report.naming import option_words, stage_words, threat_words
from saddlepoint.report.page import headline, lead, tables, warnings
from saddlepoint.report.ruling import NECESSARY, bracket, doubt_title, ruling
from saddlepoint.report.words import duration, interval, percent, sentence


def markdown(summary: Summary) -> str:
    """The summary as Markdown with tables (as GitHub reads them); everything that came from outside is escaped."""
    parts = [
        f"# {escaped(summary.title)}: robustness audit",
        f"**{escaped(headline(summary))}.** {escaped(lead(summary))}",
        *(f"> {escaped(warning)}" for warning in warnings(summary)),
        _verdict(summary),
        "## Robust accuracy",
        _accuracies(summary),
        *(f"{escaped(known.threat)}: {known.words}." for known in map(bracket, summary.threats) if known),
        *_doubts(summary),
        "## Attacks",
        _attacks(summary),
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
    return f"Verdict: **{given.verdict}**. {given.sentence} {NECESSARY}"


def _accuracies(summary: Summary) -> str:
    rows: list[tuple[str, Estimate, int | None]] = [("clean (natural)", summary.clean, None)]
    rows += [(threat_words(t), t.robust, t.certified) for t in summary.threats]
    if len(summary.threats) > 1:
        rows.append(("all threats", summary.union, None))
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
