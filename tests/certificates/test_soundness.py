"""No point of the ball may have a margin below the bound: sampled, attacked, and against exact optima."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.certificates import METHODS, certify
from saddlepoint.core.problem import tolerance
from saddlepoint.noise import Noise
from saddlepoint.sets import L1, L2, Ball, Linf


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.third = nn.Conv2d(3, 3, 3, padding=2, dilation=2, bias=False)
        self.last = nn.Linear(3 * 36, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) / 0.25
        kept = torch.relu(self.norm(self.first(x)))
        z = torch.relu(self.second(kept)) - 0.5 * kept
        z = torch.relu(self.third(z)) + kept + z
        answer: Tensor = self.last(z.view(z.size(0), -1))
        return answer


def convolutional(*middle: nn.Module, width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), *middle, nn.Flatten(), nn.LazyLinear(3))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 3)),
    "dense": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(72, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3)
    ),
    "leaky": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(72, 9), nn.LeakyReLU(0.2), nn.Linear(9, 8), nn.LeakyReLU(), nn.Linear(8, 3)
    ),
    "residual": Residual,
    "conv": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3),
    ),
    "stacked": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), nn.AvgPool2d(3, 1, 1), nn.ReLU(),
        nn.Conv2d(3, 3, 3, padding=2, dilation=2), nn.Conv2d(3, 2, 2, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32, 3),
    ),
    "average": lambda: convolutional(nn.AvgPool2d(2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Dropout(0.5)),
    "max": lambda: convolutional(nn.ReLU(), nn.MaxPool2d(2, 1, 1), nn.Conv2d(4, 3, 2), nn.ReLU()),
    **{
        name: lambda kind=kind: convolutional(kind(), nn.Conv2d(4, 4, 2), kind())  # type: ignore[misc]
        for name, kind in {
            "silu": nn.SiLU,
            "gelu": nn.GELU,
            "gelu-tanh": lambda: nn.GELU("tanh"),
            "tanh": nn.Tanh,
            "sigmoid": nn.Sigmoid,
            "softplus": lambda: nn.Softplus(3.0),
        }.items()
    },
}  # fmt: skip
THREATS = {"linf": (Linf, 0.1), "l2": (L2, 0.5), "l1": (L1, 1.5)}


def network(name: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = NETWORKS[name]().to(dtype)
        built.train()(torch.rand(16, 2, 6, 6, dtype=dtype))  # statistics and lazy layers
        for p in built.parameters():
            p.data.mul_(2.0)
    return built.eval()


def images(n: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.rand(n, 2, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return (1.6 * x - 0.3).clamp(0, 1)  # some on the edge of the box


def lowest_found(net: nn.Module, x: Tensor, y: Tensor, threat: Ball, steps: int = 25) -> Tensor:
    """The smallest margin among random points, corners and steepest descent on each class, [N]."""
    radius = threat.radii(x)
    least = torch.full((len(x),), torch.inf, dtype=x.dtype)
    for draw in range(12):
        delta = threat.sample(x, radius, Noise.seeded(draw, torch.arange(len(x))))
        if draw % 2:
            delta = threat.lmo(x, delta, radius)
        least = torch.minimum(least, margin(net(threat.apply(x, delta)), y).detach())
    for other in range(3):
        delta = threat.zero(x)
        for step in range(steps):
            moving = delta.clone().requires_grad_(True)
            z = net(threat.apply(x, moving))
            gap = z[:, other] - z.gather(1, y[:, None]).squeeze(1)
            (slope,) = torch.autograd.grad(gap.sum(), moving)
            target = threat.lmo(x, slope, radius)
            delta = delta + (target - delta) * 2 / (step + 2)
            least = torch.minimum(least, margin(net(threat.apply(x, delta)), y).detach())
    return least


def margin(logits: Tensor, y: Tensor) -> Tensor:
    others = logits.scatter(1, y[:, None], -torch.inf)
    return logits.gather(1, y[:, None]).squeeze(1) - others.amax(1)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", THREATS)
def test_no_point_of_the_ball_is_below_any_bound(name: str, kind: str) -> None:
    ball, radius = THREATS[kind]
    net, x = network(name), images(6)
    mask = torch.rand(1, 2, 6, 6, generator=torch.Generator().manual_seed(3)) < 0.8
    radii = radius * torch.tensor([0.0, 0.02, 0.1, 0.3, 1.0, 3.0])
    threat = ball(radii, mask=mask)
    clean = net(x).detach()
    y = clean.argmax(1)
    least = lowest_found(net, x, y, threat)
    for method in METHODS:
        bound = certify(net, x, y, threat, method=method).margin
        assert bool((bound <= least + 1e-12).all()), (method, bound - least)
    assert float((least - bound)[0].abs()) < 1e-6  # radius 0
    moved, proved = (margin(clean, y) - least)[1], (margin(clean, y) - bound)[1]
    assert 0 <= float(proved - moved) < 0.5 * float(proved)  # a small radius: most of what is feared can happen


@pytest.mark.parametrize("name", ["dense", "conv", "residual", "silu"])
def test_narrower_intervals_help_and_auto_is_the_best_of_what_it_asked(name: str) -> None:
    net, x = network(name, 1), images(12, 1)
    y = net(x).argmax(1)
    shares = {m: certify(net, x, y, Linf(0.02), method=m) for m in (*METHODS, "auto")}
    assert shares["ibp"].margin.mean() < shares["crown-ibp"].margin.mean() <= shares["crown"].margin.mean()
    every = torch.stack([shares[m].certified for m in METHODS]).any(0)
    assert torch.equal(shares["auto"].certified, every)
    assert int(every.sum()) > 0


@pytest.mark.parametrize("kind", THREATS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_linear_model_is_bounded_exactly(kind: str, dtype: torch.dtype) -> None:
    ball, radius = THREATS[kind]
    net, x = network("linear", 2, dtype), images(8, 2, dtype)
    y = net(x).argmax(1)
    threat = ball(radius)
    wide = threat.radii(x) + tolerance(threat.radii(x), dtype)
    weight, bias = net[1].weight.double(), net[1].bias.double()  # type: ignore[index, union-attr, operator]
    exact = torch.full((8,), torch.inf, dtype=torch.float64)
    for other in range(3):
        g = (weight[y] - weight[other]).view(-1, 2, 6, 6)
        delta = threat.lmo(x.double(), -g, wide.double())
        value = (g * (x.double() + delta)).flatten(1).sum(1) + bias[y] - bias[other]
        exact = torch.where(y == other, exact, torch.minimum(exact, value))
    for method in METHODS:
        bound = certify(net, x, y, threat, method=method).margin
        assert bool((bound <= exact).all())
        if method != "ibp" or kind == "linf":
            assert float((exact - bound).detach().max()) < (1e-9 if dtype == torch.float64 else 5e-3)


def exact_margin(net: nn.Sequential, x: Tensor, y: int, other: int, radius: float) -> float:
    """min z_y - z_c of a network of one hidden layer of ReLUs over the Linf ball cut by [0, 1], by integer programming.

    Unknowns: input d, activation h, a bit for each neuron; h = max(a, 0) with a = W x + b in [-big, big].
    """
    (W, b), (V, c) = [(net[i].weight.detach().numpy(), net[i].bias.detach().numpy()) for i in (0, 2)]  # type: ignore[union-attr, operator]
    d, h, big = W.shape[1], W.shape[0], 50.0
    cost = np.concatenate([np.zeros(d), V[y] - V[other], np.zeros(h)])
    eye, zero = np.eye(h), np.zeros((h, h))
    rows = [
        (np.hstack([-W, eye, zero]), b, np.full(h, np.inf)),  # h >= a
        (np.hstack([-W, eye, big * eye]), np.full(h, -np.inf), b + big),  # h <= a + big (1 - bit)
        (np.hstack([np.zeros((h, d)), eye, -big * eye]), np.full(h, -np.inf), np.zeros(h)),  # h <= big bit
    ]
    low, high = (x - radius).clamp(0, 1).numpy(), (x + radius).clamp(0, 1).numpy()
    bounds = (np.concatenate([low, np.zeros(2 * h)]), np.concatenate([high, np.full(h, np.inf), np.ones(h)]))
    kinds = np.concatenate([np.zeros(d + h), np.ones(h)])
    found = milp(cost, constraints=[LinearConstraint(*r) for r in rows], bounds=Bounds(*bounds), integrality=kinds)
    assert found.success
    return float(found.fun + c[y] - c[other])


@pytest.mark.parametrize("seed", range(6))
def test_against_the_exact_optimum_of_an_integer_program(seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
        x = torch.rand(1, 4, dtype=torch.float64)
    y = net(x).argmax(1)
    gaps = []
    for radius in (1e-3, 0.1, 0.4):
        exact = min(exact_margin(net, x[0], int(y), c, radius) for c in range(3) if c != int(y))
        bound = float(certify(net, x, y, Linf(radius), method="crown").margin)
        assert bound <= exact + 1e-7
        gaps.append(exact - bound)
    hidden = net[0](x).abs() - 1e-3 * net[0].weight.abs().sum(1)  # type: ignore[operator, union-attr]
    assert bool((hidden > 0).all()), "all neurons must be stable at the smallest radius"
    assert gaps[0] < 1e-6
    assert max(gaps) < 1.0


def test_zoo_certificates_hold_against_attacks() -> None:
    """n = 6 images, 2 networks: no certified image is broken, and half of all are certified."""
    data = sp.zoo.data.load("fashion-mnist-1k[:6]")
    for name, threat in (("fashion-pgd-linf", Linf(0.03)), ("fashion-pgd-l2", L2(0.05))):
        net = sp.zoo.load(name)
        proof = certify(net, data.x, data.y, threat)
        for attack in (sp.attacks.pgd, sp.attacks.apgd_ce):
            assert not bool((attack(net, data.x, data.y, threat, steps=20).met & proof.certified).any())
        assert int(proof.certified.sum()) >= 3
