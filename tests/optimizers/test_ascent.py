from __future__ import annotations

import dataclasses as dc

import pytest
import torch

import saddlepoint as sp
from saddlepoint.access import GradientAccess, wrap
from saddlepoint.attacks import Iterate
from saddlepoint.core import Goal, Problem, Trial, untargeted
from saddlepoint.gradients import backprop
from saddlepoint.initializers import uniform
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy, margin
from saddlepoint.optimizers import Ascent
from saddlepoint.optimizers.schedules import constant, cosine
from saddlepoint.sets import L1, L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing import LinearClassifier
from saddlepoint.testing.problems import MLP, SHAPE

N = 8
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NOISE = Noise.seeded(0, torch.arange(N))


def problem(network: torch.nn.Module, ball: Ball, radius: float, objective: object = margin) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    y = network(X).argmax(1)
    radii = torch.full((N,), radius, dtype=torch.float64)
    return Problem(access, X, untargeted(y), ball, objective, NOISE, radii, radii)  # type: ignore[arg-type]


@pytest.mark.parametrize("ball", [Linf(), L2(), L1()])
def test_a_step_is_rate_radii_along_the_steepest_direction_then_projected(ball: Ball) -> None:
    asked = problem(MLP(), ball, 0.4)
    optimizer = Ascent(backprop, constant(0.5))
    start = uniform(asked)
    state, trial = optimizer.step(asked, optimizer.init(asked, start))
    _, slope = backprop(asked, start)
    moved = ball.move(X, start, slope, torch.full_like(asked.radius, 0.5 * 0.4))
    if not isinstance(ball, L1):  # there the box leaves the steepest entry too little room
        assert torch.allclose(moved, 0.5 * 0.4 * ball.steepest(X, slope))
    expected = ball.project(X, start + moved, asked.radius)
    assert torch.allclose(state.delta, expected)
    assert torch.equal(trial.delta, start)


def test_momentum_accumulates_slopes_of_unit_mean() -> None:
    asked = problem(MLP(), L2(), 0.4)
    optimizer = Ascent(backprop, constant(0.2), momentum=0.9)
    first, _ = optimizer.step(asked, optimizer.init(asked, torch.zeros_like(X)))
    second, _ = optimizer.step(asked, first)
    unit = lambda d: (g := backprop(asked, d)[1]) / g.abs().mean((1, 2, 3), keepdim=True)  # noqa: E731
    g0, g1 = unit(torch.zeros_like(X)), unit(first.delta)
    assert second.velocity is not None
    assert torch.allclose(second.velocity, 0.9 * g0 + g1)


def test_steps_are_halved_where_values_fell_over_a_plateau() -> None:
    # The value of the first sample falls all the time, that of the second rises, that of the third is level.
    asked = problem(MLP(), Linf(), 0.4).rows(torch.arange(3))
    told = iter(torch.tensor([[-t, t, 0.0]], dtype=X.dtype).squeeze(0) for t in range(40))

    def scripted(problem: Problem[GradientAccess], delta: torch.Tensor) -> tuple[Trial, torch.Tensor]:
        value = next(told)
        return Trial(delta, value, value > 1e9, value.abs()), torch.ones_like(delta)

    free = dc.replace(asked, x=torch.full_like(asked.x, 0.5))
    optimizer: Ascent[GradientAccess] = Ascent(scripted, constant(0.01), plateau=3)
    state = optimizer.init(free, torch.zeros_like(free.x))
    moved = []
    for _ in range(40):
        before = state.delta
        state, _ = optimizer.step(free, state)
        moved.append((state.delta - before)[:, 0, 0, 0] / 0.004)
    steps = torch.stack(moved)
    # Windows of three looks: the third, the sixth, ... of a falling value each begin anew; none falls below 1 / 200.
    falling = [max(0.5 ** ((t + 1) // 3), 1 / 200) for t in range(40)]
    torch.testing.assert_close(steps[:, 0], torch.tensor(falling, dtype=X.dtype))
    assert torch.allclose(steps[:, 1:], torch.ones_like(steps[:, 1:]))


def test_a_plateau_leads_nearer_to_a_top_than_steps_that_never_shrink() -> None:
    y = torch.zeros(N, dtype=torch.long)
    top = 0.05 * torch.linspace(-1, 1, 36, dtype=X.dtype).view(SHAPE)

    def hill(x: torch.Tensor) -> torch.Tensor:
        value = -((x - X[:1] - top) ** 2).flatten(1).sum(1) - 1
        return torch.stack([-value, value], 1) / 2

    access = wrap(hill, output="logits", bounds=(-1.0, 2.0)).access(1)
    assert isinstance(access, GradientAccess)
    radii = torch.full((1,), 0.2, dtype=X.dtype)
    asked = Problem(access, X[:1], untargeted(y[:1]), Linf(), margin, NOISE.rows(torch.arange(1)), radii, radii)
    left = []
    for plateau in (0, 2):
        optimizer = Ascent(backprop, constant(0.5), plateau=plateau)
        state = optimizer.init(asked, torch.zeros_like(X[:1]))
        for _ in range(60):
            state, _ = optimizer.step(asked, state)
        left.append(float((state.delta - top).abs().max()))
    assert left[0] > 0.05
    assert left[1] < 0.005


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
@pytest.mark.parametrize("ball", [Linf(), L2(), L1()])
@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_the_scale_of_the_slope_does_not_matter(scale: float, ball: Ball, momentum: float) -> None:
    """A floor under the norm of the gradient, where it is too large, hides what the attack could do."""

    def scaled(logits: torch.Tensor, goal: Goal) -> torch.Tensor:
        return scale * margin(logits, goal)

    ends = []
    for objective in (margin, scaled):
        asked = problem(MLP(), ball, 0.4, objective)
        optimizer = Ascent(backprop, constant(0.3), momentum)
        state = optimizer.init(asked, torch.zeros_like(X))
        for _ in range(5):
            state, _ = optimizer.step(asked, state)
        ends.append(state.delta)
    assert torch.allclose(ends[0], ends[1], atol=1e-9)


def test_a_zero_slope_with_momentum_makes_no_nan() -> None:
    asked = problem(MLP(), Linf(), 0.4, lambda logits, goal: 0 * margin(logits, goal))
    optimizer = Ascent(backprop, constant(0.3), 1.0)
    state, _ = optimizer.step(asked, optimizer.init(asked, torch.zeros_like(X)))
    assert (state.delta == 0).all()


@pytest.mark.parametrize("ball", [Linf(), L2(), L1()])
def test_every_point_looked_at_is_in_the_ball_around_the_clean_input(ball: Ball) -> None:
    asked = problem(MLP(), ball, 0.5)
    optimizer = Ascent(backprop, constant(0.7), 0.5)
    state = optimizer.init(asked, uniform(asked))
    for _ in range(20):
        state, trial = optimizer.step(asked, state)
        assert asked.within(trial.size).all()
        assert ((X + trial.delta >= 0) & (X + trial.delta <= 1)).all()


@pytest.mark.parametrize(("ball", "radius", "share"), [(Linf(), 0.05, 1.0), (Linf(), 0.6, 1.0), (L2(), 0.3, 0.999)])
def test_reaches_the_optimum_of_linear_problems(ball: Ball, radius: float, share: float) -> None:
    model = LinearClassifier.random(2, seed=1)
    y = model(X).argmax(1)
    radii = torch.full((N,), radius, dtype=torch.float64)
    attack = Iterate(ball, cross_entropy, Ascent(backprop, constant(0.1)), uniform, 60, stop_when_met=False)
    result = attack(wrap(model).access(N), X, untargeted(y), NOISE, radii)  # type: ignore[arg-type]
    start = untargeted(y).margin(model(X).detach())
    reached = (result.value - start) / (model.margin_at(X, y, ball, radii) - start)
    assert float(reached.min()) >= share - 1e-9


@pytest.mark.parametrize(("name", "options"), [("fgsm", {}), ("bim", {"steps": 1}), ("mi_fgsm", {"steps": 1})])
def test_fgsm_is_the_sign_of_the_gradient_of_cross_entropy(name: str, options: dict[str, int]) -> None:
    network = MLP(seed=1)
    y = network(X).argmax(1)
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(network(x), y), x)
    result = sp.attacks.get(name)(network, X, y, sp.Linf(0.03), **options)
    assert torch.allclose(result.x_adv, (X + 0.03 * gradient.sign()).clamp(0, 1))


def test_schedules() -> None:
    assert [constant(0.3)(t) for t in (0, 9)] == [0.3, 0.3]
    falling = cosine(1.0, 0.0, 10)
    assert [round(falling(t), 6) for t in (0, 5, 10, 11)] == [1, 0.5, 0, 0]
