"""The smallest perturbation, from labels alone, beginning at an input that meets the goal."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack, Initializer, Optimizer
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError, ThreatError
from saddlepoint.initializers.adversarial import Adversarial, Members, NoiseInputs
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.boundary_steps import BoundarySteps
from saddlepoint.optimizers.boundary_walk import BoundaryWalk, Directions, from_the_input
from saddlepoint.optimizers.circle_walk import CircleWalk
from saddlepoint.optimizers.sign_opt import SignOpt
from saddlepoint.rows import as_images
from saddlepoint.sets import L2, Flow, Latent, Linf, Neighborhood, Nuclear, Perceptual, Recolor

REACH = 4.0
"""The radius of random starts in sets whose perturbations are not added, where none is given."""


@recipe(
    access=LabelAccess,
    sets=(L2, Linf, Nuclear, Perceptual, Flow, Recolor, Latent),
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
    has it. Where none is found, the goal is not met. In sets whose perturbations are not added to the input it begins
    at random ones of one, two and four radii, and walks among perturbations.
    """
    walk = boundary_walk(threat, _cube if isinstance(threat, Linf) else normal, first_draws, most_draws, gamma)
    return _from_outside(threat, walk, steps, candidates, tries, starts)


@recipe(
    access=LabelAccess,
    sets=(L2, Linf),
    paper="Li, Xu, Zhang, Yang, Li: QEBA: query-efficient boundary-based blackbox attack, CVPR 2020",
    minimal=True,
)
def qeba(
    threat: Neighborhood,
    steps: int = 25,
    coarse: int = 2,
    first_draws: int = 100,
    most_draws: int = 10_000,
    gamma: float = 1.0,
    candidates: Tensor | None = None,
    tries: int = 100,
    starts: int = 10,
) -> Attack[LabelAccess]:
    """``hop_skip_jump`` whose random directions are smooth: one number for every ``coarse`` pixels, linear between.

    In fewer dimensions the same number of labels says more about the normal, of what slopes have in common with them.
    """
    at_least_one(coarse=coarse)
    walk = boundary_walk(threat, Coarse(coarse), first_draws, most_draws, gamma)
    return _from_outside(threat, walk, steps, candidates, tries, starts)


@recipe(
    access=LabelAccess,
    sets=(L2,),
    paper="Maho, Furon, Le Merrer: SurFree: a fast surrogate-free black-box attack, CVPR 2021",
    minimal=True,
)
def surfree(
    threat: Neighborhood,
    steps: int = 500,
    coarse: int = 2,
    memory: int = 20,
    candidates: Tensor | None = None,
    tries: int = 100,
    starts: int = 10,
) -> Attack[LabelAccess]:
    """Turn toward random directions, on circles through the input, asking for labels only.

    A step costs two forwards, and seven more where it comes nearer: the default of 500 steps some 2000. ``coarse``: one
    random number for so many pixels; ``memory``: so many directions are not tried again. Begins as ``hop_skip_jump``.
    """
    at_least_one(coarse=coarse)
    if memory < 0:
        raise OptionError(f"memory is how many directions are remembered, 0 or more; got {memory}")
    return _from_outside(threat, CircleWalk(Coarse(coarse), memory), steps, candidates, tries, starts)


@recipe(
    access=LabelAccess,
    sets=(L2, Linf),
    paper="Rahmati, Moosavi-Dezfooli, Frossard, Dai: GeoDA: a geometric framework for black-box adversarial attacks,"
    " CVPR 2020",
    minimal=True,
)
def geoda(
    threat: Neighborhood,
    steps: int = 25,
    coarse: int = 4,
    first_draws: int = 100,
    most_draws: int = 10_000,
    gamma: float = 1.0,
    candidates: Tensor | None = None,
    tries: int = 100,
    starts: int = 10,
) -> Attack[LabelAccess]:
    """Take the boundary for a plane: estimate its normal as ``qeba`` does, and go along it from the input itself.

    The paper draws directions from the 75 lowest frequencies; here they are one number for every ``coarse`` pixels.
    """
    at_least_one(coarse=coarse)
    walk = boundary_walk(threat, Coarse(coarse), first_draws, most_draws, gamma)
    return _from_outside(threat, dc.replace(walk, outward=from_the_input), steps, candidates, tries, starts)


@recipe(
    access=LabelAccess,
    sets=(L2,),
    paper="Cheng, Singh, Chen, Chen, Liu, Hsieh: Sign-OPT: a query-efficient hard-label adversarial attack, ICLR 2020",
    minimal=True,
)
def sign_opt(
    threat: Neighborhood,
    steps: int = 30,
    samples: int = 200,
    candidates: Tensor | None = None,
    tries: int = 100,
    starts: int = 10,
) -> Attack[LabelAccess]:
    """Turn to directions whose boundary is nearer: whether it is, one question tells for each of ``samples`` turns.

    A step costs some 40 questions more, to find how far to turn: the default of 30 steps some 7000.
    """
    at_least_one(samples=samples)
    return _from_outside(threat, SignOpt(samples), steps, candidates, tries, starts)


@recipe(
    access=LabelAccess,
    sets=(L2,),
    paper="Brendel, Rauber, Bethge: Decision-based adversarial attacks: reliable attacks against black-box machine"
    " learning models, ICLR 2018",
    minimal=True,
)
def boundary(
    threat: Neighborhood,
    steps: int = 5000,
    coarse: int = 1,
    candidates: Tensor | None = None,
    tries: int = 100,
    starts: int = 10,
) -> Attack[LabelAccess]:
    """Small random steps along the decision boundary and inward, their lengths adapted to how often they succeed.

    A step costs one question, every fifth two. The first of its kind, and outdone by all the others here.
    """
    at_least_one(coarse=coarse)
    return _from_outside(threat, BoundarySteps(Coarse(coarse)), steps, candidates, tries, starts)


@dc.dataclass(frozen=True)
class Coarse:
    """Smooth random directions: normal numbers on a grid of every ``pixels`` pixels, linear between.

    Inputs that are no pictures have no neighbors: there every entry has its own.
    """

    pixels: int

    def __call__(self, noise: Noise, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """[N, *shape]."""
        if len(shape) < 2:
            return noise.normal(shape, dtype=dtype)
        channels, height, width = as_images(torch.empty(1, *shape, device="meta")).shape[1:]
        grid = noise.normal((channels, -(-height // self.pixels), -(-width // self.pixels)), dtype=dtype)
        fine = torch.nn.functional.interpolate(grid, (height, width), mode="bilinear", align_corners=False)
        return fine.reshape(-1, *shape)


def boundary_walk(
    threat: Neighborhood, directions: Directions, first_draws: int, most_draws: int, gamma: float
) -> BoundaryWalk:
    """The walk along the boundary, its normal estimated along such directions."""
    at_least_one(first_draws=first_draws, most_draws=most_draws)
    if not gamma > 0:
        raise OptionError(f"gamma scales the precision of the bisection, and must be positive; got {gamma:g}")
    return BoundaryWalk(
        directions,
        power=2.0 if isinstance(threat, Linf) else 1.5,
        first_probe=0.1 * (threat.box.high - threat.box.low) if threat.additive else None,
        first_draws=first_draws,
        most_draws=most_draws,
        gamma=gamma,
    )


def _from_outside(
    threat: Neighborhood,
    walk: Optimizer[LabelAccess],
    steps: int,
    candidates: Tensor | None,
    tries: int,
    starts: int,
) -> Attack[LabelAccess]:
    """The walk from an input that meets the goal."""
    at_least_one(steps=steps)
    return shrinking(threat, walk, steps, outside(threat, candidates, tries, starts))


def outside(threat: Neighborhood, candidates: Tensor | None, tries: int, starts: int) -> Adversarial:
    """The smallest of ``starts`` inputs that meet the goal, blended with x as far as it goes."""
    at_least_one(tries=tries, starts=starts)
    return dc.replace(begin_outside(threat, candidates, tries), starts=starts, rounds=10)


def begin_outside(threat: Neighborhood, candidates: Tensor | None, tries: int) -> Adversarial:
    """The nearest of ``candidates`` that meets the goal, else the first of ``tries`` random ones, as it is."""
    if not threat.additive:
        no_candidates(threat, candidates)
        return Adversarial(Members(REACH), None, tries, starts=1, rounds=0)
    if math.isinf(threat.box.high - threat.box.low):
        raise ThreatError(
            "a walk from outside begins at random inputs, which needs bounds: sp.wrap(model, bounds=(low, high))"
        )
    return Adversarial(NoiseInputs(threat.box), candidates, tries, starts=1, rounds=0)


def no_candidates(threat: Neighborhood, candidates: Tensor | None) -> None:
    """Refuse inputs to begin at in a set that cannot lead to them."""
    if candidates is not None:
        raise OptionError(f"candidates are inputs, to which no perturbation of {threat.name} leads: leave them out")


def shrinking(
    threat: Neighborhood, walk: Optimizer[LabelAccess], steps: int, begin: Initializer[LabelAccess]
) -> Attack[LabelAccess]:
    """The smallest change that so many steps of the walk come by."""
    return Iterate(threat, margin, walk, begin, steps, order=smallest, stop_when_met=False)


def normal(noise: Noise, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Directions without a bias, [N, *shape]."""
    return noise.normal(shape, dtype=dtype)


def _cube(noise: Noise, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return 2 * noise.uniform(shape, dtype=dtype) - 1
