from __future__ import annotations

import saddlepoint as sp
from saddlepoint.attacks.anneal import Anneal
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipes.triage import WIDE, from_outside
from saddlepoint.objectives import margin

N = 100


def test_in_l2_what_lies_behind_a_ridge_is_reached_around_it() -> None:
    """Single runs inside the ball left 54 of these hundred images, and a search for the smallest change 52."""
    data, network = sp.zoo.data.load(f"fashion-mnist-1k[:{N}]"), sp.zoo.load("fashion-pgd-l2")
    found = sp.attacks.triage(network, data.x, data.y, sp.L2(1.5))
    alone = sp.attacks.apgd_ce(network, data.x, data.y, sp.L2(1.5))
    stand, others = int((~found.met).sum()), int((~alone.met).sum())
    assert stand <= 52 < others
    assert float((found.forwards + found.backwards).float().mean()) < 300


def test_the_wide_half_does_not_stop_and_the_last_is_at_the_true_radius() -> None:
    attack = from_outside(sp.L2(1.0), margin, 51)
    assert isinstance(attack, Anneal)
    first, last = attack.attacks
    assert isinstance(first, Iterate)
    assert isinstance(last, Iterate)
    assert tuple(attack.radius_factors) == (WIDE, 1.0)
    assert (first.steps, last.steps) == (25, 26)
    assert (first.stop_when_met, last.stop_when_met) == (False, True)
    assert isinstance(from_outside(sp.Linf(1.0), margin, 50), Iterate)
