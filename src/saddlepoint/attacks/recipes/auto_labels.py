"""The smallest perturbation from labels alone, by whatever is best in a set."""

from __future__ import annotations

import dataclasses as dc

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.hop_skip_jump import (
    Coarse,
    boundary_walk,
    hop_skip_jump,
    no_candidates,
    normal,
    outside,
    shrinking,
)
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.rings import shrinking_rings
from saddlepoint.attacks.recipes.sparse import pointwise
from saddlepoint.core.protocols import Attack
from saddlepoint.initializers import zero
from saddlepoint.optimizers.circle_walk import CircleWalk
from saddlepoint.optimizers.hand_over import HandOver
from saddlepoint.optimizers.ray import RaySearch
from saddlepoint.sets import L2, Linf, Neighborhood, kinds


@recipe(
    access=LabelAccess,
    sets=tuple(dict.fromkeys((L2, *kinds().values()))),
    paper="this project, 2026; after Maho et al.: SurFree, CVPR 2021, Chen and Gu: RayS, KDD 2020, and Chen et al.:"
    " HopSkipJumpAttack, S&P 2020",
    minimal=True,
)
def auto_labels(
    threat: Neighborhood,
    steps: int = 25,
    quick: int | None = None,
    first_draws: int | None = None,
    candidates: Tensor | None = None,
    tries: int = 100,
    starts: int = 10,
) -> Attack[LabelAccess]:
    """What comes near with few labels, then what goes far with many: a search, and a boundary walk from where it came.

    In L2 ``quick`` (200) steps as of ``surfree``, then ``steps`` as of ``hop_skip_jump``; in Linf ``quick`` (150) steps
    as of ``rays``, then ``steps`` as of ``qeba``, on pairs of pixels, with fewer ``first_draws`` (25, not 100), for it
    remembers the normal. The default costs some 10 000 forwards in L2 and 3500 in Linf; a ``budget`` ends it earlier,
    with the best point reached. Where the search never meets the goal, the walk begins as ``hop_skip_jump`` does: so
    it does for a wanted label, given ``candidates``.

    In other sets, where ``quick`` and ``first_draws`` do nothing, ``steps`` as of ``hop_skip_jump``; where that knows
    no way, ``shrinking_rings`` of 8 · ``steps`` draws, and where entries count 40 · ``steps`` labels of ``pointwise``.
    """
    at_least_one(steps=steps, quick=quick, first_draws=first_draws)
    if not isinstance(threat, (L2, Linf)):
        return _elsewhere(threat, steps, candidates, tries, starts)
    begin, width = outside(threat, candidates, tries, starts), threat.box.high - threat.box.low
    if isinstance(threat, L2):
        first = 200 if quick is None else quick
        walk = boundary_walk(threat, normal, 100 if first_draws is None else first_draws, 10_000, 1.0)
        walks = HandOver(CircleWalk(Coarse(2)), first, walk, begin)
        return shrinking(threat, walks, first + 1 + steps, begin)
    first = 150 if quick is None else quick
    walk = boundary_walk(threat, Coarse(2), 25 if first_draws is None else first_draws, 10_000, 1.0)
    walks = HandOver(RaySearch(width, 1e-3 * width), first, dc.replace(walk, memory=0.8), begin)
    return shrinking(threat, walks, first + 1 + steps, zero)


def _elsewhere(
    threat: Neighborhood, steps: int, candidates: Tensor | None, tries: int, starts: int
) -> Attack[LabelAccess]:
    """In sets other than L2 and Linf."""
    if isinstance(threat, hop_skip_jump.sets):
        return hop_skip_jump.build(threat, steps=steps, candidates=candidates, tries=tries, starts=starts)
    if isinstance(threat, pointwise.sets):
        return pointwise.build(threat, steps=40 * steps, candidates=candidates, tries=tries)
    no_candidates(threat, candidates)
    return shrinking_rings.build(threat, samples=8 * steps)
