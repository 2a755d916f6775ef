"""AutoAttack's cascade of four, so that numbers can be compared with the literature's."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.cascade import Cascade
from saddlepoint.attacks.each_target import EachTarget
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.auto_pgd import PAPER, apgd_ce, apgd_t
from saddlepoint.attacks.recipes.fab import walk
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.square import square
from saddlepoint.core.protocols import Attack
from saddlepoint.sets import L1, L2, Linf, Neighborhood

TARGETS = 9


@recipe(access=GradientAccess, sets=(Linf, L2, L1), paper=PAPER)
def autoattack(threat: Neighborhood, steps: int = 100, queries: int = 5000) -> Attack[GradientAccess]:
    """Auto-PGD on cross-entropy, targeted Auto-PGD, targeted FAB and Square, each over what still stands.

    The standard version: ``steps`` steps for the first three (restarts and targets as in their own defaults), and
    ``queries`` proposals of Square, in its schedule for twice as many.
    """
    at_least_one(steps=steps, queries=queries)
    fab = EachTarget(walk(threat, steps, 1, 0.1, 1.05, 0.9, stop_when_met=True), TARGETS)
    search = square.build(threat, steps=queries, period=2 * queries)
    return Cascade([apgd_ce.build(threat, steps=steps), apgd_t.build(threat, steps=steps), fab, search])
