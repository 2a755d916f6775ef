"""Models of what happens to inputs, and codes in a cube: linear ones, of which the worst is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import Latent, Nuisance

N, D, WIDTH = 12, 6, 3
GENERATOR = torch.Generator().manual_seed(0)
WAYS = torch.randn(WIDTH, D, generator=GENERATOR, dtype=torch.float64) / 50
WEIGHTS = torch.randn(2, D, generator=GENERATOR, dtype=torch.float64)
X = 0.4 + 0.2 * torch.rand(N, D, generator=GENERATOR, dtype=torch.float64)
RADIUS = torch.linspace(0.2, 1, N, dtype=torch.float64)
WORST = {"ball": lambda g: g.norm(dim=1), "cube": lambda g: g.abs().sum(1), "simplex": lambda g: g.amax(1).clamp_min(0)}
"""The largest <g, δ> over δ of a size of at most 1."""


def linear(shape: str) -> Latent:
    """x' = x + W δ."""
    return Latent(RADIUS, generator=Nuisance("linear", lambda x, d: x + d @ WAYS, WIDTH), form="painted", shape=shape)


class Linear(nn.Module):
    """Logits W x, and those of 0 subtracted, so that the margins are small."""

    def forward(self, x: Tensor) -> Tensor:
        return 10 * (x - 0.5) @ WEIGHTS.to(x.dtype).T


Y = Linear()(X).argmax(1)


def margin(x: Tensor) -> Tensor:
    """By how much the other label wins."""
    return (2 * Y - 1) * (Linear()(x)[:, 0] - Linear()(x)[:, 1])


def gain(shape: str) -> Tensor:
    """By how much a δ of size 1 raises the margin at most, in closed form."""
    return WORST[shape](10 * (WEIGHTS[1 - Y] - WEIGHTS[Y]) @ WAYS.T)


@pytest.mark.parametrize("shape", WORST)
@pytest.mark.parametrize("name", ["pgd", "frank_wolfe", "triage"])
def test_attacks_find_the_worst_of_a_linear_model(name: str, shape: str) -> None:
    worst = margin(X) + RADIUS * gain(shape)
    steps = {"steps": 200} if name == "frank_wolfe" else {}
    found = sp.attacks.get(name)(Linear(), X, Y, linear(shape), **steps)
    assert torch.equal(found.met, worst > 0)
    assert 0 < int(found.met.sum()) < N
    short = (worst - margin(found.x_adv)) / (worst - margin(X))
    assert float(short[~found.met].min()) > -1e-6
    assert float(short[~found.met].max()) < 0.05


@pytest.mark.parametrize("shape", WORST)
def test_the_smallest_is_the_known_one(shape: str) -> None:
    least = -margin(X) / gain(shape)
    found = sp.attacks.fmn(Linear(), X, Y, Latent(generator=linear(shape).generator, form="painted", shape=shape))
    reachable = least < 2  # beyond, the range of inputs cuts off what is added
    assert int(reachable.sum()) > N // 2
    assert bool(found.met[reachable].all())
    ratio = found.size[reachable] / least[reachable]
    assert 1 - 1e-6 <= float(ratio.min()) <= float(ratio.max()) < 1.02


def test_the_worst_of_each_sample_is_worse_than_the_worst_batch() -> None:
    """Robey et al. take the draw that is worst for the batch: the worst for each sample is at least as bad."""
    threat = linear("cube")
    noise = Noise.seeded(0, torch.arange(N))
    losses = []
    for k in range(10):
        x = threat.apply(X, threat.sample(X, RADIUS, noise.at(k)))
        losses.append(nn.functional.cross_entropy(Linear()(x), Y, reduction="none"))
    drawn = torch.stack(losses)
    assert float(drawn.amax(0).mean()) > float(drawn.mean(1).amax())
    few, many = (sp.attacks.worst_of(Linear(), X, Y, threat, k=k) for k in (1, 10))
    assert bool((many.value >= few.value)[~many.met].all())
    assert int(many.met.sum()) >= int(few.met.sum())


def test_a_cube_is_filled_evenly() -> None:
    threat = linear("cube")
    many = Noise.seeded(0, torch.arange(500))
    draws = threat.sample(X[:1].expand(500, D), torch.full((500,), 0.5, dtype=torch.float64), many)
    assert float(draws.abs().max()) <= 0.5
    assert abs(float(draws.var()) - 1 / 12) < 0.012  # uniform on [-1/2, 1/2]; 1500 numbers: six standard deviations


def test_a_nuisance_has_a_name_and_works_on_inputs_of_any_form() -> None:
    threat = linear("cube")
    assert str(threat.generator) == "linear"
    assert threat.family == "latent(generator=linear,form=painted,shape=cube)"
    assert torch.equal(threat.apply(X, threat.zero(X)), X)
    with pytest.raises(ThreatError, match="shape is ball, cube, simplex, got 'pyramid'"):
        Latent(shape="pyramid")  # type: ignore[arg-type]
    with pytest.raises(ThreatError, match="cannot draw from latent:inf: give a finite radius"):
        threat.sample(X, torch.full((N,), math.inf, dtype=torch.float64), Noise.seeded(0, torch.arange(N)))
