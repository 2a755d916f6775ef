from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable
from typing import Any

import pytest

import saddlepoint as sp
from saddlepoint.attacks import Anneal, Cascade, SearchWeight
from saddlepoint.attacks.recipe import catalog
from saddlepoint.auditing.estimate import passes, slope, start, walk

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("attack", "threat", "most"),
    [
        ("fgsm", sp.Linf(0.1), 4),
        ("pgd(steps=10, restarts=3)", sp.Linf(0.1), 66),
        ("apgd_t(steps=10)", sp.Linf(0.1), 3 * 22 + 1),
        ("apgd_ce(steps=10, restarts=2)", sp.L1(3.0), 2 * 26),
        ("square(steps=30)", sp.L2(0.1), 32),
        ("nes(steps=3, pairs=4)", sp.L2(0.1), 3 * 9 + 2),
        ("zo_frank_wolfe(steps=3, pairs=4)", sp.L2(0.1), 3 * 9 + 2),
        ("acc_szofw(steps=5, samples=8, changes=2, every=3)", sp.L2(0.1), 2 * 9 + 3 * 5 + 2),
        ("zo_ngd(steps=3, pairs=4)", sp.L2(0.1), 3 * 9 + 2),
        ("zo_admm(steps=3, samples=6)", sp.L2(0.1), 3 * 8 + 2),
        ("subspace(steps=10)", sp.L2(0.1), 10 * 3 + 2),
        ("zoo(steps=3, rounds=2, samples=5)", sp.L2(0.5), 2 * (3 * 11 + 2)),
        ("adam_pgd(steps=10, restarts=2)", sp.Linf(0.1), 2 * 22),
        ("odi_pgd(steps=4, restarts=2, odi_steps=3)", sp.Linf(0.1), 2 * (6 + 8 + 2)),
        ("fmn(steps=5)", sp.L2(0.5), 10 + 2),
        ("fmn(steps=20, k=2)", sp.L2(0.5), 36 + 2 + 3 + 4 + 2),
        ("deepfool(steps=5, k=2)", sp.L2(0.5), 15 + 2),
        ("fab(steps=4)", sp.L2(0.5), 20 + 2),
        ("fab_t(steps=4, restarts=2, k=2)", sp.L2(0.5), 2 * 2 * (12 + 2) + 1),
        ("cw_l2(steps=5, rounds=2, k=2)", sp.L2(0.5), 2 * (3 + 10 + 2)),
        ("cw_linf(steps=5, rounds=3)", sp.Linf(0.5), 3 * 12),
        ("cw_l0(steps=5, reductions=3)", sp.L0(18), 3 * 14),
        ("hop_skip_jump(steps=2, first_draws=20)", sp.L2(5.0), 210 + 48.3 + 100 + 2),
    ],
)
def test_the_parts_tell_how_often_is_asked(quick: Make, attack: str, threat: Any, most: float) -> None:
    entry = sp.auditing.parse(attack)
    made = sp.attacks.get(entry.name).attack(threat, **entry.options)
    assert passes(made, classes=4) == pytest.approx(most, abs=0.1)
    records = quick(threat=threat, attacks=[attack]).records.to_pylist()
    spent = [r["forwards"] - 3 + r["backwards"] for r in records if r["attack"] == entry.name]
    assert most / 10 <= max(spent) <= most


def test_wrappers_add_up() -> None:
    one = sp.attacks.fgsm.attack(sp.Linf(0.1))
    assert passes(Cascade([one, one]), 4) == 8
    assert passes(Anneal([one, one, one]), 4) == 12
    assert passes(SearchWeight(one, rounds=5), 4) == 20


@pytest.mark.parametrize(
    ("attack", "most"),
    [
        (sp.attacks.worst_of.attack(sp.Spatial(0.5), k=7), 7 + 1),
        (sp.attacks.try_insertions.attack(sp.Insertions(3.0), steps=3, places=6), 3 * 7 + 2),
        (sp.attacks.insert.attack(sp.Insertions(3.0), steps=3), 3 * 2 + 2),
    ],
)
def test_looks_are_told_from_slopes(attack: Any, most: float) -> None:
    assert passes(attack, classes=4) == most


def test_what_is_unknown_is_not_made_up() -> None:
    class Own:
        """Parts of a user's own."""

    fgsm: Any = sp.attacks.fgsm.attack(sp.Linf(0.1))
    assert math.isnan(walk(Own(), 3, 4))
    assert math.isnan(slope(Own()))
    assert math.isnan(start(Own(), 4))
    assert math.isnan(passes(dc.replace(fgsm, optimizer=Own()), 4))
    assert math.isnan(passes(lambda *_: None, 4))
    assert math.isnan(passes(Cascade([sp.attacks.fgsm.attack(sp.Linf(0.1)), lambda *_: None]), 4))  # type: ignore[list-item]


def test_every_recipe_can_be_estimated() -> None:
    for name, recipe in catalog().items():
        for kind in recipe.sets:
            assert 1 < passes(recipe.attack(kind(0.5)), 4) < 1e6, name
