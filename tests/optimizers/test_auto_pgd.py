from __future__ import annotations

import dataclasses as dc
from typing import Any

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import GradientAccess, wrap
from saddlepoint.attacks import Anneal, Cascade, EachTarget, Iterate
from saddlepoint.core import Attack, Problem, Trial, untargeted
from saddlepoint.gradients import backprop
from saddlepoint.initializers import surface
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin, toward_target
from saddlepoint.optimizers import AutoPGD
from saddlepoint.optimizers.auto_pgd import AutoPGDState
from saddlepoint.sets import L1, L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing import LinearClassifier

N = 16
X = torch.rand(N, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def published_schedule(values: list[float], steps: int, rho: float = 0.75) -> tuple[list[float], list[int]]:
    """For one sample: the step size after each look (in radii), and the looks at which the best was taken up again.

    Straight from Algorithm 1 of Croce and Hein 2020 with the whole-numbered check times of its authors: checks after
    22 % of the steps, then 3 points sooner each time, never sooner than 6 %.
    """
    first, cut, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    rate, best, gap, since = 2.0, values[0], first, 0
    best_then, halved_then, rises = values[0], True, 0
    rates, restarts = [rate], []
    for t in range(1, len(values)):
        rises += values[t] > values[t - 1]
        best = max(best, values[t])
        since += 1
        if since == gap:
            few_rises = rises <= rho * gap
            stalled = not halved_then and best <= best_then
            halved_then, best_then = few_rises or stalled, best
            if halved_then:
                rate /= 2
                restarts.append(t)
            gap, since, rises = max(gap - cut, least), 0, 0
        rates.append(rate)
    return rates, restarts


def scripted(values: Tensor) -> tuple[Problem[GradientAccess], AutoPGD[GradientAccess]]:
    """A problem whose t-th look sees ``values[t]`` ([T, n]), whatever was done before."""
    n = values.shape[1]
    looks = iter(values)

    def gradient(problem: Problem[GradientAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        value = next(looks)
        no = torch.zeros_like(value, dtype=torch.bool)
        return Trial(delta, value, no, value), torch.ones_like(delta)

    access = wrap(LinearClassifier.random()).access(n)
    assert isinstance(access, GradientAccess)
    noise = Noise.seeded(0, torch.arange(n))
    x, ones = torch.full((n, 4), 0.5, dtype=torch.float64), torch.full((n,), 0.3, dtype=torch.float64)
    goal = untargeted(torch.zeros(n, dtype=torch.long))
    return Problem(access, x, goal, Linf(), margin, noise, ones, ones), AutoPGD(gradient, len(values))


def trace(values: Tensor) -> list[AutoPGDState]:
    problem, optimizer = scripted(values)
    start = 0.1 * torch.randn(values.shape[1], 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    states = [optimizer.init(problem, start)]
    for _ in range(len(values)):
        states.append(optimizer.step(problem, states[-1])[0])
    return states


def stories(steps: int) -> Tensor:
    """Values over time of samples that rise steadily, never, by fits, at random, up then down: [steps, n]."""
    t = torch.arange(steps, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    walks = torch.randn(steps, 6, generator=generator, dtype=torch.float64).cumsum(0)
    drifts = torch.randn(steps, 4, generator=generator, dtype=torch.float64).add(1).cumsum(0)
    shapes = [t, -t, torch.zeros(steps), t.sin(), (t - steps / 2).abs(), -(t - steps / 3).abs(), (t / 7).floor()]
    return torch.cat([torch.stack(shapes, 1).double(), walks, drifts], 1)


@pytest.mark.parametrize("steps", [5, 10, 20, 50, 100, 137])
def test_halves_its_step_when_the_published_schedule_does(steps: int) -> None:
    values = stories(steps)
    states = trace(values)
    ours = torch.stack([s.rate for s in states[1:]]) / 0.3
    for i in range(values.shape[1]):
        rates, _ = published_schedule(values[:, i].tolist(), steps)
        assert torch.allclose(ours[:, i], torch.tensor(rates, dtype=torch.float64)), f"story {i}"
    assert len(ours[-1].unique()) > 1


def test_takes_up_the_best_point_where_it_halves_and_only_there() -> None:
    steps = 50
    values = stories(steps)
    states = trace(values)
    for i in range(values.shape[1]):
        _, restarts = published_schedule(values[:, i].tolist(), steps)
        for t in range(steps):
            looked_at, left_from = states[t].delta[i], states[t + 1].before[i]
            best = states[int(values[: t + 1, i].argmax())].delta[i]
            assert torch.equal(left_from, best if t in restarts else looked_at), f"story {i}, look {t}"


def test_without_a_slope_goes_on_from_new_random_points() -> None:
    problem, optimizer = scripted(torch.zeros(20, 3))

    def blind_to_all_but_the_last(problem: Problem[GradientAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        value = torch.tensor([0.0, 0.0, len(points)])
        return Trial(delta, value, value < 0, value), torch.tensor([[0.0], [0.0], [1.0]]).expand_as(delta)

    optimizer = dc.replace(optimizer, gradient=blind_to_all_but_the_last)
    state = optimizer.init(problem, problem.set.sample(problem.x, problem.radius, problem.noise))
    points = [state.delta]
    for t in range(20):
        state, _ = optimizer.step(problem.at(t), state)
        points.append(state.delta)
    walk = torch.stack(points)
    assert len(walk[:, 0].unique(dim=0)) > 8 < len(walk[:, 1].unique(dim=0))
    assert bool((walk.abs() <= 0.3).all())
    assert len(walk[4:, 2].unique(dim=0)) == 1, "with a slope it stays where the slope leads"


def test_moves_with_inertia_and_projects_twice() -> None:
    values = stories(10)
    problem, optimizer = scripted(values)
    states = trace(values)
    sign = torch.ones(4, dtype=torch.float64)
    project = lambda d: d.clamp(-0.3, 0.3)  # noqa: E731
    assert torch.allclose(states[1].delta, project(states[0].delta + 0.6 * sign))
    here, before = states[1].delta, states[0].delta
    ahead = project(here + 0.6 * sign)
    assert torch.allclose(states[2].delta, project(here + 0.75 * (ahead - here) + 0.25 * (here - before)))
    assert dc.replace(optimizer, rate=1.0).init(problem, here).rate.tolist() == pytest.approx([0.3] * values.shape[1])


@pytest.mark.parametrize(("ball", "radius"), [(Linf(), 0.05), (Linf(), 0.6), (L2(), 0.3), (L2(), 2.5)])
def test_reaches_the_exact_optimum_of_linear_problems(ball: Ball, radius: float) -> None:
    """With and without an active box."""
    model = LinearClassifier.random(2, seed=1)
    attack = Iterate(ball, margin, AutoPGD(backprop, 100), surface, 100, stop_when_met=False)
    share = share_of_optimum(model, attack, ball, torch.full((N,), radius, dtype=torch.float64))
    assert float(share.min()) > 1 - 1e-6


@pytest.mark.parametrize("ball", [Linf(), L2()])
def test_toward_each_target_it_reaches_the_exact_optimum_of_many_classes(ball: Ball) -> None:
    """The margin over the best of several classes is not concave: one run may climb toward the wrong class."""
    model = LinearClassifier.random(4, seed=1)
    radii = 0.95 * model.closest_in_box(X, model(X).argmax(1), ball)
    one = Iterate(ball, toward_target, AutoPGD(backprop, 50), surface, 50)
    share = share_of_optimum(model, EachTarget(one, 3), ball, radii)
    assert float(share.min()) > 1 - 1e-6


@pytest.mark.parametrize("radius", [1.0, 3.0, 8.0])
def test_in_the_l1_ball_the_anneal_comes_close_to_the_exact_optimum(radius: float) -> None:
    model = LinearClassifier.random(2, seed=1)
    once = sp.attacks.get("apgd_ce").attack(sp.L1(radius), restarts=1)
    assert isinstance(once, Cascade)
    attack = once.attacks[0]
    assert isinstance(attack, Anneal)
    parts = [dc.replace(part, stop_when_met=False) for part in attack.attacks if isinstance(part, Iterate)]
    attack = dc.replace(attack, attacks=parts)
    share = share_of_optimum(model, attack, L1(), torch.full((N,), radius, dtype=torch.float64))
    assert float(share.min()) > 0.9
    assert float(share.median()) > 0.97


def share_of_optimum(model: LinearClassifier, attack: Attack[Any], ball: Ball, radii: Tensor) -> Tensor:
    """How much of the best possible rise of the margin the attack reached, [N]."""
    goal = untargeted(model(X).argmax(1))
    result = attack(wrap(model).access(N), X, goal, Noise.seeded(0, torch.arange(N)), radii)
    seen = [goal.margin(model(x).detach()) for x in (X, result.x_adv)]
    share = (seen[1] - seen[0]) / (model.margin_at(X, goal.label, ball, radii) - seen[0])
    assert float(share.max()) < 1 + 1e-5
    return share
