"""A few questions before the first attack: can the answers and the slopes of a model be relied on?"""

from __future__ import annotations

import contextlib
import dataclasses as dc
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.access.asking import predict
from saddlepoint.access.model import Model
from saddlepoint.access.output import squashed
from saddlepoint.attacks.batches import out_of_memory, that_fit
from saddlepoint.attacks.run import ask_clean
from saddlepoint.core.goal import untargeted
from saddlepoint.noise import Noise
from saddlepoint.sets import Linf, Neighborhood

FORWARDS = 5
"""So often the same question is asked, to see whether the answer is always the same (as AutoAttack's own check)."""
DIRECTIONS = 6
"""So many random directions, besides the steepest one, the slope must foretell."""
FINE = 500
"""A step changes each entry by this part of the range of valid inputs, up or down; by more where digits are few."""
ROUNDING = 1e-4
"""Answers scaled to length 1 that are farther apart than this differ by more than rounding (AutoAttack's threshold)."""


@dc.dataclass(frozen=True)
class Slopes:
    """What slopes of the margin at random points of the set are worth, for so many ``samples``.

    ``absent``: nothing connects answer and input; ``zero``: exactly 0 everywhere; ``wild``: not finite; ``told``: the
    median over samples of 1 - Σ (change - foretold)² / Σ change², over small steps along the steepest and along random
    directions: 1 where slopes tell all, 0 where nothing.
    """

    samples: int
    absent: int
    zero: int
    wild: int
    told: float

    @property
    def useless(self) -> int:
        """Samples whose slope leads nowhere."""
        return self.absent + self.zero + self.wild

    @property
    def blind(self) -> bool:
        """Whether that is so for more than a tenth of the samples."""
        return self.useless * 10 > self.samples


@dc.dataclass(frozen=True)
class Answers:
    """How steady the answers are, for so many ``samples``.

    ``gap``: the largest distance between two answers to one question, logits scaled to length 1; ``flips``: samples
    with more than one label among them; ``company``: samples whose label depends on who is asked about together with
    them; ``nan``: samples without an answer; ``certain``: samples whose softmax leaves less to the other classes than
    a float32 can hold;
    ``optimizes``: autograd is called inside; ``remembers``: a buffer changes; ``squashed``: what is taken for logits
    lies in [0, 1], as sigmoids do.
    """

    samples: int
    gap: float
    flips: int
    company: int
    nan: int
    certain: int
    optimizes: bool
    remembers: bool
    squashed: bool


def answers(model: Model, x: Tensor) -> Answers:
    """Ask about x [n, *D] several times. The caller holds ``Model.quiet``."""
    buffers = list(model.network.buffers()) if isinstance(model.network, nn.Module) else []
    before = [buffer.clone() for buffer in buffers]
    with torch.no_grad(), _watched() as called:
        seen = torch.stack([ask_clean(model, x) for _ in range(FORWARDS)])
        changed = any(not torch.equal(was, now) for was, now in zip(before, buffers, strict=True))
        alone = _one_by_one(model, x, seen[0])
    unit = torch.nn.functional.normalize(seen.double(), dim=-1)
    labels = predict(seen)
    gap = float((unit - unit[0]).norm(dim=-1).max().nan_to_num(0.0))
    apart = ~((unit[0] - torch.nn.functional.normalize(alone.double(), dim=-1)).norm(dim=-1) <= ROUNDING)
    return Answers(
        samples=len(x),
        gap=gap,
        flips=int((labels != labels[0]).any(0).sum()),
        company=int((apart & (predict(alone) != labels[0])).sum()) if gap <= ROUNDING else 0,
        nan=int(seen.isnan().any(-1).any(0).sum()),
        certain=int((_doubt(seen[0]) < math.log(torch.finfo(torch.float32).tiny)).sum()),
        optimizes=bool(called),
        remembers=changed,
        squashed=model.output == "logits" and squashed(seen[0]),
    )


def _one_by_one(model: Model, x: Tensor, together: Tensor) -> Tensor:
    """The answers to each of x [n, *D] by itself, last first; NaN where the model takes no single sample."""
    try:
        return torch.cat([model(x[k : k + 1]).detach() for k in reversed(range(len(x)))]).flip(0)
    except (RuntimeError, ValueError) as error:
        if out_of_memory(error):
            raise
        return torch.full_like(together, torch.nan)


def _doubt(logits: Tensor) -> Tensor:
    """log(1 - p) of the likeliest class: [n, K] -> [n]."""
    ranked = logits.double().sort(-1, descending=True).values
    return ranked[:, 1:].logsumexp(-1) - ranked.logsumexp(-1)


def slopes(model: Model, x: Tensor, y: Tensor, threat: Neighborhood, noise: Noise) -> Slopes:
    """Slopes of the margin at a random point of the set around each of x [n, *D]. The caller holds ``Model.quiet``."""
    radius = threat.radii(x)
    delta = threat.project(x, threat.sample(x, radius, noise.at("start")), radius).detach()
    x = threat.apply(x, delta).detach()
    around = Linf(box=threat.box, mask=threat.mask)
    slope, absent = slope_of(model, x, y, around, torch.zeros_like(x))
    wild = ~slope.flatten(1).isfinite().all(1)
    slope = slope.nan_to_num(0.0, 0.0, 0.0)
    zero = (slope.flatten(1) == 0).all(1) & ~wild
    told = torch.where(zero | wild, 0.0, _told(model, x, y, around.masked(slope), noise))
    n = len(x)
    return Slopes(n, n if absent else 0, 0 if absent else int(zero.sum()), int(wild.sum()), float(told.median()))


def _told(model: Model, x: Tensor, y: Tensor, slope: Tensor, noise: Noise) -> Tensor:
    """How much of the change of the margin around x [n, *D] the slope tells, [n]; see ``Slopes``."""
    missed, moved = torch.zeros(len(x)), torch.zeros(len(x))
    finest = 8 * torch.finfo(model.dtype or x.dtype).eps
    here, fine = _margin(model, x, y), (model.box.high - model.box.low) * max(1 / FINE, finest)
    random = (noise.at("way", k).normal(tuple(x.shape[1:]), dtype=x.dtype) for k in range(DIRECTIONS))
    for way in (slope, *random):
        step = fine * way.sign()
        change, foretold = _margin(model, x + step, y) - here, (slope * step).flatten(1).sum(1)
        missed, moved = missed + (change - foretold).square().cpu(), moved + change.square().cpu()
    return torch.where(moved > 0, 1 - missed / moved, 0.0)


def slope_of(model: Model, x: Tensor, y: Tensor, threat: Neighborhood, delta: Tensor) -> tuple[Tensor, bool]:
    """The slope of the margin in δ as autograd gives it, [n, *D], and whether none connects some answer and input.

    The goal is untargeted, so that it points away from the labels y. The caller holds ``Model.quiet``.
    """
    absent = False

    def some(rows: Tensor) -> Tensor:
        nonlocal absent
        own = delta[rows].requires_grad_()
        total = untargeted(y[rows]).margin(model(threat.rows(rows).apply(x[rows], own))).sum()
        slope = torch.autograd.grad(total, own, allow_unused=True)[0] if total.requires_grad else None
        absent |= slope is None
        return torch.zeros_like(own) if slope is None else slope

    return torch.cat(list(that_fit(some, model, len(x), x.device))), absent


def _margin(model: Model, x: Tensor, y: Tensor) -> Tensor:
    return untargeted(y).margin(ask_clean(model, x))


@contextlib.contextmanager
def _watched() -> Iterator[list[str]]:
    """Notes calls of autograd made inside."""
    called: list[str] = []

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            called.append(name)
            return function(*args, **kwargs)

        return call

    places: list[tuple[Any, str]] = [(torch.autograd, "grad"), (torch.autograd, "backward"), (Tensor, "backward")]
    originals = [(place, name, getattr(place, name)) for place, name in places]
    try:
        for place, name, original in originals:
            setattr(place, name, noted(name, original))
        yield called
    finally:
        for place, name, original in originals:
            setattr(place, name, original)
