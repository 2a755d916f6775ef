"""Informed search: the regression in closed form, the best corner of a linear value, and what it takes of networks."""

from __future__ import annotations

import dataclasses as dc

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.informed_search import CornerWindows, InformedSearch, Leaned, Slopes
from saddlepoint.optimizers.squares import halving
from saddlepoint.sets import L2, Linf, Neighborhood

SHAPE = (1, 6, 6)
W = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
N = 4


def problem(threat: Neighborhood, radius: float) -> Problem:
    def rising(x: Tensor) -> Tensor:
        value = (x * W).flatten(1).sum(1) - 1e3
        return torch.stack([torch.zeros_like(value), value], 1)

    access = sp.wrap(rising, output="logits").access(N, None)
    radii = torch.full((N,), radius, dtype=torch.float64)
    x = torch.full((N, *SHAPE), 0.5, dtype=torch.float64)
    goal = untargeted(torch.zeros(N, dtype=torch.long))
    return Problem(access, x, goal, threat, margin, Noise.seeded(0, torch.arange(N)), radii, radii)


@pytest.mark.parametrize(
    ("threat", "lean", "most"),
    [
        (Linf(), CornerWindows(halving(0.8)), 0.1 * float(W.abs().sum())),
        (L2(), Leaned(halving(0.8)), 0.1 * float(W.square().sum().sqrt())),
    ],
    ids=["linf", "l2"],
)
def test_the_best_point_of_a_linear_value_is_found_in_a_few_questions_for_each_entry(
    threat: Neighborhood, lean: CornerWindows | Leaned, most: float
) -> None:
    task, search = problem(threat, 0.1), InformedSearch(lean)
    state = search.init(task, task.set.zero(task.x))
    for t in range(200):
        state, seen = search.step(task.at(t), state)
        assert bool(task.within(seen.size).all())
    reached = (state.best * W).flatten(1).sum(1)
    assert float(reached.min()) > 0.98 * most
    assert task.access.ledger.forwards.tolist() == [200] * N


@pytest.mark.parametrize(("side", "changed"), [(56, 28 * 28), (60, 6 * 6)])
def test_windows_of_large_pictures_have_shares_of_their_own(side: int, changed: int) -> None:
    task = problem(Linf(), 0.1)
    task = dc.replace(task, x=torch.full((N, 1, side, side), 0.5, dtype=torch.float64))
    lean = CornerWindows(lambda _: 0.25, large=lambda _: 0.01)
    best = task.set.zero(task.x)
    proposed = lean(task, best, torch.ones_like(best), 0)
    assert (proposed != 0).flatten(1).sum(1).tolist() == [changed] * N


def test_what_is_learned_is_the_regression_in_closed_form() -> None:
    """The mean K Mᵀ (M K Mᵀ + doubt I)⁻¹ y, with K written down entry by entry; forgetting leaves the last half."""
    task = problem(L2(), 0.1)
    search = InformedSearch(Leaned(halving(0.8)), Slopes(reach=0.5, rough=0.2), temperature=0.0, doubt=0.1, memory=12)
    state = search.init(task, task.set.zero(task.x))
    for t in range(17):  # 16 answers: after the first twelve, six stay
        state, _ = search.step(task.at(t), state)
    place = torch.arange(36)
    apart = (place[:, None] // 6 - place // 6).abs() + (place[:, None] % 6 - place % 6).abs()
    k = torch.exp(-apart.double() / 3) + 0.2 * torch.eye(36)
    m, y = state.evidence.moves, state.evidence.rises
    assert m.shape[1] == 6 + 4
    torch.testing.assert_close((m @ k @ m.mT).diagonal(dim1=1, dim2=2), torch.ones(N, 10, dtype=torch.float64))
    torch.testing.assert_close((m @ W.flatten()), y)
    expected = (k @ m.mT @ torch.linalg.solve(m @ k @ m.mT + 0.1 * torch.eye(10), y[:, :, None])).squeeze(2)
    found = search.slope(task.noise, state.evidence, state.best)
    torch.testing.assert_close(found.flatten(1), expected)


def test_single_precision_is_enough_for_all_that_is_remembered() -> None:
    """The inverse grows by a row an answer: with the defaults two digits stay to the end."""
    data = sp.zoo.data.load("fashion-mnist-1k[60:62]")
    access, radius = sp.wrap(sp.zoo.load("fashion-pgd-linf")).access(2, None), torch.full((2,), 0.05)
    task = Problem(
        access, data.x, untargeted(data.y), Linf(), margin, Noise.seeded(0, torch.arange(2)), radius, 0 * radius
    )
    search = InformedSearch(CornerWindows(halving(0.8)))
    state = search.init(task, Linf().zero(data.x))
    for t in range(search.memory):
        state, _ = search.step(task.at(t), state)
    known, count = state.evidence, search.memory - 1
    assert known.rises.shape == (2, count)
    moves = known.moves.double()
    seen = search.prior.covary(moves.view(2, count, 28, 28), True).view_as(moves)
    shared = moves @ seen.mT + search.doubt * torch.eye(count, dtype=torch.float64)
    expected = torch.linalg.solve(shared, known.rises.double()[:, :, None])
    error = (known.inverse @ known.rises[:, :, None] - expected).norm(dim=1) / expected.norm(dim=1)
    assert float(error.max()) < 0.01


def test_a_draw_of_the_prior_has_its_covariance() -> None:
    """Over 4000 draws; three standard errors of a product of normal numbers are below 0.1."""
    noise, like = Noise.seeded(0, torch.arange(4000)), torch.zeros(4000, 1, 2, 3, dtype=torch.float64)
    prior = Slopes(reach=0.5, rough=0.1)
    drawn = prior.draw(noise, like, True).flatten(1)
    wanted = prior.covary(torch.eye(6, dtype=torch.float64).view(6, 1, 2, 3), True).flatten(1)
    torch.testing.assert_close(drawn.T @ drawn / 4000, wanted, rtol=0, atol=0.1)


def test_large_pictures_are_learned_on_cells() -> None:
    prior, delta = Slopes(), torch.randn(2, 3, 224, 200, dtype=torch.float64)
    cells = prior.pooled(delta)
    assert cells.shape == (2, 3, 56, 50)
    slope = torch.randn_like(cells)
    torch.testing.assert_close((cells * slope).sum(), (delta * prior.spread(slope, delta)).sum())


@pytest.mark.parametrize("threat", [sp.Linf(0.05), sp.L2(1.0)], ids=str)
def test_it_takes_more_of_a_network_than_square_with_two_hundred_questions(threat: Neighborhood) -> None:
    """On n = 40 images; of n = 70 others square took 34 and this one 52 in Linf."""
    data = sp.zoo.data.load("fashion-mnist-1k[:40]")
    box = sp.wrap(sp.zoo.load("fashion-standard"), access="scores")
    ours, theirs = (
        sp.attacks.get(name)(box, data.x, data.y, threat, budget=200, **options)
        for name, options in (("auto", {}), ("square", {"steps": 200}))
    )
    assert int(ours.met.sum()) > int(theirs.met.sum())
    assert bool((ours.forwards <= 200).all())


def test_what_stands_goes_to_the_greedy_search_and_then_to_square_each_question_counted() -> None:
    """Each stage looks once more than it steps; the clean input and the confirmation are two questions more."""
    data = sp.zoo.data.load("fashion-mnist-1k[:8]")
    box = sp.wrap(sp.zoo.load("fashion-pgd-linf"), access="scores")
    asked, values = [], []
    for steps in (20, 50, 70):
        found = sp.attacks.auto(box, data.x, data.y, sp.Linf(0.01), steps=steps, learned=20, greedy=30)
        standing = ~found.met
        asked.append(found.forwards[standing].unique().tolist())
        values.append(found.value[standing])
    assert asked == [[2 + 21], [2 + 21 + 31], [2 + 21 + 31 + 21]]
    assert bool((values[1] >= values[0]).all())
    assert bool((values[2] >= values[1]).all())
    assert bool((values[2] > values[0]).any())


def test_the_greedy_search_breaks_what_the_informed_one_is_stuck_at() -> None:
    """Four images that hold out long: 300 proposals break none, 1500 of the greedy search two at least."""
    data, ids = sp.zoo.data.load("fashion-mnist-1k[:300]"), torch.tensor([62, 115, 158, 200])
    box, told = sp.wrap(sp.zoo.load("fashion-pgd-linf"), access="scores"), {"learned": 300, "ids": ids}
    x, y = data.x[ids], data.y[ids]
    stuck = sp.attacks.auto(box, x, y, sp.Linf(0.15), steps=300, **told)
    found = sp.attacks.auto(box, x, y, sp.Linf(0.15), steps=1800, **told)
    assert not bool(stuck.met.any())
    assert int(found.met.sum()) >= 2
    assert int(found.forwards[found.met].min()) > 301


@pytest.mark.parametrize("threat", [sp.Linf(0.15), sp.L2(2.0)], ids=str)
def test_the_first_question_is_about_what_fools_the_surrogate(threat: Neighborhood) -> None:
    """What carries over takes one question, and nothing is lost by it: n = 30, fifty questions."""
    data = sp.zoo.data.load("fashion-mnist-1k[:30]")
    box, guide = sp.wrap(sp.zoo.load("fashion-pgd-linf"), access="scores"), sp.wrap(sp.zoo.load("fashion-smooth"))
    attack = sp.attacks.get("auto")
    alone, led = (attack(box, data.x, data.y, threat, budget=50, **told) for told in ({}, {"surrogate": guide}))
    first, alike = (found.met & (found.forwards == 3) for found in (led, alone))
    assert int(first.sum()) > int(alike.sum())
    assert not bool((led.met & (led.forwards < 3) & (led.status != sp.Status.CLEAN)).any())
    assert int(led.met.sum()) >= int(alone.met.sum())


def test_the_model_itself_as_the_surrogate_is_fooled_by_the_first_question() -> None:
    """As many as iterated ascent with momentum fools, which stops at the first success: in both balls."""
    data, net = sp.zoo.data.load("fashion-mnist-1k[:20]"), sp.zoo.load("fashion-standard")
    for threat in (sp.Linf(0.05), sp.L2(1.0)):
        led = sp.attacks.get("auto")(net, data.x, data.y, threat, budget=3, surrogate=sp.wrap(net))
        found = sp.attacks.get("mi_fgsm")(net, data.x, data.y, threat, steps=10)
        assert int(led.met.sum()) > 12
        assert int(led.met.sum()) >= int(found.met.sum()) - 1


def test_options_out_of_range_are_refused() -> None:
    for options in ({"share": 0.0}, {"memory": 1}, {"temperature": -1.0}):
        with pytest.raises(OptionError, match=next(iter(options))):
            sp.attacks.get("auto").build(sp.Linf(0.1), **options)
    with pytest.raises(OptionError, match="with gradients"):
        sp.attacks.get("auto").build(sp.Linf(0.1), surrogate=sp.wrap(sp.zoo.load("fashion-fgsm"), access="scores"))
