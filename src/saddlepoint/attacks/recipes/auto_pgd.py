"""Auto-PGD on cross-entropy, on the difference of logits ratio, and on its targeted form."""

from __future__ import annotations

import math

from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.anneal import Anneal
from saddlepoint.attacks.cascade import restarts as restarted
from saddlepoint.attacks.each_target import EachTarget
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one, check_steps
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import Objective
from saddlepoint.core.protocols import Attack
from saddlepoint.gradients import backprop
from saddlepoint.initializers import gaussian, surface
from saddlepoint.objectives import cross_entropy, dlr, dlr_targeted, margin, toward_target
from saddlepoint.optimizers.auto_pgd import AutoPGD
from saddlepoint.optimizers.sparse_auto_pgd import SparseAutoPGD
from saddlepoint.sets import L1, STEEP, Neighborhood

PAPER = "Croce, Hein: Reliable evaluation of adversarial robustness with an ensemble of diverse attacks, ICML 2020"
RADII = (3.0, 2.0, 1.0)
SHARES = (0.3, 0.3, 0.4)


@recipe(access=GradientAccess, sets=STEEP, paper=PAPER)
def apgd_ce(threat: Neighborhood, steps: int = 100, restarts: int | None = None) -> Attack[GradientAccess]:
    """Auto-PGD on cross-entropy. In L1 with 5 restarts (else 1) and radii of 3, 2, 1 times the given one."""
    check_steps(steps)
    return restarted(auto(threat, cross_entropy, steps), default_restarts(threat, restarts))


@recipe(access=GradientAccess, sets=STEEP, paper=PAPER)
def apgd_dlr(threat: Neighborhood, steps: int = 100, restarts: int | None = None) -> Attack[GradientAccess]:
    """Auto-PGD on the difference of logits ratio; on the margin where there are only two classes."""
    check_steps(steps)
    return restarted(auto(threat, dlr_or_margin, steps), default_restarts(threat, restarts))


@recipe(access=GradientAccess, sets=STEEP, paper=PAPER)
def apgd_t(threat: Neighborhood, steps: int = 100, k: int | None = None, restarts: int = 1) -> Attack[GradientAccess]:
    """Auto-PGD on the targeted difference of logits ratio, toward each of the ``k`` most likely wrong classes.

    k is 9 (5 in L1), at most the number of wrong classes; below four classes the ratio gives way to z_t - z_y.
    """
    at_least_one(steps=steps, k=k, restarts=restarts)
    targets = k or (5 if isinstance(threat, L1) else 9)
    return restarted(EachTarget(auto(threat, dlr_or_pull, steps), targets), restarts)


def auto(threat: Neighborhood, objective: Objective, steps: int) -> Attack[GradientAccess]:
    """Auto-PGD as its authors run it in each ball."""
    if isinstance(threat, L1):
        return sparse(threat, objective, steps)
    return Iterate(threat, objective, AutoPGD(backprop, steps), surface, steps)


def sparse(threat: L1, objective: Objective, steps: int) -> Attack[GradientAccess]:
    """In L1: 30 % of the steps at three radii, 30 % at two, the rest at one, each from where the last ended."""
    first = [max(math.ceil(share * steps), 1) for share in SHARES[:-1]]
    phases = [*first, max(steps - sum(first), 1)]
    runs = [
        Iterate(threat, objective, SparseAutoPGD(backprop, n), gaussian, n, stop_when_met=i == len(phases) - 1)
        for i, n in enumerate(phases)
    ]
    return Anneal(runs, radius_factors=RADII)


def default_restarts(threat: Neighborhood, restarts: int | None) -> int:
    """What AutoAttack uses: 5 in L1, 1 elsewhere."""
    at_least_one(restarts=restarts)
    return restarts or (5 if isinstance(threat, L1) else 1)


def dlr_or_margin(logits: Tensor, goal: Goal) -> Tensor:
    """``dlr``, or the margin where there are only two classes. [*S, N, K] -> [*S, N]."""
    return dlr(logits, goal) if logits.shape[-1] > 2 else margin(logits, goal)


def dlr_or_pull(logits: Tensor, goal: Goal) -> Tensor:
    """``dlr_targeted``, or z_t - z_y below four classes. [*S, N, K] -> [*S, N]."""
    return dlr_targeted(logits, goal) if logits.shape[-1] > 3 else toward_target(logits, goal)
