"""How often an attack asks at most, told from its parts: what an estimate of time is made of."""

from __future__ import annotations

import functools
import math
import types
from typing import Any

from saddlepoint.attacks.anneal import Anneal
from saddlepoint.attacks.cascade import Cascade
from saddlepoint.attacks.close_calls import CloseCalls
from saddlepoint.attacks.each_target import EachTarget
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.relay import Relay
from saddlepoint.attacks.search import SearchWeight
from saddlepoint.attacks.shrink import FreezeEntries, ShrinkCube
from saddlepoint.attacks.smallest import CloserStarts, NearestTarget, Smallest
from saddlepoint.gradients import Averaged
from saddlepoint.gradients.bandits import BanditPrior
from saddlepoint.gradients.differences import Differences
from saddlepoint.gradients.guided import PriorGuided
from saddlepoint.gradients.measured import Measured, measured_at
from saddlepoint.gradients.natural import Natural
from saddlepoint.gradients.seen import Smoothed, Through
from saddlepoint.gradients.subspace import SubspacePrior
from saddlepoint.gradients.tried import Tried
from saddlepoint.gradients.variance_reduced import VarianceReduced
from saddlepoint.initializers.adversarial import Adversarial
from saddlepoint.initializers.diversified import OutputDiversified
from saddlepoint.initializers.stripes import BumpGrid
from saddlepoint.optimizers.accelerated_frank_wolfe import AcceleratedFrankWolfe
from saddlepoint.optimizers.adam import Adam
from saddlepoint.optimizers.adamm import AdaMM
from saddlepoint.optimizers.admm import ADMM
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.auto_pgd import AutoPGD
from saddlepoint.optimizers.boundary_steps import BoundarySteps
from saddlepoint.optimizers.boundary_walk import BoundaryWalk
from saddlepoint.optimizers.circle_walk import CircleWalk
from saddlepoint.optimizers.coordinate_steps import CoordinateSteps
from saddlepoint.optimizers.ddn import DDN
from saddlepoint.optimizers.deepfool import DeepFool
from saddlepoint.optimizers.fab import FAB
from saddlepoint.optimizers.fmn import FMN
from saddlepoint.optimizers.frank_wolfe import FrankWolfe
from saddlepoint.optimizers.greedy import Greedy
from saddlepoint.optimizers.hand_over import HandOver
from saddlepoint.optimizers.informed_search import InformedSearch
from saddlepoint.optimizers.intermediate import Intermediate
from saddlepoint.optimizers.inward_walk import InwardWalk
from saddlepoint.optimizers.lagrangian import Lagrangian
from saddlepoint.optimizers.lbfgs import LBFGS
from saddlepoint.optimizers.local_ascent import LocalAscent
from saddlepoint.optimizers.parsimonious import Parsimonious
from saddlepoint.optimizers.pointwise import Pointwise
from saddlepoint.optimizers.projected_gradient import ProjectedGradient
from saddlepoint.optimizers.random_search import RandomSearch
from saddlepoint.optimizers.ray import RaySearch
from saddlepoint.optimizers.remembering import Remembering
from saddlepoint.optimizers.rings import GrowingRings, ShrinkingRings
from saddlepoint.optimizers.search_distribution import SearchDistribution
from saddlepoint.optimizers.sign_opt import SignOpt
from saddlepoint.optimizers.sparse_auto_pgd import SparseAutoPGD
from saddlepoint.optimizers.transferred import Transferred
from saddlepoint.optimizers.tuned import Tuned
from saddlepoint.optimizers.visits import Visits
from saddlepoint.optimizers.warm_start import WarmStart
from saddlepoint.sets import Perceptual

SLOPE = 2.0
"""A forward and a backward: the gradient with respect to the input alone costs about as much as the answer."""
FEATURES = 30.0
"""What a step in a ball of features asks of their network: its direction, its projection, its size."""
RETURN = 50.0
"""What a step outward and the bisection back to the boundary ask at most, in practice."""


@functools.singledispatch
def passes(attack: Any, classes: int) -> float:
    """Passes through a model of so many classes for each sample, forwards and backwards, at most.

    NaN where the parts do not tell.

    >>> from saddlepoint import attacks, Linf
    >>> passes(attacks.pgd.attack(Linf(0.1), steps=10, restarts=3), 10)
    66.0
    """
    return math.nan


@passes.register
def _iterate(attack: Iterate, classes: int) -> float:  # type: ignore[type-arg]
    """The start, the steps, a look before and after; what the set itself asks of a network comes on top."""
    asked = start(attack.initializer, classes) + walk(attack.optimizer, attack.steps, classes) + 2
    return asked + (attack.steps * FEATURES if isinstance(attack.set, Perceptual) else 0)


@passes.register(Anneal)
@passes.register(Cascade)
@passes.register(Relay)
@passes.register(Smallest)
def _in_turn(attack: Any, classes: int) -> float:
    return sum(passes(one, classes) for one in attack.attacks)


@passes.register
def _close_calls(attack: CloseCalls, classes: int) -> float:  # type: ignore[type-arg]
    """The rounds for the close calls as if these were as many as their share of the margin, and a look after each."""
    return 1 + sum(one.share * (passes(one.attack, classes) + 1) for one in attack.rounds)


@passes.register
def _each_target(attack: EachTarget, classes: int) -> float:  # type: ignore[type-arg]
    return min(attack.k, classes - 1) * passes(attack.attack, classes) + 1


@passes.register
def _search(attack: SearchWeight, classes: int) -> float:  # type: ignore[type-arg]
    return attack.rounds * passes(attack.attack, classes)


@passes.register
def _nearest_target(attack: NearestTarget, classes: int) -> float:  # type: ignore[type-arg]
    return min(attack.k, classes - 1) * passes(attack.attack, classes) + 1


@passes.register
def _closer_starts(attack: CloserStarts, classes: int) -> float:  # type: ignore[type-arg]
    return attack.n * passes(attack.attack, classes)


@passes.register
def _shrink(attack: ShrinkCube, classes: int) -> float:
    return attack.rounds * passes(attack.attack, classes)


@passes.register
def _freeze(attack: FreezeEntries, classes: int) -> float:
    """A slope after each round tells which entries matter."""
    return attack.rounds * (passes(attack.attack, classes) + SLOPE)


@functools.singledispatch
def start(initializer: Any, classes: int) -> float:
    """Passes of an initializer; NaN where it does not tell."""
    return math.nan


@start.register(types.FunctionType)
@start.register(BumpGrid)
@start.register(Transferred)
def _unasked(initializer: Any, classes: int) -> float:
    return 0.0


@start.register
def _diversified(initializer: OutputDiversified, classes: int) -> float:
    return initializer.steps * SLOPE


@start.register
def _adversarial(initializer: Adversarial, classes: int) -> float:
    given = 0 if initializer.candidates is None else len(initializer.candidates)
    return float(given + initializer.tries + initializer.starts * (1 + initializer.rounds))


@start.register
def _warm(initializer: WarmStart, classes: int) -> float:  # type: ignore[type-arg]
    return walk(initializer.optimizer, initializer.steps, classes)


@functools.singledispatch
def walk(optimizer: Any, steps: int, classes: int) -> float:
    """Passes of so many steps of an optimizer; NaN where it does not tell."""
    return math.nan


@walk.register
def _ascent(optimizer: Ascent, steps: int, classes: int) -> float:  # type: ignore[type-arg]
    return steps * slope(optimizer.gradient)


@walk.register
def _remembering(optimizer: Remembering, steps: int, classes: int) -> float:  # type: ignore[type-arg]
    return recalled(optimizer.slopes, steps)


@walk.register(AcceleratedFrankWolfe)
@walk.register(Adam)
@walk.register(AutoPGD)
@walk.register(DDN)
@walk.register(FMN)
@walk.register(FrankWolfe)
@walk.register(Greedy)
@walk.register(LBFGS)
@walk.register(Lagrangian)
@walk.register(LocalAscent)
@walk.register(ProjectedGradient)
@walk.register(SparseAutoPGD)
def _one_slope(optimizer: Any, steps: int, classes: int) -> float:
    return steps * slope(optimizer.gradient)


@walk.register
def _admm(optimizer: ADMM, steps: int, classes: int) -> float:  # type: ignore[type-arg]
    return steps * (slope(optimizer.gradient) + 1)


@walk.register
def _adamm(optimizer: AdaMM, steps: int, classes: int) -> float:  # type: ignore[type-arg]
    return steps * slope(optimizer.gradient)


@walk.register
def _search_distribution(optimizer: SearchDistribution, steps: int, classes: int) -> float:
    return float(optimizer.draws * steps)


@walk.register
def _ray(optimizer: RaySearch, steps: int, classes: int) -> float:
    """A bisection follows at every step in the worst case; in the usual one, at few."""
    return steps * (1.0 + optimizer.bisections)


@walk.register
def _intermediate(optimizer: Intermediate, steps: int, classes: int) -> float:
    return 2.0 + SLOPE * steps


@walk.register
def _tuned(optimizer: Tuned, steps: int, classes: int) -> float:  # type: ignore[type-arg]
    return steps * ((1 + optimizer.draws) * slope(optimizer.gradient) + optimizer.lookahead)


@walk.register(InformedSearch)
@walk.register(Parsimonious)
@walk.register(Pointwise)
@walk.register(RandomSearch)
@walk.register(Visits)
def _one_look(optimizer: Any, steps: int, classes: int) -> float:
    return float(steps)


@walk.register
def _boundary_walk(optimizer: BoundaryWalk, steps: int, classes: int) -> float:
    draws = (min(optimizer.first_draws * math.sqrt(t), optimizer.most_draws) for t in range(1, steps + 1))
    return sum(draws) + RETURN * steps


@walk.register
def _inward_walk(optimizer: InwardWalk, steps: int, classes: int) -> float:  # type: ignore[type-arg]
    return 1 + float(steps * (optimizer.slopes.questions + 2 * optimizer.tries))


@walk.register
def _boundary_steps(optimizer: BoundarySteps, steps: int, classes: int) -> float:
    return steps * (1 + 1 / optimizer.every)


@walk.register
def _circle_walk(optimizer: CircleWalk, steps: int, classes: int) -> float:
    """The bisection follows at every step in the worst case; in the usual one, at few."""
    return steps * (2.0 + optimizer.rounds)


@walk.register
def _hand_over(optimizer: HandOver, steps: int, classes: int) -> float:  # type: ignore[type-arg]
    """The other's begin asks at the change, and of those who begin anew."""
    first, later = min(steps, optimizer.steps), max(steps - optimizer.steps - 1, 0)
    asked = walk(optimizer.first, first, classes)
    if steps > optimizer.steps:
        asked += start(optimizer.otherwise, classes) + RETURN + walk(optimizer.then, later, classes)
    return asked


@walk.register
def _sign_opt(optimizer: SignOpt, steps: int, classes: int) -> float:
    return steps * (optimizer.draws + RETURN)


@walk.register
def _rings(optimizer: GrowingRings | ShrinkingRings, steps: int, classes: int) -> float:
    return float(steps * optimizer.samples)


@walk.register
def _coordinate_steps(optimizer: CoordinateSteps, steps: int, classes: int) -> float:
    return steps * (1.0 + 2 * optimizer.samples)


@walk.register
def _deep_fool(optimizer: DeepFool, steps: int, classes: int) -> float:
    return float(steps * (1 + _wrong(optimizer.k, classes)))


@walk.register
def _fab(optimizer: FAB, steps: int, classes: int) -> float:
    return float(steps * (2 + _wrong(optimizer.k, classes)))


def _wrong(k: int | None, classes: int) -> int:
    """How many wrong classes are looked at."""
    return classes - 1 if k is None else min(k, classes - 1)


@functools.singledispatch
def slope(gradient: Any) -> float:
    """Passes of one slope; NaN where it does not tell."""
    return math.nan


@slope.register
def _backprop(gradient: types.FunctionType) -> float:
    return SLOPE


@slope.register
def _differences(gradient: Differences) -> float:
    return gradient.questions + 1.0


@slope.register
def _natural(gradient: Natural) -> float:
    return gradient.questions + 1.0


@slope.register
def _tried(gradient: Tried) -> float:
    return gradient.places + 1.0


@slope.register
def _guided(gradient: PriorGuided) -> float:
    return gradient.probes + gradient.questions + 1.0


@functools.singledispatch
def recalled(slopes: Any, steps: int) -> float:
    """Passes of so many slopes with a memory; NaN where it does not tell. What surrogates are asked is not counted."""
    return math.nan


@recalled.register
def _measured(slopes: Measured, steps: int) -> float:
    """The length of the slope is measured at few steps."""
    measured = sum(map(measured_at, range(steps)))
    return steps * (slopes.gradient.questions + 1.0) + measured * slopes.gradient.probes


@recalled.register
def _reduced(slopes: VarianceReduced, steps: int) -> float:
    anchors = math.ceil(steps / slopes.every)
    return anchors * slope(slopes.anchor) + (steps - anchors) * (2.0 * slopes.change.questions + 1)


@recalled.register
def _two_questions(slopes: BanditPrior | SubspacePrior, steps: int) -> float:
    return 3.0 * steps


@slope.register
def _through(gradient: Through) -> float:  # type: ignore[type-arg]
    return gradient.draws * slope(gradient.gradient) + 1


@slope.register
def _smoothed(gradient: Smoothed) -> float:  # type: ignore[type-arg]
    return slope(gradient.gradient)


@slope.register
def _averaged(gradient: Averaged) -> float:  # type: ignore[type-arg]
    return gradient.draws * slope(gradient.gradient)
