"""PPGD, LPA and Fast-LPA: in flat features the Euclidean ball, and on a trained network what the paper says of them."""

from __future__ import annotations

import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.access import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import Problem, excess
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.lagrangian import Lagrangian
from saddlepoint.optimizers.local_ascent import LocalAscent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import Features
from saddlepoint.testing.problems import LinearClassifier, Map

LARGE = 1e3
X = 0.3 + 0.4 * torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
LINEAR = LinearClassifier.random()
with torch.no_grad():
    Y = LINEAR(X).argmax(1)
ACCESS = sp.wrap(LINEAR).access(len(X)).lower(GradientAccess)
NOISE = Noise.seeded(0, torch.arange(len(X)))


def flat() -> Features:
    """Features that are x / 1000 up to a share of 1e-5: a huge constant channel takes up the length."""
    network = Map(lambda x: torch.cat([x.flatten(1), torch.full_like(x[:, 0, 0, :1], LARGE)], 1))
    return Features(nn.Sequential(network), layers=["0"])


def test_in_flat_features_a_step_of_ppgd_is_one_of_pgd_in_l2() -> None:
    radius = 0.05
    runs = {
        sp.Perceptual(radius / LARGE, network=flat()): LocalAscent(backprop, constant(0.5)),
        sp.L2(radius): Ascent(backprop, constant(0.5)),
    }
    found = []
    for threat, optimizer in runs.items():
        attack = Iterate(threat, margin, optimizer, zero, 1)
        found.append(attack(ACCESS, X, Goal(Y), NOISE, torch.full((6,), float(threat.radius), dtype=X.dtype)))
    moved = found[1].x_adv - X
    assert float(moved.flatten(1).norm(dim=1).max()) > 0.02
    torch.testing.assert_close(found[0].x_adv - X, moved, rtol=1e-2, atol=1e-4)


def test_in_flat_features_both_find_what_the_closed_form_says() -> None:
    closest = LINEAR.closest(X, Y, sp.L2())
    for name in ("ppgd", "lpa"):
        for factor, falls in ((1.1, True), (0.95, False)):
            threat = sp.Perceptual(factor * closest / LARGE, network=flat())
            met = sp.attacks.get(name)(LINEAR, X, Y, threat).met
            assert bool((met == falls).all()), (name, factor, met)


def test_the_price_rises_tenfold_only_where_a_round_ended_beyond() -> None:
    radius = torch.tensor([1e-5, 1.0, 1e-5, 1.0, 1e-5, 1.0], dtype=X.dtype)
    threat = sp.Perceptual(network=flat())
    problem = Problem(ACCESS, X, Goal(Y), threat, margin, NOISE, radius, torch.ones_like(radius), excess)
    optimizer = Lagrangian(backprop, constant(1.0), constant(0.01), 2)
    far = 0.1 * torch.ones_like(X)
    state = optimizer.init(problem, far)
    risen = []
    for _ in range(2):
        state, _ = optimizer.step(problem, state)
        risen.append(state.risen.tolist())
    assert risen[0] == [1.0] * 6
    assert risen[1] == [10.0, 1.0] * 3


def test_a_network_trained_against_lp_changes_falls_to_changes_its_features_hardly_see() -> None:
    """Of 82 of 100 images that are right 72 withstand Linf 0.1; LPA leaves 27, PPGD 39, Fast-LPA fewer than Linf."""
    data, network = sp.zoo.data.load("fashion-mnist-1k[:24]"), sp.zoo.load("fashion-pgd-linf")
    threat = sp.Perceptual(0.5)
    hits = {name: int(sp.attacks.get(name)(network, data.x, data.y, threat).met.sum()) for name in ("lpa", "fast_lpa")}
    hits["pgd"] = int(sp.attacks.pgd(network, data.x, data.y, sp.Linf(0.1)).met.sum())
    assert hits["lpa"] >= hits["fast_lpa"] - 1
    assert hits["lpa"] >= hits["pgd"] + 4, hits
