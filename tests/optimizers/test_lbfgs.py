"""L-BFGS against SciPy's, in a box that cuts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.core.goal import Goal, targeted
from saddlepoint.core.problem import squared
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers.lbfgs import LBFGS
from saddlepoint.testing.problems import MLP, SHAPE


def value_first(new: object, old: object) -> Tensor:
    return new.value > old.value  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("weight", [0.3, 3.0])
def test_the_optimum_is_scipys(weight: float) -> None:
    network = MLP(seed=3)
    x = (1.4 * torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 0.2).clamp(0, 1)
    label = (network(x).argmax(1) + 1) % 4
    model = sp.wrap(network)
    run = Iterate(
        sp.L2(), cross_entropy, LBFGS(backprop), zero, 120, penalty=squared, order=value_first, stop_when_met=False
    )
    with model.quiet():
        found = run(
            model.access(6), x, targeted(label), Noise.seeded(0, torch.arange(6)),
            weight=torch.full((6,), weight, dtype=torch.float64),
        )  # fmt: skip
    for i in range(6):

        def loss(r: np.ndarray, i: int = i) -> tuple[float, np.ndarray]:
            delta = torch.from_numpy(r).view(1, *SHAPE).requires_grad_()
            value = cross_entropy(network(x[i : i + 1] + delta), targeted(label[i : i + 1])).sum()
            total = weight * delta.square().sum() - value
            (g,) = torch.autograd.grad(total, delta)
            return total.item(), g.numpy().ravel()

        low, high = (-x[i]).numpy().ravel(), (1 - x[i]).numpy().ravel()
        best = optimize.minimize(
            loss, np.zeros(low.size), jac=True, method="L-BFGS-B", bounds=optimize.Bounds(low, high),
            options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9},
        )  # fmt: skip
        assert -float(found.value[i]) == pytest.approx(best.fun, rel=1e-3)


def test_on_a_quadratic_it_needs_about_as_many_looks_as_scipys() -> None:
    """Curvatures from 1 to 1000, and an optimum of which a quarter lies beyond the box."""
    scale = torch.logspace(0, 3, 20, dtype=torch.float64)
    goal = torch.linspace(-0.3, 0.9, 20, dtype=torch.float64)[torch.arange(20) * 7 % 20]
    best = float((scale * goal.clamp_max(0).square()).sum())

    def bowl(logits: Tensor, goal_: Goal) -> Tensor:
        return -(scale * (logits[:, :20] - goal).square()).sum(1)

    model = sp.wrap(nn.Identity())
    x = torch.zeros(1, 20, dtype=torch.float64)
    run = Iterate(sp.L2(), bowl, LBFGS(backprop), zero, 60, order=value_first, stop_when_met=False)
    with model.quiet():
        found = run(model.access(1), x, targeted(torch.tensor([3])), Noise.seeded(0, torch.arange(1)))

    def loss(r: np.ndarray) -> tuple[float, np.ndarray]:
        apart = torch.from_numpy(r) - goal
        return (scale * apart.square()).sum().item(), (2 * scale * apart).numpy()

    box = optimize.Bounds(np.zeros(20), np.ones(20))
    scipys = optimize.minimize(loss, np.zeros(20), jac=True, method="L-BFGS-B", bounds=box, options={"maxfun": 60})
    assert scipys.nfev >= 30
    assert -float(found.value) - best < 3 * (scipys.fun - best) + 1e-3


def test_the_first_attack_on_deep_networks_is_near_the_best_today() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:60]")
    network = sp.zoo.load("fashion-standard")
    goal = targeted((network(data.x).argmax(1) + 1) % 10)
    old, new = (sp.attacks.get(name)(network, data.x, goal, sp.L2()) for name in ("lbfgs", "fmn"))
    # Szegedy et al. find one for every image
    assert int(old.met.sum()) >= 59
    both = old.met & new.met & (old.size > 0)
    assert float((old.size / new.size)[both].median()) < 1.25
