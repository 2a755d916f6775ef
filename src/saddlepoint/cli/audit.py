"""``saddlepoint audit``: attack in stages, store every result, print a summary, write the report."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from saddlepoint.auditing import DEFAULT, Estimate, Summary
from saddlepoint.auditing import audit as run_audit
from saddlepoint.auditing.verify import Verification
from saddlepoint.cli.attack import class_number
from saddlepoint.cli.endings import BelowError
from saddlepoint.cli.masking import masked
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.progress import progress
from saddlepoint.cli.setup import prepare_labeled, resolve_surrogate
from saddlepoint.cli.tables import show, table
from saddlepoint.cli.values import claim, split_attacks, threat_of
from saddlepoint.errors import OptionError, RunError
from saddlepoint.report import stage_words, threat_words, write_report
from saddlepoint.report.naming import stands_words
from saddlepoint.report.page import outlay_rows
from saddlepoint.report.ruling import brackets, doubt_title, ruling
from saddlepoint.report.voting import vote_words
from saddlepoint.report.words import duration, interval, percent, sentence, short


@dc.dataclass(frozen=True)
class Order:
    """What is to be audited: samples, threats, plan and attacks as typed, and the curve's attack, "auto" or "none"."""

    samples: str
    threats: Sequence[str]
    target: str | None
    mask: Path | None
    plan: str | None
    attacks: Sequence[str] | None
    curve: str
    proofs: bool | None
    surrogate: str | None
    sigma: float | None
    known: Sequence[str]
    out: Path | None
    piece_size: int | None
    report: bool
    verify: bool
    fail_under: float | None
    fail_on: str


def audit(model: str, order: Order, of: ModelOptions, work: WorkOptions, typed: str) -> None:
    """Audit, print the summary, write the report.

    Raises:
        BelowError: the robust accuracy is below ``order.fail_under``, or means nothing.
    """
    bar = order.fail_under
    if bar is not None and not 0 <= bar <= 1:
        raise OptionError(f"--fail-under is a share of all samples, between 0 and 1; got {bar:g}")
    threats = [threat_of(threat) for threat in order.threats]
    attacks = None if order.attacks is None else split_attacks(order.attacks)
    ready = prepare_labeled(model, order.samples, of, work)
    threats = [masked(threat, order.mask, ready.data.x) for threat in threats]
    with progress(work.quiet) as listener:
        done = run_audit(
            ready.model,
            data=ready.data,
            threat=threats,
            target=None if order.target is None else class_number(order.target, ready),
            plan=order.plan,
            attacks=attacks,
            curve=None if order.curve == "none" else order.curve,
            proofs=order.proofs,
            surrogate=None if order.surrogate is None else resolve_surrogate(order.surrogate, work, ready),
            sigma=order.sigma,
            known=dict(map(claim, order.known)),
            seed=work.seed,
            out=order.out or DEFAULT,
            piece_size=order.piece_size,
            budget=work.budget,
            source=model if of.weights is None else f"{model} with {of.weights}",
            command=typed,
            listener=listener,
        )
    summary = done.summary()
    show("", summary.title, "", _accuracies(summary), *_trust(summary), "", _attacks(summary))
    for notice in summary.notices if work.quiet else ():
        show(f"note: {notice}")
    for name, rows in outlay_rows(summary).items():
        show("", f"{name.lower()}: {', '.join(f'{key} {value}' for key, value in rows)}")
    show("", f"records: {done.run_dir}")
    if order.report:
        show(f"report:  {write_report(done.run_dir)}")
    if order.verify:
        show(_verified(done.verify()))
    if bar is not None and summary.verdict in ("invalid", order.fail_on):
        raise BelowError(f"the verdict is {summary.verdict}: no number of this audit clears --fail-under")
    if bar is not None and summary.union.value < bar:
        raise BelowError(f"robust accuracy {percent(summary.union.value)} is below --fail-under {percent(bar)}")


def _verified(found: Verification) -> str:
    """What a second look at every stored input says.

    Raises:
        RunError: the record does not hold.
    """
    if not found.ok:
        more = f", and {len(found.faults) - 1} more" if len(found.faults) > 1 else ""
        raise RunError(f"the record does not hold what the stored inputs do: {found.faults[0]}{more}")
    even = f", {found.borderline} of them by a hair, where rounding decides" if found.borderline else ""
    return f"verified: the model was asked about {found.checked} stored inputs again, and the record holds{even}"


def _accuracies(summary: Summary) -> Table:
    named = [("clean", summary.clean)]
    stands = stands_words(summary)
    named += [(f"{stands}, {threat_words(t)}", t.robust) for t in summary.threats]
    if len(summary.threats) > 1:
        named.append((f"{stands}, all threats", summary.union))
    if summary.targeted is not None:
        named.append((f"targeted success: taken for {summary.target}", summary.targeted))
    return table(("accuracy", "", "right", "95 % interval"), [_accuracy(*one) for one in named], right=(1, 2))


def _accuracy(name: str, estimate: Estimate) -> tuple[str, ...]:
    return name, percent(estimate.value), f"{estimate.correct} of {estimate.n}", interval(estimate)


def _trust(summary: Summary) -> list[str]:
    """What is proven, the verdict, and what speaks against the numbers: a line each."""
    known = [f"{one.threat}: {one.words}" for one in brackets(summary)]
    known += [vote_words(vote, summary) for vote in summary.votes]
    given = ruling(summary)
    doubts = [
        f"{doubt.weight}: {sentence(doubt_title(doubt, summary))} {sentence(doubt.found)} {sentence(doubt.advice)}"
        for doubt in (*given.grave, *given.notes)
    ]
    return ["", *known, f"verdict: {given.verdict}. {given.sentence}", *doubts]


def _attacks(summary: Summary) -> Table:
    rows = [
        (
            threat_words(t),
            stage_words(stage, t),
            str(stage.ran_on),
            str(stage.broke),
            f"{stage.forwards / max(stage.ran_on, 1):.0f}",
            "none" if stage.median_size is None else short(stage.median_size),
            duration(stage.seconds),
        )
        for t in summary.threats
        for stage in t.stages
    ]
    header = ("threat", "attack", "ran on", "broke", "forwards a sample", "median size", "time")
    return table(header, rows, right=(2, 3, 4, 5, 6))
