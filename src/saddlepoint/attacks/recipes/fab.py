"""Fast adaptive boundary attacks in L2, Linf and L1: over all boundaries at once, or target by target."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.smallest import CloserStarts, NearestTarget
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.optimizers.fab import FAB
from saddlepoint.optimizers.hyperplane import nearest_in
from saddlepoint.sets import L1, L2, Linf, Neighborhood

PAPER = "Croce, Hein: Minimally distorted adversarial examples with a fast adaptive boundary attack, ICML 2020"


@recipe(access=GradientAccess, sets=(L2, Linf, L1), paper=PAPER, minimal=True)
def fab(
    threat: Neighborhood,
    steps: int = 100,
    restarts: int = 1,
    k: int | None = None,
    alpha_max: float = 0.1,
    eta: float = 1.05,
    beta: float = 0.9,
) -> Attack[GradientAccess]:
    """The smallest perturbation, by projections onto the nearest linearized boundary, pulled back to the input.

    A step costs two forwards and a backward for each of the ``k`` likeliest wrong classes (None: all of them; with
    many classes, fab_t is cheaper). ``restarts`` counts the first run, from the input, and random ones after it.
    """
    return _restarted(walk(threat, steps, k, alpha_max, eta, beta), threat, restarts)


@recipe(access=GradientAccess, sets=(L2, Linf, L1), paper=PAPER, minimal=True)
def fab_t(
    threat: Neighborhood,
    steps: int = 100,
    restarts: int = 1,
    k: int = 9,
    alpha_max: float = 0.1,
    eta: float = 1.05,
    beta: float = 0.9,
) -> Attack[GradientAccess]:
    """As fab, toward one wrong class after the other: the ``k`` likeliest, each with a run of its own.

    A step costs two forwards and one backward, however many classes there are.
    """
    at_least_one(k=k)
    return NearestTarget(_restarted(walk(threat, steps, 1, alpha_max, eta, beta), threat, restarts), k)


def walk(
    threat: Neighborhood,
    steps: int,
    k: int | None,
    alpha_max: float,
    eta: float,
    beta: float,
    stop_when_met: bool = False,
) -> Iterate[GradientAccess]:
    """One run from the clean input; with ``stop_when_met`` a sample is finished at its first success in the radius."""
    at_least_one(steps=steps, k=k)
    if not 0 <= alpha_max <= 1:
        raise OptionError(f"alpha_max is the largest share of the pull to the input, in [0, 1]; got {alpha_max:g}")
    if not eta >= 1:
        raise OptionError(f"eta is by how much a step overshoots the boundary, at least 1; got {eta:g}")
    if not 0 < beta < 1:
        raise OptionError(f"beta is the part that is left by a step back to the input, in (0, 1); got {beta:g}")
    optimizer = FAB(nearest_in(threat), k, alpha_max, eta, beta)
    return Iterate(threat, margin, optimizer, zero, steps, order=smallest, stop_when_met=stop_when_met)


def _restarted(attack: Attack[GradientAccess], threat: Neighborhood, restarts: int) -> Attack[GradientAccess]:
    at_least_one(restarts=restarts)
    return attack if restarts == 1 else CloserStarts(attack, threat, restarts)
