"""Changes at random: inside of the set, shorter and shorter, and stronger than as many independent draws."""

from __future__ import annotations

import pytest
import torch

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.mutation import Mutated
from saddlepoint.testing.problems import MLP


def test_proposals_stay_inside_and_move_by_the_share() -> None:
    x = torch.full((5, 1, 6, 6), 0.5, dtype=torch.float64)
    model, radius = sp.wrap(MLP()), torch.full((5,), 0.3, dtype=torch.float64)
    noise = Noise.seeded(3, torch.arange(5))
    task = Problem(model.access(5), x, untargeted(torch.zeros(5).long()), sp.L2(), margin, noise, radius, radius)
    drawn = task.set.sample(x, radius, noise)
    near = Mutated(lambda t: 0.1)(task, torch.zeros_like(x), 0)
    assert torch.allclose(near, 0.1 * drawn)
    far = Mutated(lambda t: 50.0)(task, torch.zeros_like(x), 0)
    assert torch.allclose(far.flatten(1).norm(dim=1), radius)


def test_on_a_linear_model_it_comes_near_the_closed_form() -> None:
    """The best value in the ball of radius r is <w, x> + b + r |w|; independent draws stay far below it."""
    weight = torch.linspace(-1, 1, 16, dtype=torch.float64)
    network = torch.nn.Linear(16, 2).double()
    with torch.no_grad():
        network.weight.copy_(torch.stack([-weight, weight]))
        network.bias.copy_(torch.tensor([3.0, 0.0]))
    model, x = sp.wrap(network, access="scores"), torch.full((8, 16), 0.5, dtype=torch.float64)
    y, threat = torch.zeros(8).long(), sp.L2(0.2)
    clean, gain = -3.0, 0.2 * 2 * float(weight.norm())
    found = (sp.attacks.one_plus_one(model, x, y, threat, steps=600).value - clean) / gain
    drawn = (sp.attacks.worst_of(model, x, y, threat, k=600).value - clean) / gain
    assert bool((found > 0.97).all())
    assert bool((found <= 1 + 1e-9).all())
    assert float(drawn.max()) < 0.9


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match=r"share is the length of the first proposals .* above 0; got 0"):
        sp.attacks.get("one_plus_one").build(sp.L2(1.0), share=0.0)
