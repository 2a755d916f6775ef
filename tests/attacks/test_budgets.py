"""What a spent budget says: an attack claims what it asked about, and no more than a longer run had by then."""

from __future__ import annotations

import dataclasses as dc
from typing import Any

import pytest
import torch

import saddlepoint as sp
from saddlepoint.access import GradientAccess
from saddlepoint.attacks import catalog, get
from saddlepoint.sets import Neighborhood
from saddlepoint.testing.case import Case
from saddlepoint.testing.problems import MLP
from saddlepoint.testing.tripwire import CountingModel, Recording

GUIDES: dict[str, dict[str, Any]] = {
    "p_rgf": {"surrogate": sp.wrap(MLP(seed=7))},
    "subspace": {"surrogate": sp.wrap(MLP(seed=7)), "dropout": 0.0},
}
BLACK = [name for name in sorted(catalog()) if get(name).access is not GradientAccess]
FIXED = [name for name in BLACK if not get(name).minimal]
LONG, SHORT = 130, (5, 19, 33, 60)
"""Budgets that end an attack before its first step, inside an estimate, and right behind a look."""


def case_of(name: str) -> Case:
    """The usual case, with steps enough that budgets end it."""
    case = Case.of(get(name))
    steps = {"steps": LONG} if "steps" in case.options else {}
    return dc.replace(case, options={**case.options, **steps, **GUIDES.get(name, {})})


def threat_of(case: Case) -> Neighborhood:
    return next(iter(case.threats()))


@pytest.mark.parametrize("name", FIXED)
def test_a_budget_buys_what_a_longer_run_had_by_then(name: str) -> None:
    case = case_of(name)
    threat = threat_of(case)
    long = case.run(threat, budget=LONG)
    for budget in SHORT:
        short, then = case.run(threat, budget=budget), long.met & (long.forwards <= budget)
        assert short.met.tolist() == then.tolist(), budget
        assert torch.equal(short.forwards[then], long.forwards[then]), budget
        assert torch.equal(short.x_adv[then], long.x_adv[then]), budget


@pytest.mark.parametrize("name", BLACK)
def test_what_is_claimed_was_asked_about_before_it_was_confirmed(name: str) -> None:
    case = case_of(name)
    for budget in (5, 7, 33):
        seen = Recording(case.network)
        found = case.run(threat_of(case), model=seen, budget=budget)
        asked = torch.cat(seen.asked[:-1]).flatten(1)
        for claimed in found.x_adv[found.met].flatten(1):
            assert float((asked - claimed).abs().amax(1).min()) < 1e-12, budget


@pytest.mark.parametrize("name", [name for name in BLACK if get(name).minimal])
def test_more_questions_never_find_a_larger_change(name: str) -> None:
    case = case_of(name)
    threat = next(iter(case.natural()))
    few, many = (case.run(threat, budget=budget) for budget in (40, LONG))
    assert bool((many.met | ~few.met).all())
    assert bool((many.size[few.met] <= few.size[few.met] + 1e-12).all())


@pytest.mark.parametrize("name", ["nes", "bandits", "subspace", "p_rgf", "zo_ngd", "nes_partial"])
def test_nothing_is_asked_about_a_sample_that_is_fooled(name: str) -> None:
    """Asked one by one, samples whose first success comes in a step pay for no slope there."""
    case = case_of(name)
    threat = threat_of(case)
    found = case.run(threat, budget=LONG)
    assert bool(found.met.any())
    for i in found.met.nonzero().squeeze(1)[:2]:
        counting = CountingModel(case.network)
        seen = Recording(counting)
        alone = case.run(threat, model=seen, x=case.x[i : i + 1], y=case.y[i : i + 1], budget=LONG, ids=i[None])
        assert int(counting.forwards) == int(alone.forwards) == int(found.forwards[i])
        confirmed, last = seen.asked[-1], seen.asked[-2][-1:]
        assert torch.equal(confirmed, last), "the question before the confirmation is the success itself"
