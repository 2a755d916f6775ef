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
APART, ENTRY = 1 / 4, 1 / 40
"""Slopes are compared at two points that random changes lead to, no larger than these parts: of the radius, and in each
entry of the range of valid inputs."""
DIRECTIONS = 6
"""So many random directions, besides the steepest one, the slope must foretell."""
FINE = 500
"""A step changes each entry by this part of the range of valid inputs, up or down; by more where digits are few."""
USUAL_ENTRIES = 28 * 28
"""Inputs of more entries than this take smaller changes in each, so that the length of a step is the same."""
ROUNDING = 1e-4
"""Answers scaled to length 1 that are farther apart than this differ by more than rounding (AutoAttack's threshold)."""
ENDS = 1e-3
"""A sigmoid so near to 0 or 1 has less than a two-hundredth of its steepest slope."""
COARSE = 64
"""So many units of the last place may be lost where a sample is asked about alone, in numbers of few digits."""


@dc.dataclass(frozen=True)
class Slopes:
    """What slopes of the margin at random points of the set are worth, for so many ``samples``.

    ``absent``: nothing connects answer and input; ``zero``: exactly 0 everywhere; ``wild``: not finite; ``told``: the
    median over samples of 1 - Σ (change - foretold)² / Σ change², over small steps along the steepest and along random
    directions: 1 where slopes tell all, 0 where nothing. ``alike``: the median over samples of the cosine of two slopes
    near to each other: 1 where they are one, 0 where they have nothing in common. ``silent``: no answer at such a
    point; ``flat``: no small step changes the scores at all.
    """

    samples: int
    absent: int
    zero: int
    wild: int
    told: float
    alike: float = 1.0
    silent: int = 0
    flat: int = 0

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
    them; ``mixed``: those whose scores do, by more than rounding; ``nan``: samples without answer, or with an infinite
    one; ``certain``: samples whose softmax leaves less to the other classes than a float32 can hold;
    ``optimizes``: autograd is called inside; ``remembers``: a buffer changes; ``squashed``: what is taken for logits
    lies in [0, 1], as sigmoids do, and often at an end, where these are flat.
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
    mixed: int = 0


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
    single = torch.nn.functional.normalize(alone.double(), dim=-1)
    distance, digits = (unit[0] - single).norm(dim=-1), torch.finfo(model.dtype or x.dtype).eps
    return Answers(
        samples=len(x),
        gap=gap,
        flips=int((labels != labels[0]).any(0).sum()),
        company=int((~(distance <= ROUNDING) & (predict(alone) != labels[0])).sum()) if gap <= ROUNDING else 0,
        nan=int((seen.isnan() | seen.isposinf()).any(-1).any(0).sum()),
        certain=int((_doubt(seen[0]) < math.log(torch.finfo(torch.float32).tiny)).sum()),
        optimizes=bool(called),
        remembers=changed,
        squashed=model.output == "logits" and squashed(seen[0]) and _at_its_ends(seen[0]),
        mixed=int((distance > max(ROUNDING, COARSE * digits)).sum()) if gap <= ROUNDING else 0,
    )


def _at_its_ends(scores: Tensor) -> bool:
    """Whether a tenth of scores in [0, 1] are as near to an end as a sigmoid is where it is flat."""
    return float(((scores < ENDS) | (scores > 1 - ENDS)).double().mean()) >= 0.1


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
    alike = _alike(model, x, y, threat, noise.at("near")) if threat.additive else 1.0
    radius = threat.radii(x)
    delta = threat.project(x, threat.sample(x, radius, noise.at("start")), radius).detach()
    x = threat.apply(x, delta).detach()
    around = Linf(box=threat.box, mask=threat.mask)
    slope, absent = slope_of(model, x, y, around, torch.zeros_like(x))
    wild = ~slope.flatten(1).isfinite().all(1)
    slope = slope.nan_to_num(0.0, 0.0, 0.0)
    zero = (slope.flatten(1) == 0).all(1) & ~wild
    told, moved = _told(model, x, y, around.masked(slope), noise)
    told = torch.where(zero | wild, 0.0, told)
    n, silent = len(x), int((predict(ask_clean(model, x)) < 0).sum())
    useless = (n if absent else 0, 0 if absent else int(zero.sum()), int(wild.sum()))
    return Slopes(n, *useless, float(told.median()), alike, silent, int((moved == 0).sum()))


def _alike(model: Model, x: Tensor, y: Tensor, threat: Neighborhood, noise: Noise) -> float:
    """The median cosine of the slopes at two points near x [n, *D]; see ``Slopes``."""
    most, radius = (model.box.high - model.box.low) * ENTRY * _smaller(x), APART * threat.radii(x)
    seen = []
    for k in range(2):
        change = most * (2 * noise.at(k).uniform(tuple(x.shape[1:]), dtype=x.dtype) - 1)
        near = threat.apply(x, threat.project(x, change, radius)).detach()
        slope, _ = slope_of(model, near, y, Linf(box=threat.box), torch.zeros_like(x))
        seen.append(slope.flatten(1).double())
    return float(torch.nn.functional.cosine_similarity(seen[0], seen[1]).nan_to_num(0.0).median())


def _smaller(x: Tensor) -> float:
    """By how much changes of each entry of x [n, *D] are smaller than usual."""
    return min(1.0, math.sqrt(USUAL_ENTRIES / max(x[0].numel(), 1)))


def _told(model: Model, x: Tensor, y: Tensor, slope: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """How much of the change of the margin around x [n, *D] the slope tells, and its square: [n]; see ``Slopes``."""
    missed, moved = torch.zeros(len(x), dtype=torch.float64), torch.zeros(len(x), dtype=torch.float64)
    finest = 8 * torch.finfo(model.dtype or x.dtype).eps
    here, fine = _margin(model, x, y), (model.box.high - model.box.low) * max(_smaller(x) / FINE, finest)
    random = (noise.at("way", k).normal(tuple(x.shape[1:]), dtype=x.dtype) for k in range(DIRECTIONS))
    for way in (slope, *random):
        step = fine * way.sign()
        change, foretold = _margin(model, x + step, y) - here, (slope * step).flatten(1).sum(1)
        change, foretold = change.double().cpu(), foretold.double().cpu()
        missed, moved = missed + (change - foretold).square(), moved + change.square()
    return torch.where(moved > 0, 1 - missed / moved, 0.0).nan_to_num(0.0), moved


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

    # What grad and backward both call in the end, so that names imported earlier are seen as well.
    engine = [(torch.autograd, "_engine_run_backward")] if hasattr(torch.autograd, "_engine_run_backward") else []
    places: list[tuple[Any, str]] = [
        *engine,
        (torch.autograd, "grad"),
        (torch.autograd, "backward"),
        (Tensor, "backward"),
    ]
    originals = [(place, name, getattr(place, name)) for place, name in places]
    try:
        for place, name, original in originals:
            setattr(place, name, noted(name, original))
        yield called
    finally:
        for place, name, original in originals:
            setattr(place, name, original)
