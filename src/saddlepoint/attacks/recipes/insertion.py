"""Words put into mails, and inputs moved to where harmless ones lie: evasion before there were deep networks."""

from __future__ import annotations

from torch import Tensor

from saddlepoint.access.asking import GradientAccess, ScoreAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.square import AT_ONCE
from saddlepoint.core.protocols import Attack, Optimizer
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError
from saddlepoint.gradients import Tried, backprop
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.objectives.density import sparseness
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.frank_wolfe import FrankWolfe
from saddlepoint.optimizers.greedy import Greedy
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L1, L2, Insertions, Linf, Neighborhood

PAPER = "Biggio et al.: Evasion attacks against machine learning at test time, ECML-PKDD 2013"


@recipe(access=GradientAccess, sets=(Insertions,), paper=PAPER, minimal=True)
def insert(threat: Neighborhood, steps: int = 100) -> Attack[GradientAccess]:
    """One unit at a time where the margin's slope is steepest, until the goal is met.

    With a linear model no fewer units do. Once the radius is spent, units are exchanged.
    """
    at_least_one(steps=steps)
    return Iterate(threat, margin, Greedy(backprop), zero, steps, order=smallest)


@recipe(access=ScoreAccess, sets=(Insertions,), paper=PAPER, minimal=True)
def try_insertions(threat: Neighborhood, steps: int = 50, places: int = 30) -> Attack[ScoreAccess]:
    """One unit at a time, the best of ``places`` where it is tried by asking: for forests and other steps.

    ``places`` + 1 forwards a step.
    """
    at_least_one(steps=steps, places=places)
    return Iterate(threat, margin, Greedy(Tried(places)), zero, steps, order=smallest, compact_below=AT_ONCE)


@recipe(access=GradientAccess, sets=(L1, L2, Linf, Insertions), paper=PAPER)
def mimicry(
    threat: Neighborhood,
    benign: Tensor | None = None,
    weight: float = 10.0,
    width: float | None = None,
    neighbors: int = 20,
    steps: int = 100,
    relative_step: float = 0.1,
) -> Attack[GradientAccess]:
    """The farthest past the boundary the ball allows, drawn to where inputs of the other class are dense.

    maximize margin + weight · (1/k) Σ over the k nearest ``benign`` inputs of exp(-|x' - x_i|₁ / width). Slopes far
    from all data may lead nowhere; the density leads back. It does not stop at the first success, for an input just
    past the boundary of one's own model is no safe bet against another. ``benign`` [M, *D]: without them, the plain
    gradient attack. In L2 and Linf steps of relative_step · radius; in L1, where the steepest step is one entry that is
    soon full, that share of the way to the vertex the slope points to; in Insertions one unit.
    """
    at_least_one(steps=steps, neighbors=neighbors)
    if not (weight >= 0 and 0 < relative_step <= 1):
        raise OptionError(f"weight must be 0 or more, relative_step in (0, 1]; got {weight:g} and {relative_step:g}")
    climb: Optimizer[GradientAccess]
    if isinstance(threat, Insertions):
        climb = Greedy(backprop)
    elif isinstance(threat, L1):
        climb = FrankWolfe(backprop, constant(relative_step), momentum=0.0)
    else:
        climb = Ascent(backprop, constant(relative_step))
    penalty = None if benign is None else sparseness(benign, width, neighbors)
    return Iterate(threat, margin, climb, zero, steps, weight=weight, penalty=penalty, stop_when_met=False)
