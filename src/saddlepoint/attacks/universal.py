"""One perturbation for all images."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, predict, require
from saddlepoint.access.checks import check_inputs, check_labels
from saddlepoint.access.model import Box, Model, wrap
from saddlepoint.attacks.recipe import get
from saddlepoint.attacks.run import ask_clean
from saddlepoint.core.slope import slope
from saddlepoint.errors import DataError, OptionError, ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import batches
from saddlepoint.sets import L2, Ball, Neighborhood

Method = Literal["sgd", "deepfool"]
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
    epochs: int = 10,
    relative_step: float = 0.1,
    enough: float = 1.0,
    seed: int = 0,
) -> Universal:
    """One perturbation that changes the predictions of as many inputs as possible. No labels are needed.

    "sgd": δ <- P(δ + relative_step · radius · steepest(Σ over a batch of ∇ min(cross-entropy, 9))), over all inputs in
    random order, ``epochs`` times; the best δ seen after an epoch is kept. "deepfool": one input after the other, the
    smallest change that takes it, perturbed, over the boundary is added to δ; then P. With a ``target`` (sgd only), the
    cross-entropy to it falls.

    Args:
        model: with gradients; an ``nn.Module``, callable or ``sp.wrap``.
        x: inputs [N, *D]; some hundreds are enough.
        threat: the set with its radius, one for all: the perturbation is shared, and clipped to the box per input.
        target: label that all inputs shall be taken for.
        epochs: passes over the inputs, at most.
        relative_step: in units of the radius.
        enough: stop at this share of fooled inputs.
        seed: of the order.

    Raises:
        DataError, ModelError, ThreatError, OptionError, AccessError: what is wrong, and what to do.

    Source: Moosavi-Dezfooli, Fawzi, Fawzi, Frossard, "Universal adversarial perturbations", CVPR 2017 (deepfool);
    Shafahi, Najibi, Xu, Dickerson, Davis, Goldstein, "Universal adversarial training", AAAI 2020 (sgd).

    >>> import saddlepoint as sp
    >>> net, data = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:64]")
    >>> found = universal(net, data.x, sp.Linf(0.2), epochs=5)
    >>> found.delta.shape, found.rate > 0.5
    (torch.Size([1, 1, 28, 28]), True)
    """
    wrapped = model if isinstance(model, Model) else wrap(model)
    inputs = check_inputs(x, wrapped.box)
    ball = _shared(threat, wrapped, inputs)
    if epochs < 1:
        raise OptionError(f"epochs must be at least 1, got {epochs}")
    if not relative_step > 0 or not 0 < enough <= 1:
        raise OptionError(f"relative_step must be positive and enough in (0, 1], got {relative_step:g}, {enough:g}")
    if method not in ("sgd", "deepfool"):
        raise OptionError(f"method is sgd or deepfool, got {method!r}")
    if method == "deepfool" and target is not None:
        raise OptionError("deepfool leaves a class, it aims at none: with a target, take method='sgd'")
    before = wrapped.asked
    with wrapped.quiet(seed):
        own = predict(ask_clean(wrapped, inputs))
        access = require(wrapped.access(len(inputs)), GradientAccess, "universal", "a black box has no shared slope")
        if target is not None:
            check_labels(torch.full_like(own, target), inputs, ask_clean(wrapped, inputs[:1]).shape[1], "the target")
        one = ball.zero(inputs[:1])
        best, fooled, backwards = one, _fooled(wrapped, inputs, own, one, ball, target), 0
        for epoch in range(epochs):
            if float(fooled.double().mean()) >= enough:
                break
            order = Noise.seeded(seed, torch.arange(len(inputs), device=inputs.device)).at("order", epoch)
            rows = order.uniform(()).argsort()
            if method == "sgd":
                one = _descended(access, inputs, own, one, ball, rows, target, relative_step)
            else:
                one, slopes = _walked(wrapped, inputs, own, one, ball, rows)
                backwards += slopes
            now = _fooled(wrapped, inputs, own, one, ball, target)
            if int(now.sum()) > int(fooled.sum()):
                best, fooled = one, now
        backwards += int(access.ledger.backwards.sum())
    size = float(ball.size(best.double(), best.double()))
    return Universal(best, ball, size, fooled, target, wrapped.asked - before, backwards)


def _shared(threat: Neighborhood, model: Model, x: Tensor) -> Ball:
    """The set as one perturbation lives in it: one radius, no box of its own but when it is applied."""
    if not isinstance(threat, Ball):
        raise ThreatError(f"a universal perturbation needs a ball with a radius, such as sp.Linf(10/255); got {threat}")
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


def _descended(
    access: GradientAccess,
    x: Tensor,
    own: Tensor,
    delta: Tensor,
    ball: Ball,
    rows: Tensor,
    target: int | None,
    step: float,
) -> Tensor:
    """One epoch of projected steepest ascent on the mean over batches."""
    for part in batches(len(rows), min(access.ledger.batch_size, max(len(rows) // 4, 1))):
        some = rows[part.to(rows.device)]
        shared = delta.detach().requires_grad_()
        logits = access.view(some).logits(ball.apply(x[some], shared))
        if target is None:
            value = torch.nn.functional.cross_entropy(logits, own[some], reduction="none").clamp_max(CEILING)
        else:
            value = -torch.nn.functional.cross_entropy(logits, torch.full_like(own[some], target), reduction="none")
        g = slope(value.sum(), shared)
        delta = _project(ball, delta + step * float(torch.as_tensor(ball.radius)) * ball.steepest(x[:1], g))
    return delta


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
    return after != before if target is None else (after == target) & (before != target)
