"""Inputs made from nothing: painted in a class, recognized as that class by a judge, and misread by a model."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.asking import GradientAccess, predict, require
from saddlepoint.access.checks import check_labels
from saddlepoint.access.model import Model, wrap
from saddlepoint.attacks.batches import in_batches
from saddlepoint.attacks.run import ask_clean, check_goal
from saddlepoint.core.goal import Goal, best_other, own
from saddlepoint.core.slope import slope
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise
from saddlepoint.rows import put, take, unit, where


class ClassGenerator(Protocol):
    """Paints inputs of a wanted class, and recognizes classes."""

    @property
    def width(self) -> int:
        """How many numbers a code has; standard normal ones give usual inputs."""
        ...

    def paint(self, code: Tensor, classes: Tensor) -> Tensor:
        """Inputs [N, *D] of the classes (long [N]) from codes [N, w], differentiable in these."""
        ...

    def judge(self, x: Tensor) -> Tensor:
        """The logits [N, K] of what it takes inputs x [N, *D] for, differentiable in them."""
        ...


@dc.dataclass(frozen=True)
class Unrestricted:
    """What was painted, N inputs.

    - ``x`` [N, *D], in the bounds of the model; ``classes`` (long [N]), those they were painted in
    - ``predicted`` (long [N]) by the model, ``judged`` (long [N]) by the judge, both of ``x``
    - ``met`` (bool [N]): misread, or read as the target, while the judge sees the class
    - ``already`` (bool [N]): this was so of the painting of the drawn code, before anything was looked for
    - ``code``, ``start`` [N, w]: the codes of ``x`` and those drawn
    - ``forwards``, ``backwards`` of the model, over all inputs together
    """

    x: Tensor
    classes: Tensor
    predicted: Tensor
    judged: Tensor
    met: Tensor
    already: Tensor
    code: Tensor
    start: Tensor
    forwards: int
    backwards: int

    @property
    def rate(self) -> float:
        """The share of all N that are misread while the judge sees the class."""
        return float(self.met.double().mean())

    @property
    def distance(self) -> Tensor:
        """The largest change of a number of the code, [N]."""
        return (self.code - self.start).abs().amax(1)


def unrestricted(
    model: Callable[[Tensor], Any],
    generator: ClassGenerator,
    classes: Tensor,
    *,
    target: Tensor | None = None,
    judge: Callable[[Tensor], Any] | None = None,
    steps: int = 200,
    closeness: float = 100.0,
    sameness: float = 10.0,
    reach: float = 0.1,
    rate: float = 1 / 64,
    heat: float = 1e-4,
    added: float = 0.0,
    seed: int = 0,
) -> Unrestricted:
    """Paint inputs of the ``classes`` that a model misreads, though a judge sees the class. No inputs are needed.

    minimize  CE(f(x), t) + closeness · mean_j max((z_j - z⁰_j)² - reach², 0) + sameness · CE(judge(x), c)
    over z, with x = G(z, c) and z⁰ drawn from a standard normal distribution: z <- z - rate · slope + noise, its
    variance heat / (1 + step)^0.55. Without a target, t is the wrong class the model is nearest to. With ``added`` > 0,
    x = clip(G(z, c) + added · tanh(u)), u by steps of length 1. An input is done at its first success.

    Args:
        model: with gradients; an ``nn.Module``, callable or ``sp.wrap``.
        generator: ``sp.zoo.generator("fashion")``, or any ``ClassGenerator``.
        classes: long [N], one for each input.
        target: long [N], labels the inputs shall be read as.
        judge: x [N, *D] -> logits [N, K]; the generator's own if not given. Not the attacked model.
        steps: at most.
        closeness, sameness, reach: as above; within ``reach`` of z⁰ codes move freely.
        rate: of the steps.
        heat: variance of the noise of the first step.
        added: the largest change of an entry of the painting, in the units of the input.
        seed: of codes and noise.

    Raises:
        DataError, ModelError, OptionError, AccessError: what is wrong, and what to do.

    Source: Song, Shu, Kushman, Ermon, "Constructing unrestricted adversarial examples with generative models", NeurIPS
    2018: sameness 100, heat 0.01, rate 1 of a mean over 64 inputs, and the last of 1000 steps is taken; there the judge
    does not see what is added.

    >>> import saddlepoint as sp
    >>> found = unrestricted(sp.zoo.load("fashion-pgd-linf"), sp.zoo.generator("fashion"), torch.arange(10), steps=20)
    >>> found.x.shape, bool((found.judged == found.classes)[found.met].all())
    (torch.Size([10, 1, 28, 28]), True)
    """
    hunt = _Hunt(generator, *_judge(model, generator, judge), steps, closeness, sameness, reach, rate, heat, added)
    hunt.check()
    model = hunt.model
    before = model.asked
    noise = Noise.seeded(seed, torch.arange(len(classes), device=model.device or classes.device))
    start = noise.at("code").normal((generator.width,), dtype=torch.float32)
    with model.quiet(seed), hunt.judge.quiet(seed):
        one = generator.paint(start[:1], torch.zeros_like(noise.keys[:1])).detach()
        kinds = check_labels(classes, start, ask_clean(hunt.judge, one).shape[1], "classes")
        drawn = generator.paint(start, kinds).detach().clamp(model.box.low, model.box.high)
        read = ask_clean(model, drawn)
        goal = check_goal(kinds if target is None else Goal(target.to(kinds.device), toward=True), drawn, read.shape[1])
        access = require(model.access(len(kinds), device=kinds.device), GradientAccess, "unrestricted", NO_SLOPE)
        sought = _Sought(kinds, goal, noise, start, start, torch.zeros_like(drawn), torch.zeros_like(kinds) > 0)
        parts = list(in_batches(lambda rows: hunt(access.view(rows), take(sought, rows)), access, len(kinds)))
        code, extra = (torch.cat([getattr(part, name) for part in parts]) for name in ("code", "extra"))
        x = hunt.shown(code, extra, kinds).detach()
        predicted, judged = predict(ask_clean(model, x)), predict(ask_clean(hunt.judge, x))
        already = goal.met(predict(read)) & (predict(ask_clean(hunt.judge, drawn)) == kinds)
    met = goal.met(predicted) & (judged == kinds)
    backwards = int(access.ledger.backwards.sum())
    return Unrestricted(x, kinds, predicted, judged, met, already, code, start, model.asked - before, backwards)


NO_SLOPE = "search rings of codes: sp.attacks.shrinking_rings needs labels only"


@dc.dataclass(frozen=True)
class _Sought:
    """What is looked for, n inputs, and the point reached: its code, what is added before tanh, whether it is good."""

    classes: Tensor
    goal: Goal
    noise: Noise
    start: Tensor
    code: Tensor
    extra: Tensor
    met: Tensor


@dc.dataclass(frozen=True)
class _Hunt:
    """Everything that is the same for all inputs."""

    generator: ClassGenerator
    model: Model
    judge: Model
    steps: int
    closeness: float
    sameness: float
    reach: float
    rate: float
    heat: float
    added: float

    def check(self) -> None:
        """Refuse what makes no sense."""
        if self.steps < 1:
            raise OptionError(f"steps must be at least 1, got {self.steps}")
        for name in ("closeness", "sameness", "reach", "rate", "heat", "added"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{name} must be 0 or more, and finite; got {getattr(self, name):g}")

    def shown(self, code: Tensor, extra: Tensor, classes: Tensor) -> Tensor:
        """The inputs, [n, *D], in the bounds."""
        painted = self.generator.paint(code, classes) + self.added * extra.tanh()
        return painted.clamp(self.model.box.low, self.model.box.high)

    def __call__(self, access: GradientAccess, sought: _Sought) -> _Sought:
        """All steps, of those that are not done."""
        everyone, live = sought, torch.arange(len(sought.met), device=sought.met.device)
        for t in range(self.steps):
            sought = self._step(access.view(live), sought, t)
            everyone = put(everyone, live, sought)
            left = (~sought.met).nonzero().squeeze(1)
            if not len(left):
                break
            live, sought = live[left], take(sought, left)
        return everyone

    def _step(self, access: GradientAccess, sought: _Sought, t: int) -> _Sought:
        """Look; where it is not good yet, move."""
        code, extra = sought.code.detach().requires_grad_(), sought.extra.detach().requires_grad_(self.added > 0)
        x = self.shown(code, extra, sought.classes)
        logits, judged = access.logits(x), self.judge(x)
        met = sought.goal.met(predict(logits)) & (predict(judged) == sought.classes)
        total = self._loss(logits, judged, code, sought).sum()
        noise = sought.noise.at("step", t).normal(tuple(code.shape[1:]), dtype=code.dtype)
        down = slope(total, code, retain=self.added > 0)
        later = code.detach() - self.rate * down + math.sqrt(self.heat / (1 + t) ** 0.55) * noise
        more = extra.detach()
        if self.added > 0:
            more = more - unit(slope(total, extra))
        moved = dc.replace(sought, code=later, extra=more)
        return where(met, dc.replace(sought, met=met), moved)

    def _loss(self, logits: Tensor, judged: Tensor, code: Tensor, sought: _Sought) -> Tensor:
        """What is minimized, [n]."""
        label, goal = sought.goal.label, sought.goal
        wanted = own(logits, label) if goal.toward else best_other(logits, label)
        astray = logits.logsumexp(1) - wanted
        away = ((code - sought.start).square() - self.reach**2).clamp_min(0).mean(1)
        unlike = functional.cross_entropy(judged, sought.classes, reduction="none")
        return astray + self.closeness * away + self.sameness * unlike


def _judge(
    model: Callable[[Tensor], Any], generator: ClassGenerator, judge: Callable[[Tensor], Any] | None
) -> tuple[Model, Model]:
    """The model and the judge, in the same bounds."""
    wrapped = model if isinstance(model, Model) else wrap(model)
    if isinstance(judge, Model):
        return wrapped, judge
    return wrapped, wrap(judge or generator.judge, bounds=(wrapped.box.low, wrapped.box.high))
