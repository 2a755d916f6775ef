"""Bandits, ZO-AdaMM, NAttack: known steps, known optima, and what they do to a network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import ScoreAccess
from saddlepoint.core import Problem, untargeted
from saddlepoint.core.trial import Trial
from saddlepoint.gradients import BanditPrior, Differences, coordinates
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import Ascent, FrankWolfe, Remembering
from saddlepoint.optimizers.adam import Adam
from saddlepoint.optimizers.adamm import AdaMM
from saddlepoint.optimizers.schedules import constant, harmonic
from saddlepoint.optimizers.search_distribution import SearchDistribution
from saddlepoint.sets import L2, Linf
from saddlepoint.sets.ball import Ball

SHAPE = (1, 4, 6)
D = 24
W = torch.linspace(-1.0, 1.33, D, dtype=torch.float64).sin().view(SHAPE)
N = 5


def rising(x: Tensor) -> Tensor:
    value = (x * W).flatten(1).sum(1) - 1e3
    return torch.stack([torch.zeros_like(value), value], 1)


def problem(ball: Ball, budget: int | None = None, radius: float = 0.2) -> Problem[ScoreAccess]:
    access = sp.wrap(rising, output="logits").access(N, budget)
    assert isinstance(access, ScoreAccess)
    radii = torch.full((N,), radius, dtype=torch.float64)
    x = torch.full((N, *SHAPE), 0.5, dtype=torch.float64)
    y = torch.zeros(N, dtype=torch.long)
    return Problem(access, x, untargeted(y), ball, margin, Noise.seeded(0, torch.arange(N)), radii, radii)


def share(problem: Problem[ScoreAccess], trial: Trial) -> float:
    """How much of the largest possible rise of a linear value was reached, the least over samples."""
    best = W.abs().sum() if isinstance(problem.set, Linf) else W.norm()
    rise = (trial.delta * W).flatten(1).sum(1) / (problem.radius * best)
    return float(rise.min())


def climbing(slopes: BanditPrior, rate: float) -> Remembering[ScoreAccess]:
    return Remembering(slopes, lambda slope: Ascent(slope, constant(rate)))


CLIMBS = {
    "Frank-Wolfe": lambda slope: FrankWolfe(slope, harmonic, 0.0),
    "ZO-AdaMM": lambda slope: AdaMM(slope, 0.3),
    "Adam": lambda slope: Adam(slope, constant(0.05), inside=True),
}


@pytest.mark.parametrize("climb", CLIMBS)
def test_a_prior_leads_any_climb(climb: str) -> None:
    task = problem(Linf())
    optimizer: Remembering[ScoreAccess] = Remembering(BanditPrior(rate=2.0), CLIMBS[climb])  # type: ignore[arg-type]
    state = optimizer.init(task, torch.zeros_like(task.x))
    for t in range(400):
        state, _ = optimizer.step(task.at(t), state)
    assert share(task, optimizer.finish(task, state)) > 0.9
    assert task.access.ledger.forwards.tolist() == [1201] * N


@pytest.mark.parametrize(("ball", "exponentiated"), [(Linf(), True), (L2(), False), (Linf(), False)])
def test_bandits_learn_a_linear_slope(ball: Ball, exponentiated: bool) -> None:
    task = problem(ball)
    rates = {"rate": 2.0} if exponentiated else {"rate": 1.0, "probe": 0.01, "explore": 0.5}
    optimizer = climbing(BanditPrior(**rates, exponentiated=exponentiated), 0.1)  # type: ignore[arg-type]
    state = optimizer.init(task, torch.zeros_like(task.x))
    for t in range(400):
        state, _ = optimizer.step(task.at(t), state)
    assert share(task, optimizer.finish(task, state)) > 0.9
    assert task.access.ledger.forwards.tolist() == [1201] * N
    if exponentiated:
        assert float(state.memory.abs().max()) <= 1


@pytest.mark.parametrize("explore", [0.01, 1.0])
@pytest.mark.parametrize("exponentiated", [False, True])
def test_the_first_prior_is_that_of_the_paper(explore: float, exponentiated: bool) -> None:
    """From v = 0 along e = explore · n / √d: Δ = 2 <W, n / |n|> / explore, and v = h Δ e, or tanh of it."""
    task = problem(L2())
    slopes = BanditPrior(rate=0.1, probe=0.01, explore=explore, exponentiated=exponentiated)
    delta = torch.zeros_like(task.x)
    prior, _, slope = slopes(task, delta, slopes.begin(task, delta))
    normal = task.noise.at("explore").normal(SHAPE, dtype=torch.float64)
    along = (normal * W).flatten(1).sum(1) / normal.flatten(1).norm(dim=1)
    step = 0.1 * (2 * along / explore).view(N, 1, 1, 1) * (explore * normal / D**0.5)
    torch.testing.assert_close(prior, step.tanh() if exponentiated else step, rtol=1e-6, atol=1e-9)
    assert torch.equal(slope, prior)


def test_a_prior_on_tiles_is_constant_on_them() -> None:
    task = problem(Linf())
    optimizer = climbing(BanditPrior(tile=2), 0.5)
    state = optimizer.init(task, torch.zeros_like(task.x))
    assert state.memory.shape == (N, 1, 2, 3)
    state, _ = optimizer.step(task, state)
    blocks = state.climb.delta.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert (blocks == blocks[..., :1]).all()


def test_with_exact_slopes_it_is_amsgrad() -> None:
    """All coordinates estimate a linear slope exactly; then the first steps are known by hand."""
    task = problem(Linf(), radius=10.0)
    optimizer = AdaMM(Differences(coordinates, D, 1e-4), 0.3, (0.9, 0.5))
    state = optimizer.init(task, torch.zeros_like(task.x))
    mean, square, largest, delta = (torch.zeros_like(W) for _ in range(4))
    for t in range(3):
        state, _ = optimizer.step(task, state)
        mean, square = 0.9 * mean + 0.1 * W, 0.5 * square + 0.5 * W**2
        largest = torch.maximum(largest, square)
        moved = delta + 0.3 / (t + 1) ** 0.5 * 10.0 * mean / largest.sqrt()
        delta = (0.5 + moved).clamp(0, 1) - 0.5
        torch.testing.assert_close(state.delta, delta.expand_as(state.delta), rtol=1e-4, atol=1e-5)


def test_only_the_projection_in_its_own_metric_stays_at_the_best_point() -> None:
    """A linear value has its largest rise in the ball along W; AMSGrad's step from there leads elsewhere."""
    task = problem(L2())
    best = (0.2 * W / W.norm()).expand_as(task.x)
    slope = Differences(coordinates, D, 1e-4)
    state = AdaMM(slope, 0.3).step(task, AdaMM(slope, 0.3).init(task, best))[0]
    torch.testing.assert_close(state.delta, best, rtol=1e-3, atol=1e-4)
    plain = task.set.project(task.x, best + 0.3 * 0.2 / D**0.5 * W.sign(), task.radius)
    assert float((plain - best).abs().max()) > 0.005


@pytest.mark.parametrize("ball", [Linf(), L2()])
def test_amsgrad_on_estimates_comes_to_the_best_of_a_linear_value(ball: Ball) -> None:
    task = problem(ball)
    optimizer = AdaMM(Differences(coordinates, D, 1e-4), 0.3)
    state = optimizer.init(task, torch.zeros_like(task.x))
    for t in range(60):
        state, _ = optimizer.step(task.at(t), state)
    assert share(task, optimizer.finish(task, state)) > 0.99


@pytest.mark.parametrize("ball", [Linf(), L2()])
def test_a_distribution_moves_to_where_a_linear_value_is_high(ball: Ball) -> None:
    task = problem(ball)
    optimizer = SearchDistribution(60, 0.1, 0.1)
    state = optimizer.init(task, torch.zeros_like(task.x))
    for t in range(60):
        state, seen = optimizer.step(task.at(t), state)
    assert share(task, optimizer.finish(task, state)) > 0.85
    assert share(task, seen) > 0.8
    assert task.access.ledger.forwards.tolist() == [60 * 60 + 1] * N


def test_the_first_move_of_the_mean_is_the_correlation_with_the_value() -> None:
    task = problem(Linf())
    optimizer = SearchDistribution(4000, 0.05, 0.05)
    state, _ = optimizer.step(task, optimizer.init(task, torch.zeros_like(task.x)))
    # A = <w, n> / |w| for a linear value, so the mean of A n is w / |w|, times rate / sigma = 1.
    error = (state.mean - W / W.norm()).flatten(1)
    assert float(error.square().mean().sqrt()) < 3 / 4000**0.5


def test_a_budget_that_does_not_cover_the_draws_moves_nothing() -> None:
    task = problem(Linf(), budget=5)
    optimizer = SearchDistribution(6)
    state, seen = optimizer.step(task, optimizer.init(task, torch.zeros_like(task.x)))
    assert not state.mean.any()
    assert not seen.met.any()
    assert task.access.ledger.forwards.tolist() == [0] * N


@pytest.mark.parametrize(
    ("attack", "options"),
    [
        ("bandits", {"steps": 200}),
        ("nattack", {"steps": 20}),
        ("rgf", {"steps": 15, "samples": 40, "tile": 2}),
        ("zo_adamm", {"steps": 15, "samples": 40, "tile": 2}),
        ("sign_hunter", {"steps": 600}),
        ("zo_frank_wolfe", {"steps": 15, "pairs": 20, "tile": 2}),
        ("acc_szofw", {"steps": 40, "samples": 20, "every": 3, "tile": 2}),
        ("acc_szofw_star", {"steps": 25, "tile": 2}),
        ("zo_svrg", {"steps": 30, "samples": 40, "every": 5, "tile": 2}),
        ("zo_ngd", {"steps": 25, "tile": 2}),
        ("zo_admm", {"steps": 25, "tile": 2}),
    ],
)
def test_600_questions_fool_an_undefended_network(attack: str, options: dict[str, int]) -> None:
    """On n = 40 images within 0.1: half of them; one question, a random corner, fools five."""
    data = sp.zoo.data.load("fashion-mnist-1k[:40]")
    net = sp.wrap(sp.zoo.load("fashion-standard"), access="scores")
    found = sp.attacks.get(attack)(net, data.x, data.y, sp.Linf(0.1), **options)
    assert int(found.met.sum()) >= (18 if attack == "acc_szofw" else 25)  # its steps are short
