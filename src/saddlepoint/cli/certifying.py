"""``saddlepoint certify``: what can be proved about a model, or about its vote under noise."""

from __future__ import annotations

import dataclasses as dc

from torch import Tensor

from saddlepoint.access.asking import predict
from saddlepoint.attacks.run import ask_clean
from saddlepoint.auditing import Estimate
from saddlepoint.certificates import certify as prove
from saddlepoint.certificates import smoothed, why_not
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.setup import Ready, prepare_labeled
from saddlepoint.cli.tables import show, table
from saddlepoint.cli.values import threat_of
from saddlepoint.errors import ModelError, OptionError
from saddlepoint.report.words import interval, percent, short

RADII = 6
"""So many radii are shown of a vote."""


@dc.dataclass(frozen=True)
class Wanted:
    """Either a threat as typed, or the deviation of the noise and how many draws count the votes."""

    samples: str
    threat: str | None
    sigma: float | None
    draws: int
    alpha: float


def certify(model: str, wanted: Wanted, of: ModelOptions, work: WorkOptions) -> None:
    """Print which share of the samples is proved to withstand.

    Raises:
        OptionError: neither or both of a threat and a deviation. ModelError: no bound is known for the model.
    """
    if (wanted.threat is None) == (wanted.sigma is None):
        raise OptionError("say what to prove: --threat linf:0.05 for the model itself, or --sigma 0.25 for its vote")
    ready = prepare_labeled(model, wanted.samples, of, work)
    rows = _bounds(ready, wanted.threat) if wanted.threat is not None else _votes(ready, wanted, work)
    show("", f"{ready.model.name} on {ready.data.name}", "", table(HEADER, rows, right=(1, 2)))


HEADER = ("proved", "", "samples", "95 % interval")


def _bounds(ready: Ready, typed: str) -> list[tuple[str, ...]]:
    """By intervals and CROWN."""
    threat, x, y = threat_of(typed), *_placed(ready)
    hindrance = why_not(ready.model, x[:1])
    if hindrance is not None:
        raise ModelError(f"{hindrance} (--sigma certifies the vote of any model)")
    proof = prove(ready.model, x, y, threat.fitted_to(ready.model))
    with ready.model.quiet():
        right = int((predict(ask_clean(ready.model, x)) == y).sum())
    return [_row("right unperturbed", right, len(x)), _row(f"withstands {threat}", int(proof.certified.sum()), len(x))]


def _votes(ready: Ready, wanted: Wanted, work: WorkOptions) -> list[tuple[str, ...]]:
    """By randomized smoothing."""
    assert wanted.sigma is not None
    x, y = _placed(ready)
    vote = smoothed(
        ready.model, x, sigma=wanted.sigma, n=wanted.draws, alpha=wanted.alpha, seed=work.seed, ids=ready.data.ids
    )
    radii = [wanted.sigma * 4 * k / (RADII - 1) / 2 for k in range(RADII)]
    return [
        _row(f"vote is right within l2:{short(radius)}", int(vote.certified(y, radius).sum()), len(x))
        for radius in radii
    ]


def _placed(ready: Ready) -> tuple[Tensor, Tensor]:
    """Inputs and labels where the model is."""
    device = ready.model.device or ready.data.x.device
    return ready.data.x.to(device), ready.data.y.to(device)


def _row(name: str, count: int, n: int) -> tuple[str, ...]:
    estimate = Estimate.of(count, n)
    return name, percent(estimate.value), f"{count} of {n}", interval(estimate)
