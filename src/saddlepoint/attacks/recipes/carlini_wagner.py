"""Carlini and Wagner's attacks: the size as a price on top of the margin, in L2, Linf and L0.

Where the paper changes variables by tanh to stay in the box, these project: under tanh a pixel that is exactly black or
white has almost no slope, and hardly moves. For a confidence κ, give the goal one: ``sp.untargeted(y, confidence=κ)``.
"""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.search import SearchWeight
from saddlepoint.attacks.shrink import FreezeEntries, ShrinkCube, overflow
from saddlepoint.core.problem import squared
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.objectives import hinge
from saddlepoint.optimizers.adam import Adam
from saddlepoint.optimizers.deepfool import DeepFool, WithinBox
from saddlepoint.optimizers.hyperplane import nearest_in
from saddlepoint.optimizers.schedules import constant, cosine
from saddlepoint.optimizers.warm_start import WarmStart
from saddlepoint.sets import L0, L2, Linf, Neighborhood

PAPER = "Carlini, Wagner: Towards evaluating the robustness of neural networks, S&P 2017"


@recipe(access=GradientAccess, sets=(L2,), paper=PAPER, minimal=True)
def cw_l2(
    threat: Neighborhood, steps: int = 200, rounds: int = 9, rate: float = 0.01, k: int = 9
) -> Attack[GradientAccess]:
    """Adam on the margin minus a price on |δ|², with the price of each sample found by bisection.

    maximize min(margin, κ) - |δ|₂² / c. ``rounds`` runs of ``steps`` steps; c begins at 1e-3. The paper makes up to
    10 000 steps at a constant rate from the clean input; these shrink along a cosine to a thousandth of ``rate``, from
    one step of DeepFool toward the nearest of the ``k`` likeliest wrong classes, and so settle in far fewer.
    """
    at_least_one(steps=steps, rounds=rounds, k=k)
    start = WarmStart(DeepFool(WithinBox(nearest_in(threat)), k))
    climb = Adam(backprop, cosine(rate, rate / 1000, steps))
    run = Iterate(threat, hinge, climb, start, steps, penalty=squared, order=smallest, stop_when_met=False)
    return SearchWeight(run, rounds, first=1e3)


@recipe(access=GradientAccess, sets=(Linf,), paper=PAPER, minimal=True)
def cw_linf(threat: Neighborhood, steps: int = 100, rounds: int = 80, rate: float = 0.005) -> Attack[GradientAccess]:
    """Adam on the margin minus a price on what sticks out of a cube, which shrinks with every success.

    maximize min(margin, κ) - Σ max(|δ_i| - τ, 0) / c, in the units of the range. After a success
    τ <- 0.9 · min(τ, |δ|_∞), on from where it was; after a failure c doubles, from 1e-5 to 20. A sample is finished
    when c passes 20 or τ falls below 1/256; ``rounds`` limits the runs. The last step of the paper's schedule leaves τ
    10 % too large; here the gap between the last success and the last failure is halved until the rounds are spent.
    """
    at_least_one(steps=steps, rounds=rounds)
    climb = Adam(backprop, cosine(rate, rate / 100, steps))
    run = Iterate(threat, hinge, climb, zero, steps, penalty=overflow, order=smallest)
    return ShrinkCube(run, rounds, threat.box.high - threat.box.low)


@recipe(access=GradientAccess, sets=(L0,), paper=PAPER, minimal=True)
def cw_l0(threat: Neighborhood, steps: int = 50, reductions: int = 400, rate: float = 0.01) -> Attack[GradientAccess]:
    """Adam on the margin minus a price on |δ|², over fewer and fewer entries.

    After a success the entries that matter least, by |δ_i · slope_i|, are frozen at their clean value, and the rest
    goes on from where it was; after a failure c is four times as large, up to 2e6. ``reductions`` limits the runs of
    ``steps`` steps: pictures of 784 entries take some 200, about 2000 passes.
    """
    at_least_one(steps=steps, reductions=reductions)
    dense = L2(box=threat.box, mask=threat.mask)
    run = Iterate(dense, hinge, Adam(backprop, constant(rate)), zero, steps, penalty=squared, order=smallest)
    return FreezeEntries(run, threat, reductions)
