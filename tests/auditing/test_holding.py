from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing.diagnosis import diagnose
from saddlepoint.auditing.holding import Held
from saddlepoint.auditing.subject import prepare
from saddlepoint.testing.menagerie import DISEASES
from saddlepoint.testing.problems import MLP, SHAPE, Map, stochastic

X = torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = MLP(seed=0)(X).argmax(1)


def test_held_fixed_every_forward_draws_the_same_and_nothing_is_left_behind() -> None:
    def draw(x: Tensor) -> Tensor:
        noise = torch.rand(x.shape, dtype=x.dtype) + random.random() + float(np.random.rand())
        return MLP(seed=0)(x + 0.1 * noise)

    model = sp.wrap(Map(draw), draws=7)
    with model.quiet(0):
        free = [model(X) for _ in range(2)]
        with model.held(3):
            one, two = model(X), model(X)
            assert model.draws == 1
        with model.held(4):
            other = model(X)
        after = model(X)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert not torch.equal(*free)
    assert model.draws == 7
    assert not torch.equal(after, free[1]), "the draws go on after it"


def held(network: nn.Module, threat: sp.Linf | sp.Spatial | None = None) -> Held | None:
    subject = prepare(network, X, Y, None, batch_size=None, seed=0, name=None, source="")
    return diagnose(subject, threat or sp.Linf(0.1), 0).held


def test_a_random_model_with_true_slopes_falls_once_its_draw_is_held() -> None:
    seen = held(stochastic(MLP(seed=0)))
    assert seen is not None
    assert seen.samples == 32
    assert seen.far == seen.right > 10
    assert 0 <= seen.fell <= seen.right


def test_only_what_is_random_is_held() -> None:
    assert held(MLP(seed=0)) is None
    system = random.SystemRandom()
    assert held(Map(lambda x: MLP(seed=0)(x + 0.1 * system.random()))) is None, "nobody can hold that"


def test_where_nothing_is_added_there_is_no_gray() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:32]")
    noisy = DISEASES["dropping"](sp.zoo.load("fashion-standard")).eval()
    subject = prepare(noisy, None, None, data, batch_size=None, seed=0, name=None, source="")
    seen = diagnose(subject, sp.Spatial(1.0), 0).held
    assert seen is not None
    assert seen.far is None


def test_slopes_that_mislead_are_told_from_draws_that_withstand() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[::25]")
    net = sp.zoo.load("fashion-pgd-linf")
    for name, misled in (("dropping", False), ("turned", True)):
        noisy = DISEASES["dropping"](net)
        sick = (DISEASES[name](noisy) if misled else noisy).eval()
        subject = prepare(sick, None, None, data, batch_size=None, seed=0, name=None, source="")
        seen = diagnose(subject, sp.Linf(0.1), 0)
        assert seen.random
        assert seen.held is not None
        assert seen.held.far is not None
        assert seen.misleading == misled
        assert (seen.held.right - seen.held.far > 1) == misled
