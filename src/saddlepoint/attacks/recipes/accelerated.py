"""Black boxes that answer with scores, by methods that are to need fewer questions: estimates that are remembered.

What they are worth on small images is measured in ``benchmarks/reproductions/accelerated.md``.
"""

from __future__ import annotations

from collections.abc import Callable

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.estimated import Loss, climb_of, differences, directions, step_of
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack
from saddlepoint.errors import OptionError
from saddlepoint.gradients.differences import Differences
from saddlepoint.gradients.natural import Natural
from saddlepoint.gradients.variance_reduced import VarianceReduced, spider, storm, svrg
from saddlepoint.optimizers.accelerated_frank_wolfe import AcceleratedFrankWolfe
from saddlepoint.optimizers.admm import ADMM
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.frank_wolfe import FrankWolfe
from saddlepoint.optimizers.projected_gradient import ProjectedGradient
from saddlepoint.optimizers.remembering import Climb, Remembering
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import CONVEX, GRADUAL, STEEP, Neighborhood

HUANG = "Huang, Tao, Chen: Accelerated stochastic gradient-free and projection-free methods, ICML 2020"


@recipe(
    access=ScoreAccess,
    sets=CONVEX,
    paper="Chen, Zhou, Yi, Gu: A Frank-Wolfe framework for efficient and effective adversarial attacks, AAAI 2020",
)
def zo_frank_wolfe(
    threat: Neighborhood,
    steps: int = 100,
    pairs: int = 25,
    sigma: float = 0.01,
    tile: int = 1,
    relative_step: float = 0.2,
    momentum: float = 0.5,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """Frank-Wolfe on slopes estimated by pairs of opposite random steps: each step goes toward a vertex of the set.

    2 · ``pairs`` + 1 forwards a step. The paper's ``momentum`` is 0.9 and more, and keeps a bad first estimate long.
    """
    at_least_one(steps=steps, pairs=pairs, tile=tile)
    estimate = Differences(directions(threat, tile), pairs, step_of(threat, sigma))
    return climb_of(threat, objective, FrankWolfe(estimate, constant(relative_step), momentum), steps)


@recipe(access=ScoreAccess, sets=CONVEX, paper=HUANG)
def acc_szofw(
    threat: Neighborhood,
    steps: int = 100,
    samples: int = 100,
    changes: int = 5,
    every: int = 10,
    sigma: float = 1e-3,
    tile: int = 1,
    relative_step: float | None = None,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """Accelerated Frank-Wolfe on a slope estimated anew at every ``every``-th step, and corrected between.

    Anew from ``samples`` directions; between (SPIDER) by the change of the slope along ``changes`` directions, asked
    about at this point and the one before. 2 · ``changes`` + 1 forwards a step, ``samples`` + 1 for a new estimate.
    Steps go ``relative_step`` of the way to a vertex, 1 / √steps as published.
    """
    at_least_one(steps=steps)
    rate = steps ** (-1 / 2) if relative_step is None else relative_step
    return _reduced(spider, _frank_wolfe(rate), threat, steps, samples, changes, every, sigma, tile, objective)


@recipe(access=ScoreAccess, sets=CONVEX, paper=HUANG)
def acc_szofw_star(
    threat: Neighborhood,
    steps: int = 100,
    samples: int = 10,
    sigma: float = 1e-3,
    tile: int = 1,
    relative_step: float | None = None,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """As ``acc_szofw``, with a slope that is never estimated anew: old errors fade (STORM), and few directions do.

    2 · ``samples`` + 1 forwards a step. Steps go ``relative_step`` of the way to a vertex, steps^(-2/3) as published.
    """
    at_least_one(steps=steps)
    rate = steps ** (-2 / 3) if relative_step is None else relative_step
    return _reduced(storm, _frank_wolfe(rate), threat, steps, samples, samples, steps, sigma, tile, objective)


@recipe(
    access=ScoreAccess,
    sets=GRADUAL,
    paper="Liu et al.: Zeroth-order stochastic variance reduction for nonconvex optimization, NeurIPS 2018",
)
def zo_svrg(
    threat: Neighborhood,
    steps: int = 100,
    samples: int = 100,
    changes: int = 5,
    every: int = 10,
    sigma: float = 1e-3,
    tile: int = 1,
    relative_step: float = 0.1,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """Steepest ascent on a slope estimated well at every ``every``-th point, and corrected by its change since.

    At an anchor from ``samples`` directions; between, the change along ``changes`` directions is added, asked about at
    this point and at the anchor. 2 · ``changes`` + 1 forwards a step, ``samples`` + 1 at an anchor.
    """
    return _reduced(
        svrg, lambda g: Ascent(g, constant(relative_step)), threat, steps, samples, changes, every, sigma, tile,
        objective,
    )  # fmt: skip


@recipe(
    access=ScoreAccess,
    sets=STEEP,
    paper="Zhao, Chen, Wang, Lin: Towards query-efficient black-box adversary with zeroth-order natural gradient"
    " descent, AAAI 2020",
)
def zo_ngd(
    threat: Neighborhood,
    steps: int = 100,
    pairs: int = 10,
    sigma: float = 1e-3,
    tile: int = 1,
    rate: float = 3.0,
    damping: float = 0.01,
    objective: Loss = "cross-entropy",
) -> Attack[ScoreAccess]:
    """Natural gradient ascent: steps measured by how much they change what the model says, not by their length.

    δ <- P(δ + rate · (F + λ I)⁻¹ slope), F the Fisher information of the label against all others, told by the same
    scores; λ = ``damping`` · |slope of the log-odds|². 2 · ``pairs`` + 1 forwards a step.
    """
    at_least_one(steps=steps, pairs=pairs, tile=tile)
    if not damping > 0:
        raise OptionError(f"damping keeps the Fisher information invertible, and must be positive; got {damping:g}")
    slope = Natural(pairs, step_of(threat, sigma), damping, directions(threat, tile))
    return climb_of(threat, objective, ProjectedGradient(slope, constant(rate)), steps)


@recipe(
    access=ScoreAccess,
    sets=STEEP,
    paper="Zhao et al.: On the design of black-box adversarial examples by leveraging gradient-free optimization and"
    " operator splitting method, ICCV 2019",
)
def zo_admm(
    threat: Neighborhood,
    steps: int = 100,
    samples: int = 20,
    sigma: float = 1e-3,
    tile: int = 1,
    rate: float = 3.0,
    coupling: float = 2.0,
    price: float = 0.0,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """ADMM: one variable climbs along estimated slopes, its twin is projected, and a multiplier pulls them together.

    ``price`` on |δ|² keeps the perturbation small inside the ball; ``coupling`` is ρ. ``samples`` + 2 forwards a step.
    """
    at_least_one(steps=steps, samples=samples, tile=tile)
    if not coupling > 0 or not price >= 0:
        raise OptionError(f"coupling must be positive and price not negative, got {coupling:g} and {price:g}")
    return climb_of(threat, objective, ADMM(differences(threat, samples, sigma, tile), rate, coupling, price), steps)


def _frank_wolfe(rate: float) -> Climb[ScoreAccess]:
    if not 0 <= rate <= 1:
        raise OptionError(f"relative_step is a share of the way to a vertex, in [0, 1]; got {rate:g}")
    return lambda slope: AcceleratedFrankWolfe(slope, rate)


def _reduced(
    kind: Callable[[Differences, Differences, int], VarianceReduced],
    climb: Climb[ScoreAccess],
    threat: Neighborhood,
    steps: int,
    samples: int,
    changes: int,
    every: int,
    sigma: float,
    tile: int,
    objective: Loss,
) -> Attack[ScoreAccess]:
    at_least_one(steps=steps, samples=samples, changes=changes, every=every, tile=tile)
    anchor, change = (differences(threat, many, sigma, tile) for many in (samples, changes))
    return climb_of(threat, objective, Remembering(kind(anchor, change, every), climb), steps)
