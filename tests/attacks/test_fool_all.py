"""One perturbation against several models: one model, the average, a closed form, who gets the weight."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access.asking import GradientAccess, Ledger
from saddlepoint.access.ensemble import side_by_side
from saddlepoint.attacks.fool_all import fool_all
from saddlepoint.core import Problem, untargeted
from saddlepoint.errors import ModelError, OptionError, ThreatError
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.min_max import MinMax, MinMaxState
from saddlepoint.optimizers.schedules import constant
from saddlepoint.rows import onto_simplex
from saddlepoint.testing.problems import MLP, SHAPE

X = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
NETS = [MLP(seed=k) for k in range(3)]
ZOO = tuple(sp.zoo.load(f"fashion-{name}") for name in ("standard", "fgsm", "pgd-linf"))


class Slanted(torch.nn.Module):
    """Logits (0, 10 (x · w - b)): class 0 below a line."""

    def __init__(self, w: list[float], b: float) -> None:
        super().__init__()
        self.w, self.b = torch.tensor(w, dtype=torch.float64), b

    def forward(self, x: Tensor) -> Tensor:
        value = 10 * (x @ self.w - self.b)
        return torch.stack([torch.zeros_like(value), value], 1)


def agreed(nets: list[MLP]) -> tuple[Tensor, Tensor]:
    """The inputs and labels on which all agree."""
    said = torch.stack([net(X).argmax(1) for net in nets])
    same = (said == said[0]).all(0)
    return X[same], said[0][same]


def problem_of(nets: list[torch.nn.Module], x: Tensor, y: Tensor, radius: float) -> Problem[GradientAccess]:
    model, n = side_by_side(nets), len(x)
    access = GradientAccess(model, Ledger(n))
    full = torch.full((n,), radius, dtype=x.dtype)
    noise = Noise.seeded(0, torch.arange(n))
    return Problem(access, x, untargeted(y), sp.L2(radius), margin, noise, full, torch.zeros_like(full))


@pytest.mark.parametrize("threat", [sp.Linf(0.05), sp.L2(0.3)], ids=lambda threat: threat.name)
def test_of_one_model_it_is_pgd(threat: sp.Linf) -> None:
    y = NETS[0](X).argmax(1)
    own = fool_all(NETS[:1], X, y, threat, steps=6, restarts=2)
    alone = sp.attacks.pgd(NETS[0], X, y, threat, steps=6, restarts=2)
    assert torch.equal(own.x_adv, alone.x_adv)
    assert torch.equal(own.met, alone.met)
    assert torch.equal(own.forwards, alone.forwards)
    assert torch.equal(own.backwards, alone.backwards)
    assert 0 < int(own.met.sum()) < len(X)


def test_with_infinite_gamma_it_is_the_average() -> None:
    """The weights stay equal, so that steps follow the slope of the mean objective."""
    x, y = X, NETS[0](X).argmax(1)
    problem = problem_of(NETS, x, y, 0.3)
    climb = MinMax(constant(0.5), 3, gamma=math.inf)
    state = climb.init(problem, torch.zeros_like(x))
    for _ in range(3):
        before = state
        state, _ = climb.step(problem, state)
        torch.testing.assert_close(state.weights, torch.full_like(state.weights, 1 / 3))
        at = (x + before.delta).requires_grad_()
        mean = sum(margin(net(at), problem.goal) for net in NETS) / 3
        (g,) = torch.autograd.grad(mean.sum(), at)
        moved = before.delta + 0.5 * 0.3 * problem.set.steepest(x, g)
        torch.testing.assert_close(state.delta, problem.set.project(x, moved, problem.radius))


def test_weights_are_on_the_simplex_and_go_to_the_hardest() -> None:
    x, y = X, NETS[0](X).argmax(1)
    problem = problem_of(NETS, x, y, 0.3)
    climb = MinMax(constant(0.1), 3, beta=5.0, gamma=0.1)
    state = climb.init(problem, torch.zeros_like(x))
    for _ in range(20):
        still: MinMaxState = state
        state, _ = climb.step(problem, state)
        torch.testing.assert_close(state.weights.sum(1), torch.ones(len(x), dtype=x.dtype))
        assert bool((state.weights >= 0).all())
    values = torch.stack([margin(net(x + still.delta), problem.goal) for net in NETS], 1)
    for _ in range(1500):  # where δ rests, the weights come to rest at the best answer to it
        rested = state.weights
        state = MinMaxState(state.delta, climb.weighed(rested, values), 0)
    best = onto_simplex((values.amax(1, keepdim=True) - values) / 0.1 + 1, torch.ones(len(x), dtype=x.dtype))
    torch.testing.assert_close(state.weights, best)
    assert torch.equal(state.weights.argmax(1), values.argmin(1))


def test_the_simplex_is_met_by_a_shift() -> None:
    """argmin |w - v|² over the simplex, against a solver's conditions: w = max(v - θ, 0) with a sum of 1."""
    v = 2 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    climb = MinMax(constant(1.0), 4, beta=1.0, gamma=0.0)
    w = climb.weighed(torch.zeros_like(v), -v)
    torch.testing.assert_close(w.sum(1), torch.ones(50, dtype=v.dtype))
    shift = torch.where(w > 0, v - w, -torch.inf).amax(1, keepdim=True)
    torch.testing.assert_close(w, (v - shift).clamp_min(0))


def test_two_lines_are_crossed_where_they_are_equally_far() -> None:
    """Values 10 (a · δ - 0.2) and 10 (b · δ - 0.2), a ⊥ b of unit length: the best δ is r (a + b) / √2."""
    nets = [Slanted([1.0, 0.0], 0.7), Slanted([0.0, 1.0], 0.7)]
    x = torch.full((1, 2), 0.5, dtype=torch.float64)
    y = torch.tensor([0])
    box = [sp.wrap(net, output="logits") for net in nets]
    far = fool_all(box, x, y, sp.L2(0.3), steps=300, relative_step=0.02, beta=10.0, gamma=0.1)
    assert far.met.tolist() == [True]  # 0.3 / √2 > 0.2
    near = fool_all(box, x, y, sp.L2(0.27), steps=300, relative_step=0.02, beta=10.0, gamma=0.1, objective="margin")
    assert near.met.tolist() == [False]
    best = 0.27 / math.sqrt(2)
    assert float(near.value) == pytest.approx(10 * (best - 0.2), abs=0.03)
    torch.testing.assert_close(near.delta, torch.full((1, 2), best, dtype=torch.float64), atol=5e-3, rtol=0)


def test_steep_and_flat_lines_need_the_worst_case() -> None:
    """One model answers 20 times as steeply: the average follows it alone, min-max crosses both."""
    nets = [Slanted([20.0, 0.0], 0.6 * 20), Slanted([0.0, 1.0], 0.7)]
    x, y = torch.full((20, 2), 0.5, dtype=torch.float64), torch.zeros(20, dtype=torch.long)
    box = [sp.wrap(net, output="logits") for net in nets]
    knobs: dict[str, Any] = {"steps": 200, "relative_step": 0.02, "objective": "margin"}
    assert bool(fool_all(box, x, y, sp.L2(0.25), beta=10.0, gamma=0.1, **knobs).met.all())
    mean = fool_all(box, x, y, sp.L2(0.25), gamma=math.inf, **knobs)
    assert bool(mean.fooled[:, 0].all())
    assert int(mean.met.sum()) < 10  # those whose random start lies there


def test_what_comes_back_is_confirmed_on_each_model() -> None:
    data, threat = sp.zoo.data.load("fashion-mnist-1k[:40]"), sp.Linf(0.12)
    found = fool_all(ZOO, data.x, data.y, threat, steps=15)
    again = torch.stack([net(found.x_adv).argmax(1) != data.y for net in ZOO], 1)
    assert torch.equal(found.fooled, again)
    assert torch.equal(found.met, again.all(1))
    assert 0 < int(found.met.sum()) < len(data.x)
    assert bool((found.size <= 0.12 * (1 + 1e-5)).all())
    clean = torch.stack([net(data.x).argmax(1) != data.y for net in ZOO], 1).all(1)
    assert torch.equal(found.status == sp.Status.CLEAN, clean)
    assert torch.equal(found.rows(torch.tensor([3, 1])).fooled, found.fooled[[3, 1]])


def test_more_are_fooled_than_by_the_average() -> None:
    """On three networks of the zoo, n = 60: the average spends itself on the network that is easy."""
    data, threat = sp.zoo.data.load("fashion-mnist-1k[:60]"), sp.Linf(0.12)
    worst = fool_all(ZOO, data.x, data.y, threat, steps=12)
    mean = fool_all(ZOO, data.x, data.y, threat, steps=12, gamma=math.inf)
    assert int(worst.met.sum()) >= int(mean.met.sum())
    hardest = sp.attacks.pgd(ZOO[2], data.x, data.y, threat, steps=12)
    alone = torch.stack([net(hardest.x_adv).argmax(1) != data.y for net in ZOO], 1).all(1)
    assert int(worst.met.sum()) > int(alone.sum()) + 10


def test_one_network_behind_turns_is_fooled_in_all_of_them() -> None:
    net, data = ZOO[0], sp.zoo.data.load("fashion-mnist-1k[:30]")
    turns = [lambda x, k=k: net(x.roll(k, 3)) for k in (-1, 0, 1)]
    found = fool_all(turns, data.x, data.y, sp.Linf(0.1), steps=20)
    assert float(found.met.float().mean()) > 0.5
    for turn in turns:
        assert bool((turn(found.x_adv[found.met]).argmax(1) != data.y[found.met]).all())


def test_logits_of_absurd_scale_weigh_no_more() -> None:
    x, y = agreed(NETS[:2])

    def loud(x: Tensor) -> Tensor:
        return 1e4 * NETS[1](x)

    plain = fool_all(NETS[:2], x, y, sp.Linf(0.1), steps=10)
    scaled = fool_all([NETS[0], loud], x, y, sp.Linf(0.1), steps=10)
    torch.testing.assert_close(plain.x_adv, scaled.x_adv)


def test_batches_and_order_make_no_difference() -> None:
    y, threat = NETS[0](X).argmax(1), sp.Linf(0.08)
    whole = fool_all(NETS, X, y, threat, steps=5)
    small = fool_all([sp.wrap(net, batch_size=3) for net in NETS], X, y, threat, steps=5)
    torch.testing.assert_close(whole.x_adv, small.x_adv)
    back = torch.arange(len(X)).flip(0)
    turned = fool_all(NETS, X[back], y[back], threat, steps=5, ids=back)
    torch.testing.assert_close(whole.x_adv[back], turned.x_adv)
    assert torch.equal(whole.fooled[back], turned.fooled)


def test_what_makes_no_sense_is_refused() -> None:
    y = NETS[0](X).argmax(1)
    with pytest.raises(OptionError, match="an ensemble needs a model"):
        fool_all([], X, y, sp.Linf(0.1))
    with pytest.raises(OptionError, match="beta is more than 0"):
        fool_all(NETS, X, y, sp.Linf(0.1), beta=0.0)
    with pytest.raises(OptionError, match="steps must be at least 1"):
        fool_all(NETS, X, y, sp.Linf(0.1), steps=0)
    with pytest.raises(ThreatError, match="pgd needs a finite radius"):
        fool_all(NETS, X, y, sp.Linf())
    with pytest.raises(ModelError, match=r"know \[3, 4\] classes"):
        fool_all([NETS[0], MLP(3)], X, y, sp.Linf(0.1))
