"""Black boxes that answer with scores: ascent along estimated slopes, and searches that do without."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from saddlepoint.access.asking import GradientAccess, ScoreAccess
from saddlepoint.access.dropping import droppable
from saddlepoint.access.model import Model
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one, objective_named
from saddlepoint.attacks.recipes.square import AT_ONCE
from saddlepoint.core.protocols import Attack, Optimizer, Recalling
from saddlepoint.errors import OptionError
from saddlepoint.gradients.bandits import BanditPrior
from saddlepoint.gradients.differences import Differences, Directions, Tiled, sphere
from saddlepoint.gradients.guided import PriorGuided
from saddlepoint.gradients.measured import Measured
from saddlepoint.gradients.prior_mixes import Biased, Joined
from saddlepoint.gradients.subspace import SubspacePrior
from saddlepoint.initializers import zero
from saddlepoint.optimizers.adamm import AdaMM
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.chunks import all_up, flip_chunks
from saddlepoint.optimizers.parsimonious import Parsimonious
from saddlepoint.optimizers.random_search import RandomSearch
from saddlepoint.optimizers.remembering import Remembering
from saddlepoint.optimizers.schedules import constant, growing
from saddlepoint.optimizers.search_distribution import SearchDistribution
from saddlepoint.sets import CONVEX, GRADUAL, L0, L1, L2, STEEP, Flow, Linf, Neighborhood, Patch, Perceptual

Loss = Literal["margin", "cross-entropy"]
ADAMM_RATES: Mapping[type[Neighborhood], float] = {Linf: 0.3, L2: 2.0, L1: 50.0, L0: 50.0, Patch: 50.0}
OTHER_ADAMM_RATE = 10.0
"""First steps of ``zo_adamm``: what moves all entries moves each but little where few may change."""
MIXES: Mapping[str, type[Biased] | type[Joined]] = {"biased": Biased, "joined": Joined}
"""How the slope of a surrogate and random directions make one estimate."""


@recipe(
    access=ScoreAccess,
    sets=STEEP,
    paper="Nesterov, Spokoiny: Random gradient-free minimization of convex functions, 2017; signs: Liu et al.: signSGD"
    " via zeroth-order oracle, ICLR 2019",
)
def rgf(
    threat: Neighborhood,
    steps: int = 100,
    samples: int = 50,
    sigma: float = 1e-3,
    tile: int = 1,
    relative_step: float = 0.1,
    momentum: float = 0.0,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """Steepest ascent on slopes estimated by one-sided differences along random directions: in Linf, ZO-signSGD.

    ``samples`` + 1 forwards a step. ``sigma`` is in units of the range of the input; directions are constant on tiles
    of ``tile`` pixels.
    """
    at_least_one(steps=steps, samples=samples, tile=tile)
    estimate = differences(threat, samples, sigma, tile)
    return climb_of(threat, objective, Ascent(estimate, constant(relative_step), momentum), steps)


@recipe(
    access=ScoreAccess,
    sets=STEEP,
    paper="Cheng, Dong, Pang, Su, Zhu: Improving black-box adversarial attacks with a transfer-based prior, 2019",
)
def p_rgf(
    threat: Neighborhood,
    surrogate: Model | None = None,
    steps: int = 60,
    samples: int = 50,
    probes: int = 10,
    sigma: float = 1e-3,
    tile: int = 1,
    mix: Literal["biased", "joined"] = "biased",
    relative_step: float = 0.1,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """As ``rgf``, but most of the directions lie near the slope of a ``surrogate`` where that is worth it.

    ``samples`` + 2 forwards a step, or 2 where the surrogate's slope alone is followed; at steps 0, 3, 10, 20, 30, ...
    ``probes`` more, for the length of the slope, which is remembered. What the surrogate is asked does not count.
    ``surrogate`` is what ``sp.wrap`` gives; without one, directions are those of ``rgf``. Other directions are constant
    on tiles of ``tile`` pixels. ``mix="joined"`` puts the surrogate's slope beside the estimate, not into it: one
    question more a step.
    """
    at_least_one(steps=steps, samples=samples, probes=probes, tile=tile)
    if mix not in MIXES:
        raise OptionError(f"mix is one of {', '.join(MIXES)}; got {mix!r}")
    if surrogate is None:
        climb = Ascent(differences(threat, samples, sigma, tile), constant(relative_step))
        return climb_of(threat, objective, climb, steps)
    check_surrogates(surrogate)
    estimate = PriorGuided(surrogate, MIXES[mix](samples, tile), step_of(threat, sigma), probes)
    return climb_of(threat, objective, recalling(Measured(estimate), relative_step), steps)


@recipe(
    access=ScoreAccess,
    sets=STEEP,
    paper="Chen et al.: ZO-AdaMM: zeroth-order adaptive momentum method for black-box optimization, NeurIPS 2019",
)
def zo_adamm(
    threat: Neighborhood,
    steps: int = 100,
    samples: int = 50,
    sigma: float = 1e-3,
    tile: int = 1,
    relative_step: float | None = None,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """AMSGrad on slopes estimated as in ``rgf``, its steps ``relative_step`` · radius / √t.

    That is 0.3 in Linf, 2 in L2, 50 where few entries change, 10 elsewhere, in the set's own measure of steps by which
    all entries change.
    """
    at_least_one(steps=steps, samples=samples, tile=tile)
    rate = ADAMM_RATES.get(type(threat), OTHER_ADAMM_RATE) if relative_step is None else relative_step
    return climb_of(threat, objective, AdaMM(differences(threat, samples, sigma, tile), rate), steps)


@recipe(
    access=ScoreAccess,
    sets=GRADUAL,
    paper="Ilyas, Engstrom, Madry: Prior convictions: black-box adversarial attacks with bandits and priors, ICLR 2019",
)
def bandits(
    threat: Neighborhood,
    steps: int = 1500,
    tile: int | None = None,
    relative_step: float | None = None,
    rate_prior: float | None = None,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """Ascent along a slope that is remembered, and improved by two questions a step.

    It is constant on tiles of ``tile`` pixels, by default 2, or 1 where perturbations are no pictures. Three forwards a
    step: the paper looks at its point without counting.
    ``relative_step`` in units of the radius: 0.2 in Linf, 0.1 in L2, as published; so is ``rate_prior`` in L2, 0.1, the
    rate of a step Δ u of the prior, where u is as long as ``BanditPrior.explore`` on average. In Linf it is 3, where
    100 as published leaves a third more standing on small images.
    """
    tile = tile_of(threat, tile)
    at_least_one(steps=steps, tile=tile)
    cube = isinstance(threat, Linf)
    prior = BanditPrior(
        rate=(3.0 if cube else 0.1) if rate_prior is None else rate_prior,
        probe=0.1 if cube else 0.01,
        explore=1.0 if cube else 0.01,
        tile=tile,
        exponentiated=cube,
        width=width_of(threat),
    )
    rate = (0.2 if cube else 0.1) if relative_step is None else relative_step
    return climb_of(threat, objective, recalling(prior, rate), steps)


@recipe(
    access=ScoreAccess,
    sets=STEEP,
    paper="Guo, Yan, Zhang: Subspace attack: exploiting promising subspaces for query-efficient black-box attacks,"
    " NeurIPS 2019",
)
def subspace(
    threat: Neighborhood,
    surrogate: Model | Sequence[Model] = (),
    steps: int = 1500,
    relative_step: float = 0.125,
    probe: float = 0.1,
    explore: float = 0.1,
    dropout: float = 0.5,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """As ``bandits``, along the slopes of surrogates: two questions a step tell which way the value rises.

    Three forwards a step; what surrogates are asked does not count. ``surrogate`` is what ``sp.wrap`` gives, or several
    of them, one of which is drawn at each step; without any, directions are random. ``probe`` is in units of the range.
    From the tenth step on, activations of the surrogates are dropped, at a rate that grows toward ``dropout``.
    """
    at_least_one(steps=steps)
    surrogates = (surrogate,) if isinstance(surrogate, Model) else tuple(surrogate)
    check_surrogates(*surrogates)
    if not (probe > 0 and explore > 0):
        raise OptionError(f"probe and explore are lengths, and must be positive; got {probe:g} and {explore:g}")
    if not 0 <= dropout < 1:
        raise OptionError(f"dropout is the share of activations that is dropped in the end, in [0, 1); got {dropout:g}")
    if dropout and not all(droppable(one.network) for one in surrogates):
        raise OptionError("a surrogate has no activation that is a module, behind which to drop out: take dropout=0")
    prior = SubspacePrior(surrogates, probe, explore, width_of(threat), growing(dropout))
    return climb_of(threat, objective, recalling(prior, relative_step), steps)


@recipe(
    access=ScoreAccess,
    sets=(*CONVEX, Perceptual),
    paper="Li, Li, Wang, Zhang, Gong: NATTACK: learning the distributions of adversarial examples, ICML 2019",
)
def nattack(
    threat: Neighborhood,
    steps: int = 100,
    samples: int = 30,
    sigma: float = 0.1,
    rate: float = 0.3,
    tile: int | None = None,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """Learn a normal distribution whose samples fool the model; no slope is needed, so none can be masked.

    ``samples`` forwards a step; perturbations are constant on tiles of ``tile`` pixels, by default 2, or 1 where they
    are no pictures. The paper draws 300 at a rate of 0.008 for 600 steps, far more questions than needed.
    """
    tile = tile_of(threat, tile)
    at_least_one(steps=steps, samples=samples, tile=tile)
    if not sigma > 0:
        raise OptionError(f"sigma is the deviation of the distribution, and must be positive; got {sigma:g}")
    return climb_of(threat, objective, SearchDistribution(samples, sigma, rate, tile), steps)


@recipe(
    access=ScoreAccess,
    sets=(Linf, L2),
    paper="Al-Dujaili, O'Reilly: Sign bits are all you need for black-box attacks, ICLR 2020",
)
def sign_hunter(threat: Neighborhood, steps: int = 5000, objective: Loss = "margin") -> Attack[ScoreAccess]:
    """Turn the signs of all entries, of halves, quarters, ... at the surface of the ball; keep what raises the margin.

    One forward a step. Where slopes are constant, one pass finds the corner that is best of all.
    """
    at_least_one(steps=steps)
    search = RandomSearch(flip_chunks)
    return Iterate(threat, objective_named(objective), search, all_up, steps, compact_below=AT_ONCE)


@recipe(
    access=ScoreAccess,
    sets=(Linf,),
    paper="Moon, An, Song: Parsimonious black-box adversarial attacks via efficient combinatorial optimization, ICML"
    " 2019",
)
def parsimonious(
    threat: Neighborhood, steps: int = 5000, block: int | None = None, at_once: int = 64, objective: Loss = "margin"
) -> Attack[ScoreAccess]:
    """Turn the signs of whole blocks of pixels, greedily the one that adds most; then of smaller blocks.

    One forward a step. Nothing is estimated and nothing tuned: the perturbation is a corner of the ball all the time.
    ``at_once`` blocks compete at a time. The first are of ``block`` pixels a side: by default a seventh of the longer
    side or less, a power of two; 4 for CIFAR and 32 for ImageNet, as published.
    """
    at_least_one(steps=steps, block=1 if block is None else block, at_once=at_once)
    return climb_of(threat, objective, Parsimonious(block, at_once), steps)


def climb_of(
    threat: Neighborhood, objective: str, optimizer: Optimizer[ScoreAccess], steps: int
) -> Attack[ScoreAccess]:
    """So many steps of ``optimizer`` from the clean input, narrowed at once: every question counts."""
    return Iterate(threat, objective_named(objective), optimizer, zero, steps, compact_below=AT_ONCE)


def recalling(slopes: Recalling[ScoreAccess], relative_step: float) -> Remembering[ScoreAccess]:
    """Steepest ascent along slopes with a memory."""
    return Remembering(slopes, lambda slope: Ascent(slope, constant(relative_step)))


def differences(threat: Neighborhood, samples: int, sigma: float, tile: int = 1) -> Differences:
    """One-sided differences along ``samples`` directions, for a ``sigma`` in units of the range of the input."""
    return Differences(directions(threat, tile), samples, step_of(threat, sigma), opposite=False)


def tile_of(threat: Neighborhood, tile: int | None) -> int:
    """The side of a tile: where none is said 2, or 1 where perturbations have no pixels.

    Raises:
        OptionError: tiles are said where there are no pixels.
    """
    pixels = threat.additive or isinstance(threat, Flow)
    if tile is not None and tile > 1 and not pixels:
        raise OptionError(f"{threat.name} has no pixels to put on tiles: leave tile at 1")
    return (2 if pixels else 1) if tile is None else tile


def directions(threat: Neighborhood, tile: int) -> Directions:
    """Uniform on the sphere, constant on tiles where they are larger than a pixel."""
    tile = tile_of(threat, tile)
    return Tiled(tile, sphere) if tile > 1 else sphere


def step_of(threat: Neighborhood, sigma: float) -> float:
    """The length of random steps for each entry, from that in units of the range of the input."""
    if not sigma > 0:
        raise OptionError(f"sigma is the length of the random steps, and must be positive; got {sigma:g}")
    return sigma * width_of(threat)


def width_of(threat: Neighborhood) -> float:
    """The range of the input, 1 where it is unbounded or perturbations are not added to it."""
    width = threat.box.high - threat.box.low if threat.additive else 1.0
    return width if math.isfinite(width) else 1.0


def check_surrogates(*surrogates: object) -> None:
    """Raise OptionError unless each is a model with gradients."""
    for one in surrogates:
        if not isinstance(one, Model):
            raise OptionError(f"surrogate is what sp.wrap(network) gives, not of type {type(one).__name__}")
        if not issubclass(one.kind, GradientAccess):
            raise OptionError(f"surrogate {one.name} gives {one.kind.kind} only: take a model with gradients")
