"""One perturbation for all images."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, ScoreAccess, predict, require
from saddlepoint.access.checks import check_inputs, check_labels
from saddlepoint.access.model import Box, Model, wrap
from saddlepoint.attacks.batches import in_batches
from saddlepoint.attacks.recipe import get
from saddlepoint.attacks.recipes.square import squares_in
from saddlepoint.attacks.run import ask_clean
from saddlepoint.core.goal import untargeted
from saddlepoint.core.problem import Problem
from saddlepoint.core.slope import slope
from saddlepoint.errors import DataError, OptionError, ThreatError
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers.squares import halving
from saddlepoint.rows import batches
from saddlepoint.sets import L2, Ball, Insertions, Neighborhood, Nuclear

Method = Literal["sgd", "deepfool", "search"]
EPOCHS: dict[Method, int] = {"sgd": 10, "deepfool": 10, "search": 500}
"""Passes over the inputs, unless told otherwise."""
CEILING = 9.0
"""An image whose cross-entropy is above this is fooled well enough: the others are cared for."""


@dc.dataclass(frozen=True)
class Universal:
    """One perturbation ``delta`` [1, *D] for all inputs, and how it was found.

    ``size`` of it; ``fooled``: bool [N], the inputs it was made from whose prediction it changes (or brings to the
    target); ``forwards`` and ``backwards``, over all inputs together.
    """

    delta: Tensor
    threat: Ball
    size: float
    fooled: Tensor
    target: int | None
    forwards: int
    backwards: int

    @property
    def rate(self) -> float:
        """The share of the inputs it was made from that are fooled."""
        return float(self.fooled.double().mean())

    def apply(self, x: Tensor) -> Tensor:
        """Perturbed inputs, [N, *D], inside the bounds of the model."""
        return self.threat.apply(x, self.delta.to(x)).detach()

    def fools(self, model: Callable[[Tensor], Any], x: Tensor) -> Tensor:
        """Which of other inputs x [N, *D] it fools, on this model or another: bool [N].

        Fooled is an input whose prediction changes; with a target, one that is predicted as the target and was not.
        """
        wrapped = model if isinstance(model, Model) else wrap(model, bounds=(self.threat.box.low, self.threat.box.high))
        with wrapped.quiet():
            inputs = check_inputs(x, wrapped.box)
            return _fooled(wrapped, inputs, predict(ask_clean(wrapped, inputs)), self.delta, self.threat, self.target)


def universal(
    model: Callable[[Tensor], Any],
    x: Tensor,
    threat: Neighborhood,
    *,
    method: Method = "sgd",
    target: int | None = None,
    epochs: int | None = None,
    relative_step: float = 0.8,
    enough: float = 1.0,
    seed: int = 0,
) -> Universal:
    """One perturbation that changes the predictions of as many inputs as possible. No labels are needed.

    "sgd": δ <- P(δ + relative_step · radius · steepest(Σ over a batch of ∇ min(cross-entropy, 9))), over all inputs in
    random order, ``epochs`` times; the best δ seen after an epoch is kept. "deepfool": one input after the other, the
    smallest change that takes it, perturbed, over the boundary is added to δ; then P. "search", from scores alone: the
    random search of the Square attack, whose windows are kept where the sum over all inputs rises. With a ``target``
    (not of deepfool), the cross-entropy to it falls.

    Args:
        model: with gradients, or scores for "search"; an ``nn.Module``, callable or ``sp.wrap``.
        x: inputs [N, *D]; some hundreds are enough.
        threat: the set with its radius, one for all: the perturbation is shared, and clipped to the box per input.
        target: label that all inputs shall be taken for.
        epochs: passes over the inputs, at most; of "search", each is one proposal. By default 10, of "search" 500.
        relative_step: in units of the radius; for sgd. Small steps stay near the start, where slopes say little.
        enough: stop at this share of fooled inputs.
        seed: of the order.

    Raises:
        DataError, ModelError, ThreatError, OptionError, AccessError: what is wrong, and what to do.

    Source: Moosavi-Dezfooli, Fawzi, Fawzi, Frossard, "Universal adversarial perturbations", CVPR 2017 (deepfool);
    Shafahi, Najibi, Xu, Dickerson, Davis, Goldstein, "Universal adversarial training", AAAI 2020 (sgd); Andriushchenko,
    Croce, Flammarion, Hein, "Square attack", ECCV 2020 (search; there for each input by itself).

    >>> import saddlepoint as sp
    >>> net, data = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:64]")
    >>> found = universal(net, data.x, sp.Linf(0.2), epochs=5)
    >>> found.delta.shape, found.rate > 0.5
    (torch.Size([1, 1, 28, 28]), True)
    """
    wrapped = model if isinstance(model, Model) else wrap(model)
    inputs = check_inputs(x, wrapped.box)
    ball = _shared(threat, wrapped, inputs)
    if method not in EPOCHS:
        raise OptionError(f"method is sgd, deepfool or search, got {method!r}")
    epochs = EPOCHS[method] if epochs is None else epochs
    if epochs < 1:
        raise OptionError(f"epochs must be at least 1, got {epochs}")
    if not relative_step > 0 or not 0 < enough <= 1:
        raise OptionError(f"relative_step must be positive and enough in (0, 1], got {relative_step:g}, {enough:g}")
    if method == "deepfool" and target is not None:
        raise OptionError("deepfool leaves a class, it aims at none: with a target, take method='sgd' or 'search'")
    before = wrapped.asked
    with wrapped.quiet(seed):
        own = predict(ask_clean(wrapped, inputs))
        if target is not None:
            check_labels(torch.full_like(own, target), inputs, ask_clean(wrapped, inputs[:1]).shape[1], "the target")
        task = _Task(wrapped, inputs, own, ball, target, epochs, enough, seed)
        best, backwards = _searched(task) if method == "search" else _along_slopes(task, method, relative_step)
        fooled = task.fooled(best)
    size = float(ball.size(best.double(), best.double()))
    return Universal(best, ball, size, fooled, target, wrapped.asked - before, backwards)


@dc.dataclass(frozen=True)
class _Task:
    """What is asked: one δ for the inputs x [N, *D], whose predictions are ``own`` (long [N])."""

    model: Model
    x: Tensor
    own: Tensor
    ball: Ball
    target: int | None
    epochs: int
    enough: float
    seed: int

    def fooled(self, delta: Tensor) -> Tensor:
        """Whom δ fools, asked anew: bool [N]."""
        return _fooled(self.model, self.x, self.own, delta, self.ball, self.target)

    def value(self, logits: Tensor, rows: Tensor) -> Tensor:
        """What is raised, for the logits of the inputs ``rows`` (long [n]): [n]."""
        if self.target is None:
            return torch.nn.functional.cross_entropy(logits, self.own[rows], reduction="none").clamp_max(CEILING)
        aim = torch.full_like(rows, self.target)
        return -torch.nn.functional.cross_entropy(logits, aim, reduction="none")


def _along_slopes(task: _Task, method: Method, step: float) -> tuple[Tensor, int]:
    """The best δ seen after an epoch, and how many slopes it took."""
    instead = "for a black box, method='search'"
    access = require(task.model.access(len(task.x), device=task.x.device), GradientAccess, "universal", instead)
    best = one = task.ball.zero(task.x[:1])
    most, backwards = int(task.fooled(one).sum()), 0
    for epoch in range(task.epochs):
        if most >= task.enough * len(task.x):
            break
        order = Noise.seeded(task.seed, torch.arange(len(task.x), device=task.x.device)).at("order", epoch)
        rows = order.uniform(()).argsort()
        if method == "sgd":
            one = _descended(access, task, one, rows, step)
        else:
            one, slopes = _walked(task.model, task.x, task.own, one, task.ball, rows)
            backwards += slopes
        now = int(task.fooled(one).sum())
        best, most = (one, now) if now > most else (best, most)
    return best, backwards + int(access.ledger.backwards.sum())


def _searched(task: _Task) -> tuple[Tensor, int]:
    """The last window that was better than all before it, [1, *D], and no slopes. Each costs a question an input."""
    access = require(
        task.model.access(len(task.x), device=task.x.device), ScoreAccess, "universal", "labels have no value to raise"
    )
    scores = access.lower(ScoreAccess)
    start, propose = squares_in(task.ball, halving(0.8, task.epochs))
    space = dc.replace(task.ball, box=Box(-math.inf, math.inf))  # the box is kept when the perturbation is applied
    none, noise = torch.zeros_like(task.x[:1]), Noise.seeded(task.seed, torch.zeros_like(task.own[:1])).at("search")
    radius = space.radii(none)
    problem = Problem(scores, none, untargeted(task.own[:1]), space, cross_entropy, noise, radius, radius)

    def seen(delta: Tensor) -> tuple[float, int]:
        """The sum of the values, and how many are fooled."""
        ask = in_batches(
            lambda rows: scores.view(rows).scores(task.ball.apply(task.x[rows], delta)), access, len(task.x)
        )
        logits = torch.cat(list(ask))
        return float(task.value(logits, everyone).sum()), int(_others(predict(logits), task.own, task.target).sum())

    everyone = torch.arange(len(task.x), device=task.x.device)
    best = start(problem.at("start"))
    value, count = seen(best)
    for t in range(1, task.epochs):
        if count >= task.enough * len(task.x):
            break
        tried = propose(problem.at(t), best, t)
        risen, now = seen(tried)
        best, value, count = (tried, risen, now) if risen > value else (best, value, count)
    return best, 0


def _shared(threat: Neighborhood, model: Model, x: Tensor) -> Ball:
    """The set as one perturbation lives in it: one radius, no box of its own but when it is applied."""
    if not isinstance(threat, Ball):
        raise ThreatError(f"a universal perturbation needs a ball with a radius, such as sp.Linf(10/255); got {threat}")
    if isinstance(threat, (Nuclear, Insertions)):
        raise ThreatError(f"clipped to the range of each input, a perturbation may grow in {threat.name}: use sp.L2(2)")
    radius = torch.as_tensor(threat.radius)
    if radius.ndim or not bool(radius.isfinite()):
        raise ThreatError("a universal perturbation needs one finite radius for all inputs")
    if threat.mask is not None and len(threat.mask) > 1:
        raise ThreatError("a universal perturbation needs one mask for all inputs, of shape [1, *D]")
    if not len(x):
        raise DataError("there are no inputs to make a perturbation from")
    return threat.fitted_to(model)


def _project(ball: Ball, delta: Tensor) -> Tensor:
    """Onto the ball alone: the box is kept when the perturbation is applied."""
    unbounded = dc.replace(ball, box=Box(-math.inf, math.inf))
    radius = torch.as_tensor(ball.radius, dtype=delta.dtype, device=delta.device).reshape(1)
    return unbounded.project(torch.zeros_like(delta), delta, radius)


def _descended(access: GradientAccess, task: _Task, delta: Tensor, rows: Tensor, step: float) -> Tensor:
    """One epoch of projected steepest ascent on the mean over batches."""
    ball = task.ball
    for part in batches(len(rows), min(access.ledger.batch_size, max(len(rows) // 4, 1)), rows.device):
        some = rows[part.to(rows.device)]
        shared = delta.detach().requires_grad_()
        logits = access.view(some).logits(ball.apply(task.x[some], shared))
        g = slope(task.value(logits, some).sum(), shared)
        delta = _project(ball, delta + _moved(ball, delta, g, step))
    return delta


def _moved(ball: Ball, delta: Tensor, g: Tensor, step: float) -> Tensor:
    """The steepest move of so many radii; no entry goes farther than the box is wide."""
    wide = ball.box.high - ball.box.low
    shared = dc.replace(ball, box=Box(-wide, wide))
    length = step * torch.as_tensor(ball.radius, dtype=delta.dtype, device=delta.device).reshape(1)
    return shared.move(torch.zeros_like(delta), delta.clamp(-wide, wide), g, length)


def _walked(model: Model, x: Tensor, own: Tensor, delta: Tensor, ball: Ball, rows: Tensor) -> tuple[Tensor, int]:
    """One epoch of DeepFool's steps, for each input that still keeps its prediction; and how many slopes it took."""
    deepfool = get("deepfool")
    kind = type(ball) if isinstance(ball, deepfool.sets) else L2
    backwards = 0
    for i in rows.tolist():
        one = ball.apply(x[i : i + 1], delta).detach()
        if int(predict(ask_clean(model, one))) != int(own[i]):
            continue
        found = deepfool(model, one, own[i : i + 1], kind(mask=ball.mask))
        backwards += int(found.backwards)
        if bool(found.met):
            delta = _project(ball, delta + (found.x_adv - one))
    return delta, backwards


def _fooled(model: Model, x: Tensor, before: Tensor, delta: Tensor, ball: Ball, target: int | None) -> Tensor:
    """``before``: the predictions of x itself, long [N]."""
    after = predict(ask_clean(model, ball.apply(x, delta.to(x)).detach()))
    return _others(after, before, target)


def _others(after: Tensor, before: Tensor, target: int | None) -> Tensor:
    """Which predictions are others than before, or the target that was none before: bool [N]."""
    return (after != before) if target is None else (after == target) & (before != target)
