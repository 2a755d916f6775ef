"""Black boxes in balls of few entries: from scores a search of swaps, from labels the way back."""

from __future__ import annotations

import math

from torch import Tensor

from saddlepoint.access.asking import LabelAccess, ScoreAccess
from saddlepoint.attacks.cascade import restarts as restarted
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.hop_skip_jump import begin_outside
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.square import AT_ONCE
from saddlepoint.core.protocols import Attack, Initializer
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError, ThreatError
from saddlepoint.objectives import margin
from saddlepoint.optimizers.pointwise import Pointwise
from saddlepoint.optimizers.random_search import Propose, RandomSearch
from saddlepoint.optimizers.repainted import Repainted, striped_patch
from saddlepoint.optimizers.squares import halving
from saddlepoint.optimizers.swaps import SwappedEntries, entries_at_random, falling
from saddlepoint.sets import L0, L1, Insertions, Neighborhood, Patch


@recipe(
    access=ScoreAccess,
    sets=(L0, Patch),
    paper="Croce, Andriushchenko, Singh, Flammarion, Hein: Sparse-RS: a versatile framework for query-efficient sparse"
    " black-box adversarial attacks, AAAI 2022",
)
def sparse_rs(
    threat: Neighborhood,
    steps: int = 5000,
    share: float | None = None,
    period: int | None = None,
    restarts: int = 1,
) -> Attack[ScoreAccess]:
    """Random search over which entries are changed, all of them to an end of the box: a few swapped at a time.

    One forward for the start and one for each of ``steps`` proposals. At first ``share`` of the entries is swapped,
    later a twentieth of that, at least one; ``period`` proposals are the whole of the schedule, by default the steps.
    In patches ``share`` of the square is painted anew, or the square moves. By default it is 0.3, of patches 0.4.
    """
    period = steps if period is None else period
    at_least_one(steps=steps, period=period)
    usual = 0.4 if isinstance(threat, Patch) else 0.3
    share = usual if share is None else share
    if not 0 < share <= 1:
        raise OptionError(f"share is the share of changed entries that is swapped at first, in (0, 1]; got {share:g}")
    if math.isinf(threat.box.high - threat.box.low):
        raise ThreatError("sparse_rs sets entries to ends of the box: sp.wrap(model, bounds=(low, high))")
    start: Initializer[ScoreAccess] = entries_at_random
    propose: Propose = SwappedEntries(falling(share, period))
    if isinstance(threat, Patch):
        start, propose = striped_patch, Repainted(halving(share, period), period)
    return restarted(Iterate(threat, margin, RandomSearch(propose), start, steps, compact_below=AT_ONCE), restarts)


@recipe(
    access=LabelAccess,
    sets=(L0, L1, Insertions),
    paper="Schott, Rauber, Bethge, Brendel: Towards the first adversarially robust neural network model on MNIST,"
    " ICLR 2019",
    minimal=True,
)
def pointwise(
    threat: Neighborhood, steps: int = 1000, candidates: Tensor | None = None, tries: int = 100
) -> Attack[LabelAccess]:
    """Take back entries of an input that meets the goal, half of them, a quarter, ..., one, while it still does.

    It begins at the nearest of ``candidates`` [M, *D] that meets the goal, else at the first of ``tries`` random
    inputs. One forward a step; ends where no single entry can be spared, on small pictures after some 500.
    """
    at_least_one(steps=steps, tries=tries)
    begin = begin_outside(threat, candidates, tries)
    return Iterate(
        threat, margin, Pointwise(), begin, steps, order=smallest, stop_when_met=False, compact_below=AT_ONCE
    )
