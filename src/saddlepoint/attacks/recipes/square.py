"""The Square attack: random search with square windows, from scores alone."""

from __future__ import annotations

from typing import Literal

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.attacks.cascade import restarts as restarted
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one, objective_named
from saddlepoint.core.protocols import Attack, Initializer
from saddlepoint.errors import OptionError
from saddlepoint.initializers.stripes import BumpGrid, stripes
from saddlepoint.optimizers.random_search import Propose, RandomSearch
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.optimizers.squares import MovedMass, PaintedSquares, halving
from saddlepoint.sets import L1, L2, Linf, Neighborhood

AT_ONCE = 1.0
"""A black box charges for each question: samples leave the batch as soon as they are finished."""


@recipe(
    access=ScoreAccess,
    sets=(Linf, L2, L1),
    paper="Andriushchenko, Croce, Flammarion, Hein: Square attack: a query-efficient black-box adversarial attack via"
    " random search, ECCV 2020",
)
def square(
    threat: Neighborhood,
    steps: int = 5000,
    share: float = 0.8,
    period: int | None = None,
    restarts: int = 1,
    objective: Literal["margin", "cross-entropy"] = "margin",
) -> Attack[ScoreAccess]:
    """Random search that changes one square window at a time, and keeps what raises the margin.

    One forward for the start and one for each of ``steps`` proposals. The windows cover ``share`` of the image at
    first; the share is halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10 000 parts of ``period``
    proposals: by default of the whole run, as published. AutoAttack makes 5000 proposals of a period of 10 000.

    Images [N, C, H, W] have square windows, signals [N, C, L] and vectors [N, D] intervals.
    """
    period = steps if period is None else period
    at_least_one(steps=steps, period=period)
    if not 0 < share <= 1:
        raise OptionError(f"share is the share of the image the first windows cover, in (0, 1]; got {share:g}")
    start, propose = squares_in(threat, halving(share, period))
    search = RandomSearch(propose)
    one = Iterate(threat, objective_named(objective), search, start, steps, compact_below=AT_ONCE)
    return restarted(one, restarts)


def squares_in(threat: Neighborhood, share: Schedule) -> tuple[Initializer[ScoreAccess], Propose]:
    """Where the search begins in each ball, and its proposals."""
    if isinstance(threat, Linf):
        return stripes, PaintedSquares(share)
    p = 1 if isinstance(threat, L1) else 2
    return BumpGrid(p), MovedMass(share, p)
