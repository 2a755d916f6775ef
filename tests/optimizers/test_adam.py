from __future__ import annotations

import torch

from saddlepoint.access import wrap
from saddlepoint.core import untargeted
from saddlepoint.core.problem import Problem
from saddlepoint.gradients import backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.adam import Adam
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L2
from saddlepoint.testing.problems import ConvNet


def problem() -> Problem:  # type: ignore[type-arg]
    x = 0.25 + 0.5 * torch.rand(3, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = wrap(ConvNet(dtype=torch.float64).eval().requires_grad_(False))
    y = model(x).argmax(1)
    ones = torch.ones(3, dtype=torch.float64)
    return Problem(model.access(3), x, untargeted(y), L2(), margin, Noise.seeded(0, torch.arange(3)), ones, ones)


def test_takes_the_steps_of_torch() -> None:
    asked = problem()
    optimizer = Adam(backprop, constant(0.01))
    state = optimizer.init(asked, torch.zeros_like(asked.x))
    theirs = torch.zeros_like(asked.x).requires_grad_()
    reference = torch.optim.Adam([theirs], lr=0.01, maximize=True)
    for _ in range(10):
        state, _ = optimizer.step(asked, state)
        reference.zero_grad()
        margin(asked.access.logits(asked.x + theirs), asked.goal).sum().backward()
        reference.step()
    torch.testing.assert_close(state.delta, theirs.detach(), rtol=1e-7, atol=1e-9)


def test_stays_in_the_box_but_knows_no_radius() -> None:
    asked = problem()
    optimizer = Adam(backprop, constant(10.0))
    state, _ = optimizer.step(asked, optimizer.init(asked, torch.zeros_like(asked.x)))
    moved = asked.x + state.delta
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1
    assert float(state.delta.flatten(1).norm(dim=1).min()) > 1  # the radius
