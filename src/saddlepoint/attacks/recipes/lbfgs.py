"""The attack that began it, on deep networks."""

from __future__ import annotations

import math

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.search import SearchWeight
from saddlepoint.core.problem import squared
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers.lbfgs import LBFGS
from saddlepoint.sets import L2, Neighborhood


@recipe(
    access=GradientAccess,
    sets=(L2,),
    paper="Szegedy et al.: Intriguing properties of neural networks, ICLR 2014",
    minimal=True,
)
def lbfgs(threat: Neighborhood, steps: int = 60, rounds: int = 9, memory: int = 10) -> Attack[GradientAccess]:
    """Box-constrained L-BFGS on the cross-entropy minus a price on |δ|², with the highest price that still succeeds.

    maximize cross-entropy - weight · |δ|₂² (to reach a label, minus its cross-entropy), by ``rounds`` runs of ``steps``
    looks; the weight of each sample is found by bisection. The cross-entropy is ours, log((1 - p) / p), which has a
    slope where the network is sure of itself as well.
    """
    at_least_one(steps=steps, rounds=rounds, memory=memory)
    width = threat.box.high - threat.box.low
    climb = LBFGS(backprop, memory, first=0.5 * width if math.isfinite(width) else 0.5)
    run = Iterate(threat, cross_entropy, climb, zero, steps, penalty=squared, order=smallest, stop_when_met=False)
    return SearchWeight(run, rounds, first=1.0)
