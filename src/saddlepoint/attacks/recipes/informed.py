"""The most from few questions: random search that learns the slope from every answer."""

from __future__ import annotations

from collections.abc import Sequence

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.access.model import Model
from saddlepoint.attacks.cascade import Cascade
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.estimated import Loss, check_surrogates, nattack, parsimonious
from saddlepoint.attacks.recipes.insertion import try_insertions
from saddlepoint.attacks.recipes.pgd import at_least_one, objective_named
from saddlepoint.attacks.recipes.sparse import sparse_rs
from saddlepoint.attacks.recipes.square import AT_ONCE, square
from saddlepoint.attacks.recipes.visits import ANGLES, SHIFTS, one_plus_one, visited, worst_of
from saddlepoint.core.protocols import Attack, Initializer
from saddlepoint.errors import OptionError
from saddlepoint.initializers import zero
from saddlepoint.initializers.stripes import BumpGrid, stripes
from saddlepoint.optimizers.informed_search import CornerWindows, InformedSearch, Lean, Leaned
from saddlepoint.optimizers.squares import halving
from saddlepoint.optimizers.transferred import Transferred
from saddlepoint.optimizers.visits import Visits
from saddlepoint.sets import (
    L0,
    L1,
    L2,
    Composed,
    Corruption,
    Flow,
    Insertions,
    Linf,
    Neighborhood,
    Nuclear,
    Patch,
    Perceptual,
    Spatial,
    Wasserstein,
    kinds,
)
from saddlepoint.sets.spatial import grid

SOONER = (10, 50, 200, 300, 400, 600, 800, 1100, 1500)
"""After which of 10 000 proposals the share is halved: once slopes are known, small windows say what to turn."""
MUCH_SOONER = (2, 6, 15, 30, 60, 120, 200, 500, 1200)
"""The same in large pictures, where a window of a tenth of the picture holds more than a network sees as one thing."""

FIRST_OF_L1, FIRST_OF_TURNS = 200, 100
"""So many questions come before square in L1, and before the grid."""
SAMPLES, FEWEST = 30, 5
"""Of a distribution so many samples are drawn at a step, fewer where there would be fewer steps."""


@recipe(
    access=ScoreAccess,
    sets=tuple(kinds().values()),
    paper="this project, 2026; after Andriushchenko et al.: Square attack, ECCV 2020, and Thompson, Biometrika 1933",
)
def auto(
    threat: Neighborhood,
    steps: int = 5000,
    learned: int = 2000,
    greedy: int = 3000,
    share: float = 0.8,
    period: int = 10_000,
    temperature: float = 0.2,
    memory: int = 512,
    surrogate: Model | None = None,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """Random search whose proposals lean to the slope that all answers so far tell of; then other searches.

    One forward a step, none on points known already. Slopes of pictures are smooth: a few dozen answers draw them
    roughly. In Linf that square window of many goes to the corner the slope points at which promises most; in L2 all
    of δ leans there. The windows shrink over ``period`` proposals, sooner in pictures of more than 56 x 56 pixels,
    whatever ``steps`` is: fewer steps are a part of more.

    In Linf what stands after ``learned`` steps is stuck at a corner: ``greedy`` steps of ``parsimonious`` begin anew,
    and what is left of ``steps`` is for ``square``.

    In other sets, of which none of this is known, so many questions go to what has proved best there, and the options
    between ``steps`` and ``surrogate`` do nothing: ``nattack`` in nuclear, perceptual and Wasserstein balls, among
    flows and in compositions, and in L1 before ``square``; ``sparse_rs`` in L0 and patches; ``try_insertions``; draws
    of corruptions; ``one_plus_one`` elsewhere, before all of a grid where the picture turns and moves.

    With a ``surrogate``, which is what ``sp.wrap`` gives, the first question is whether what fools that carries over:
    ten steps of ``mi_fgsm`` there, which do not count. Where it does not, the search begins as ever.
    """
    at_least_one(steps=steps, learned=learned, greedy=greedy, period=period)
    if not 0 < share <= 1:
        raise OptionError(f"share is the share of the image the first windows cover, in (0, 1]; got {share:g}")
    if memory < 2 or not temperature >= 0:
        raise OptionError(f"memory is 2 or more and temperature 0 or more; got {memory} and {temperature:g}")

    if surrogate is not None:
        check_surrogates(surrogate)

    def informed(lean: Lean, begin: Initializer[ScoreAccess], steps: int) -> Attack[ScoreAccess]:
        search = InformedSearch(lean, temperature=temperature, memory=memory)
        return Iterate(threat, objective_named(objective), search, begin, steps, compact_below=AT_ONCE)

    stages = [] if surrogate is None else [_carried_over(threat, objective, surrogate)]
    if not isinstance(threat, (Linf, L2)):
        return Cascade([*stages, *_elsewhere(threat, steps, objective)])
    if isinstance(threat, L2):
        search = informed(Leaned(halving(share, period)), BumpGrid(2), steps)
        return Cascade([*stages, search]) if stages else search
    first, left = min(steps, learned), steps - learned
    usual, large = (halving(share, period, marks) for marks in (SOONER, MUCH_SOONER))
    stages.append(informed(CornerWindows(usual, large=large), stripes, first))
    if left > 0:
        stages.append(parsimonious.build(threat, steps=min(left, greedy), objective=objective))
    if left > greedy:
        stages.append(square.build(threat, steps=left - greedy, objective=objective))
    return Cascade(stages)


def _elsewhere(threat: Neighborhood, steps: int, objective: Loss) -> Sequence[Attack[ScoreAccess]]:
    """At most so many questions where slopes are not learned from answers."""
    if isinstance(threat, L1):
        first = min(steps, FIRST_OF_L1)
        rest = [square.build(threat, steps=steps - first, objective=objective)] if steps > first else []
        return [_distributed(threat, first, objective), *rest]
    if isinstance(threat, (Nuclear, Perceptual, Flow, Wasserstein, Composed)):
        return [_distributed(threat, steps, objective)]
    if objective != "margin":
        raise OptionError(f"in {threat.name} auto searches by the margin: leave objective out")
    if isinstance(threat, Insertions):
        return [try_insertions.build(threat, steps=max(steps // (try_insertions.options["places"] + 1), 1))]
    if isinstance(threat, (L0, Patch)):
        return [sparse_rs.build(threat, steps=steps)]
    if isinstance(threat, Corruption):
        return [worst_of.build(threat, k=steps)]
    if isinstance(threat, Spatial):
        return _turns(threat, steps)
    return [one_plus_one.build(threat, steps=steps)]


def _distributed(threat: Neighborhood, steps: int, objective: Loss) -> Attack[ScoreAccess]:
    """At most so many questions, of a few steps at least."""
    samples = min(SAMPLES, max(steps // FEWEST, 1))
    return nattack.build(threat, steps=max(steps // samples, 1), samples=samples, objective=objective)


def _turns(threat: Spatial, steps: int) -> Sequence[Attack[ScoreAccess]]:
    """A random search, all of the grid, the largest first, and draws for what is left of the questions."""
    first = one_plus_one.build(threat, steps=min(steps, FIRST_OF_TURNS))
    points = grid(ANGLES, SHIFTS)[::-1][: max(steps - FIRST_OF_TURNS, 0)]
    left = steps - FIRST_OF_TURNS - len(points)
    looks = [visited(threat, points)] if points else []
    return [first, *looks, *([worst_of.build(threat, k=left)] if left > 0 else [])]


def _carried_over(threat: Neighborhood, objective: str, surrogate: Model) -> Attack[ScoreAccess]:
    """One look at what fools the surrogate."""
    there = Transferred(surrogate)
    look_once = Visits(lambda problem, t: there(problem))
    return Iterate(threat, objective_named(objective), look_once, zero, steps=0, compact_below=AT_ONCE)
