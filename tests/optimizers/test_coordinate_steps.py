"""ZOO: exact on quadratics, few coordinates a step, closed-form optima, and what a network's smallest change is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import ScoreAccess
from saddlepoint.core import Problem, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.coordinate_steps import CoordinateSteps, Rule, Seen, adam, halved, newton
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L2
from saddlepoint.testing import LinearClassifier

SHAPE, D, N = (1, 4, 6), 24, 5
DRAW = torch.Generator().manual_seed(3)
W = torch.randn(D, generator=DRAW, dtype=torch.float64)
B = torch.randn(D, D, generator=DRAW, dtype=torch.float64) / D
X = 0.3 + 0.4 * torch.rand(N, *SHAPE, generator=DRAW, dtype=torch.float64)


def quadratic(x: Tensor) -> Tensor:
    flat = x.flatten(1)
    value = flat @ W + ((flat @ B) * flat).sum(1)
    return torch.stack([torch.zeros_like(value), value], 1)


def problem(x: Tensor = X, budget: int | None = None) -> Problem[ScoreAccess]:
    access = sp.wrap(quadratic, output="logits").access(len(x), budget)
    assert isinstance(access, ScoreAccess)
    inf, one = torch.full((len(x),), torch.inf, dtype=x.dtype), torch.ones(len(x), dtype=x.dtype)
    goal = untargeted(torch.zeros(len(x), dtype=torch.long))
    return Problem(access, x, goal, L2(), margin, Noise.seeded(0, torch.arange(len(x))), inf, one)


def steps(samples: int, rule: Rule = newton, side: int = 1, rate: float = 0.01) -> CoordinateSteps:
    return CoordinateSteps(rule, constant(rate), samples, 1e-3, lambda t: side)


def test_slope_and_curvature_are_those_of_a_quadratic() -> None:
    task, walk = problem(), steps(D)
    state = walk.init(task, torch.zeros_like(X))
    here = task.value(quadratic(X), state.delta)
    slope, curvature = walk.along(task, state, torch.arange(D).expand(N, D), here)
    torch.testing.assert_close(slope, W + X.flatten(1) @ (B + B.T), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(curvature, (-2 * B.diagonal()).expand(N, D), rtol=1e-4, atol=1e-5)


def test_at_the_bounds_slopes_are_one_sided_and_curvatures_not_known() -> None:
    task, walk = problem(torch.zeros_like(X)), steps(D)
    state = walk.init(task, torch.zeros_like(X))
    slope, curvature = walk.along(task, state, torch.arange(D).expand(N, D), torch.zeros(N, dtype=torch.float64))
    torch.testing.assert_close(slope, W.expand(N, D), rtol=0, atol=1e-3)
    assert curvature.isnan().all()


def test_a_tile_moves_as_one_and_feels_the_mean_slope() -> None:
    task, walk = problem(), steps(6, side=2)
    state = walk.init(task, torch.zeros_like(X))
    here = task.value(quadratic(X), state.delta)
    slope, _ = walk.along(task, state, torch.arange(6).expand(N, 6), here)
    exact = (W + X.flatten(1) @ (B + B.T)).view(N, *SHAPE)
    torch.testing.assert_close(slope, torch.nn.functional.avg_pool2d(exact, 2).flatten(1), rtol=1e-7, atol=1e-9)
    moved, _ = walk.step(task, state)
    blocks = moved.delta.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert (blocks == blocks[..., :1]).all()


@pytest.mark.parametrize("rule", [adam, newton])
def test_only_what_was_drawn_moves_for_two_questions_each_and_a_look(rule: Rule) -> None:
    task, walk = problem(), steps(7, rule)
    state, seen = walk.step(task, walk.init(task, torch.zeros_like(X)))
    assert not seen.delta.any()
    assert (state.delta.flatten(1) != 0).sum(1).tolist() == [7] * N
    assert task.access.ledger.forwards.tolist() == [15] * N


def test_a_budget_that_does_not_cover_a_step_moves_nothing() -> None:
    task, walk = problem(budget=14), steps(7)
    state, _ = walk.step(task, walk.init(task, torch.zeros_like(X)))
    assert not state.delta.any()
    assert task.access.ledger.forwards.tolist() == [1] * N


def test_rules_are_adams_and_newtons() -> None:
    slope, bend = torch.tensor([[2.0, -3.0, 1.0, 1.0]]), torch.tensor([[4.0, 0.01, -5.0, torch.nan]])
    nothing = torch.zeros_like(slope)
    step, kept = newton(Seen(slope, bend, nothing, nothing, nothing))
    torch.testing.assert_close(step, torch.tensor([[0.5, -30.0, 1.0, 1.0]]))
    assert not kept.count.any()
    parameter = torch.zeros(1, 4, requires_grad=True)
    peer = torch.optim.Adam([parameter], lr=1.0, maximize=True)
    seen, moved = Seen(slope, bend, nothing, nothing, nothing), torch.zeros_like(slope)
    for factor in (1.0, -0.5, 2.0):
        parameter.grad = factor * slope
        peer.step()
        step, seen = adam(Seen(factor * slope, bend, seen.mean, seen.square, seen.count))
        moved = moved + step
    torch.testing.assert_close(moved, parameter.detach())


def test_coordinates_are_drawn_where_much_was_changed() -> None:
    """Half of the draws go by |δ|: with all of it in one of 24 entries, that one is drawn with the chance 1/2 + 1/48.

    n = 2000 draws of one coordinate: within four standard errors.
    """
    n = 2000
    task = problem(X[:1].expand(n, *SHAPE))
    walk = steps(1)
    delta = torch.zeros(n, *SHAPE, dtype=torch.float64)
    delta[:, 0, 1, 2] = 0.1
    chosen = walk._chosen(task, walk.init(task, delta)).squeeze(1)
    share = float((chosen == 8).double().mean())
    assert abs(share - (0.5 + 0.5 / D)) < 4 * (0.25 / n) ** 0.5


def test_tiles_are_halved_until_they_are_pixels() -> None:
    assert [halved(1, 3)(t) for t in range(4)] == [1] * 4
    assert [halved(8, 8)(t) for t in range(8)] == [8, 8, 4, 4, 2, 2, 1, 1]


@pytest.mark.parametrize(("solver", "rate", "within"), [("newton", 0.5, 1.1), ("adam", 0.02, 1.4)])
def test_it_comes_near_the_closest_point_of_a_plane(solver: str, rate: float, within: float) -> None:
    """n = 6, 36 entries, six rounds of 60 steps."""
    model = LinearClassifier.random(2, (1, 6, 6), seed=1)
    x = 0.35 + 0.3 * torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = model(x).argmax(1)
    found = sp.attacks.get("zoo")(model, x, y, sp.L2(), solver=solver, rate=rate, samples=18, steps=60, rounds=6)
    ratio = found.size / model.closest_in_box(x, y, sp.L2())
    assert bool(found.met.all())
    assert float(ratio.min()) >= 1 - 1e-9
    assert float(ratio.median()) < within


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"solver": "sgd"}, "adam or newton"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"importance": 1.5}, "a share"),
        ({"tile": 0}, "tile must be at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], says: str) -> None:
    model = LinearClassifier.random(2, SHAPE, seed=1)
    with pytest.raises(OptionError, match=says):
        sp.attacks.get("zoo")(model, X, model(X).argmax(1), sp.L2(), **options)
