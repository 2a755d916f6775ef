"""HopSkipJump: the smallest perturbation, from labels alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError, ThreatError
from saddlepoint.initializers.adversarial import Adversarial
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.boundary_walk import BoundaryWalk
from saddlepoint.sets import L2, Linf, Neighborhood


@recipe(
    access=LabelAccess,
    sets=(L2, Linf),
    paper="Chen, Jordan, Wainwright: HopSkipJumpAttack: a query-efficient decision-based attack, S&P 2020",
    minimal=True,
)
def hop_skip_jump(
    threat: Neighborhood,
    steps: int = 25,
    first_draws: int = 100,
    most_draws: int = 10_000,
    gamma: float = 1.0,
    candidates: Tensor | None = None,
    tries: int = 100,
    starts: int = 10,
) -> Attack[LabelAccess]:
    """Walk along the decision boundary toward the input, asking for labels only.

    The t-th step asks about 100 √t labels to estimate the boundary's normal, and some 20 to step and to return to the
    boundary: the default of 25 steps costs some 9000 forwards, the paper's 64 some 36 000. A ``budget`` ends the
    walk earlier, with the best point reached.

    It begins between x and an input at which the goal is met: the smallest such perturbation of ``starts``, among
    ``candidates`` [M, *D] and ``tries`` random inputs. To reach a label, give some inputs of that label: noise rarely
    has it. Where none is found, the goal is not met.
    """
    at_least_one(steps=steps, first_draws=first_draws, most_draws=most_draws, tries=tries, starts=starts)
    if not gamma > 0:
        raise OptionError(f"gamma scales the precision of the bisection, and must be positive; got {gamma:g}")
    width = threat.box.high - threat.box.low
    if math.isinf(width):
        raise ThreatError(
            "hop_skip_jump begins at random inputs, which needs bounds: sp.wrap(model, bounds=(low, high))"
        )
    round_ball = isinstance(threat, L2)
    walk = BoundaryWalk(
        _normal if round_ball else _cube,
        power=1.5 if round_ball else 2.0,
        first_probe=0.1 * width,
        first_draws=first_draws,
        most_draws=most_draws,
        gamma=gamma,
    )
    begin = Adversarial(threat.box, candidates, tries, starts)
    return Iterate(threat, margin, walk, begin, steps, order=smallest, stop_when_met=False)


def _normal(noise: Noise, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return noise.normal(shape, dtype=dtype)


def _cube(noise: Noise, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return 2 * noise.uniform(shape, dtype=dtype) - 1
