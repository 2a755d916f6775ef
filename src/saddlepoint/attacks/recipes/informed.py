"""The most from few questions: random search that learns the slope from every answer."""

from __future__ import annotations

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.access.model import Model
from saddlepoint.attacks.cascade import Cascade
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.estimated import Loss, check_surrogates, parsimonious
from saddlepoint.attacks.recipes.pgd import at_least_one, objective_named
from saddlepoint.attacks.recipes.square import AT_ONCE, square
from saddlepoint.core.protocols import Attack, Initializer
from saddlepoint.errors import OptionError
from saddlepoint.initializers import zero
from saddlepoint.initializers.stripes import BumpGrid, stripes
from saddlepoint.optimizers.informed_search import CornerWindows, InformedSearch, Lean, Leaned
from saddlepoint.optimizers.squares import halving
from saddlepoint.optimizers.transferred import Transferred
from saddlepoint.optimizers.visits import Visits
from saddlepoint.sets import L2, Linf, Neighborhood

SOONER = (10, 50, 200, 300, 400, 600, 800, 1100, 1500)
"""After which of 10 000 proposals the share is halved: once slopes are known, small windows say what to turn."""


@recipe(
    access=ScoreAccess,
    sets=(Linf, L2),
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
    memory: int = 256,
    surrogate: Model | None = None,
    objective: Loss = "margin",
) -> Attack[ScoreAccess]:
    """Random search whose proposals lean to the slope that all answers so far tell of; then other searches.

    One forward a step, none on points known already. Slopes of pictures are smooth: a few dozen answers draw them
    roughly. In Linf that square window of many goes to the corner the slope points at which promises most; in L2 all
    of δ leans there. The windows shrink over ``period`` proposals whatever ``steps`` is: fewer steps are a part
    of more.

    In Linf what stands after ``learned`` steps is stuck at a corner: ``greedy`` steps of ``parsimonious`` begin anew,
    and what is left of ``steps`` is for ``square``.

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
    if isinstance(threat, L2):
        search = informed(Leaned(halving(share, period)), BumpGrid(2), steps)
        return Cascade([*stages, search]) if stages else search
    first, left = min(steps, learned), steps - learned
    stages.append(informed(CornerWindows(halving(share, period, SOONER), memory), stripes, first))
    if left > 0:
        stages.append(parsimonious.build(threat, steps=min(left, greedy), objective=objective))
    if left > greedy:
        stages.append(square.build(threat, steps=left - greedy, objective=objective))
    return Cascade(stages)


def _carried_over(threat: Neighborhood, objective: str, surrogate: Model) -> Attack[ScoreAccess]:
    """One look at what fools the surrogate."""
    there = Transferred(surrogate)
    look_once = Visits(lambda problem, t: there(problem))
    return Iterate(threat, objective_named(objective), look_once, zero, steps=0, compact_below=AT_ONCE)
