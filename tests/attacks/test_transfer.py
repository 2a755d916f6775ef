from __future__ import annotations

import torch

import saddlepoint as sp
from saddlepoint.attacks.transfer import Transferred
from saddlepoint.core.goal import untargeted
from saddlepoint.noise import Noise
from saddlepoint.testing.problems import MLP, SHAPE

X = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
THREAT = sp.Linf(0.1)


def test_one_forward_each_decides_and_the_surrogate_is_pushed_past_its_boundary() -> None:
    target, other = sp.wrap(MLP(seed=0), access="labels", output="logits"), sp.wrap(MLP(seed=1))
    y = target(X).argmax(1)
    attack = sp.attacks.get("pgd").attack(THREAT, steps=5)
    access, goal = target.access(len(X)), untargeted(y)
    noise, radius = Noise.seeded(0, torch.arange(len(X))), torch.full((len(X),), 0.1, dtype=X.dtype)
    found = Transferred(THREAT, attack, other)(access, X, goal, noise, radius)
    assert access.ledger.forwards.tolist() == found.forwards.tolist() == [1] * len(X)
    assert torch.equal(found.met, target(X + found.delta).argmax(1) != y)
    assert not found.backwards.any()
    alone = attack(other.access(len(X)), X, goal, noise, radius)
    margin = goal.margin(other(X + found.delta).detach())
    assert (margin >= goal.margin(other(X + alone.delta).detach()) - 1e-9).float().mean() > 0.9


def test_on_the_model_itself_it_is_the_attack() -> None:
    model = sp.wrap(MLP(seed=0))
    y = model(X).argmax(1)
    attack = sp.attacks.get("pgd").attack(THREAT, steps=5)
    noise, radius = Noise.seeded(0, torch.arange(len(X))), torch.full((len(X),), 0.1, dtype=X.dtype)
    own = attack(model.access(len(X)), X, untargeted(y), noise, radius)
    moved = Transferred(THREAT, attack, model)(model.access(len(X)), X, untargeted(y), noise, radius)
    assert torch.equal(own.met, moved.met)
