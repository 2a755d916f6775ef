"""The PGD family: one signed step, many, many with momentum or from random starts."""

from __future__ import annotations

from typing import Literal

import torch

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.cascade import restarts as restarted
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.core.problem import Objective
from saddlepoint.core.protocols import Attack
from saddlepoint.errors import OptionError
from saddlepoint.gradients import backprop
from saddlepoint.initializers import uniform, zero
from saddlepoint.objectives import cross_entropy, margin
from saddlepoint.optimizers.adam import Adam
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import STEEP, Linf, Neighborhood, Patch, Wasserstein

OBJECTIVES: dict[str, Objective] = {"cross-entropy": cross_entropy, "margin": margin}


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Goodfellow, Shlens, Szegedy: Explaining and harnessing adversarial examples, ICLR 2015",
)
def fgsm(threat: Neighborhood) -> Attack[GradientAccess]:
    """One step of the length of the radius along the steepest direction, from the clean input.

    δ = P(radius · steepest(∇ cross-entropy)): in Linf the sign of the gradient, times the radius.
    """
    return Iterate(threat, cross_entropy, Ascent(backprop, constant(1.0)), zero, 1)


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Kurakin, Goodfellow, Bengio: Adversarial examples in the physical world, ICLR workshop 2017",
)
def bim(threat: Neighborhood, steps: int | None = None, step_size: float | None = None) -> Attack[GradientAccess]:
    """Iterated FGSM from the clean input, projected after each step.

    Defaults as in the paper, for a radius ε in units of 1/255 of the range: steps of 1/255 of the range, and
    min(ε + 4, 1.25 ε) of them, but never so few that the ball's edge is out of reach. The paper knows Linf only; in
    other balls the default is 10 steps of a quarter of the radius.
    """
    at_least_one(steps=steps)
    radius = float(torch.as_tensor(threat.radius, dtype=torch.float64).max())
    if isinstance(threat, Linf) and radius > 0:
        unit = (threat.box.high - threat.box.low) / 255
        grains = radius / unit
        steps = steps or max(round(min(grains + 4, 1.25 * grains)), 1)
        rate = (max(unit, radius / steps) if step_size is None else step_size) / radius
    else:
        steps = steps or 10
        rate = 0.25 if step_size is None or not radius else step_size / radius
    return Iterate(threat, cross_entropy, Ascent(backprop, constant(rate)), zero, steps)


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Madry, Makelov, Schmidt, Tsipras, Vladu: Towards deep learning models resistant to attacks, ICLR 2018",
)
def pgd(
    threat: Neighborhood,
    steps: int = 40,
    restarts: int = 1,
    relative_step: float | None = None,
    objective: Literal["cross-entropy", "margin"] = "cross-entropy",
) -> Attack[GradientAccess]:
    """Projected steepest ascent from a random start inside the ball.

    δ <- P(δ + step · radius · steepest(∇ objective)). ``relative_step`` is in units of the radius; the default,
    2.5 / steps, can cross the ball from any start. In the Wasserstein ball it is 1: there a step moves a little of
    every pixel, of which the projection leaves what is worth its way. So it is for patches: what a small step does
    elsewhere never outweighs the content that is there.
    """
    check_steps(steps)
    usual = relative_step_of(threat, steps)
    rate = constant(usual if relative_step is None else relative_step)
    return restarted(Iterate(threat, objective_named(objective), Ascent(backprop, rate), uniform, steps), restarts)


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Uesato, O'Donoghue, van den Oord, Kohli: Adversarial risk and the dangers of evaluating against weak"
    " attacks, ICML 2018",
)
def adam_pgd(
    threat: Neighborhood,
    steps: int = 40,
    restarts: int = 1,
    relative_step: float | None = None,
    objective: Literal["cross-entropy", "margin"] = "cross-entropy",
) -> Attack[GradientAccess]:
    """PGD whose steps are Adam's: momentum, and a length for each entry by how large its slopes were.

    ``relative_step`` · radius is the step of an entry whose slope does not change; the default is 2.5 / steps.
    """
    check_steps(steps)
    rate = constant(2.5 / steps if relative_step is None else relative_step)
    climb = Adam(backprop, rate, inside=True)
    return restarted(Iterate(threat, objective_named(objective), climb, uniform, steps), restarts)


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Dong et al.: Boosting adversarial attacks with momentum, CVPR 2018",
)
def mi_fgsm(threat: Neighborhood, steps: int = 10, decay: float = 1.0) -> Attack[GradientAccess]:
    """Iterated FGSM whose direction is a running sum of normalized gradients.

    g <- decay · g + ∇ / mean|∇|; steps of radius / steps, from the clean input.
    """
    check_steps(steps)
    return Iterate(threat, cross_entropy, Ascent(backprop, constant(1.0 / steps), decay), zero, steps)


def objective_named(name: str) -> Objective:
    """The objective of that name."""
    if name not in OBJECTIVES:
        raise OptionError(f"no objective {name!r}; known: {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


def relative_step_of(threat: Neighborhood, steps: int) -> float:
    """The usual step of projected ascent in so many steps, in units of the radius."""
    return 1.0 if isinstance(threat, Wasserstein | Patch) else 2.5 / steps


def check_steps(steps: int) -> None:
    """Refuse a number of steps below 1."""
    at_least_one(steps=steps)


def at_least_one(**counts: int | None) -> None:
    """Refuse the first of the named numbers that is below 1; None means the default, and passes."""
    for name, count in counts.items():
        if count is not None and count < 1:
            raise OptionError(f"{name} must be at least 1, got {count}")
