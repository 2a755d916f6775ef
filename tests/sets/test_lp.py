"""Linf and L2 against solvers, certificates of optimality and known distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from torch import Tensor

from saddlepoint.noise import Noise
from saddlepoint.sets import L2, Linf

rng = np.random.default_rng


def problem(seed: int, d: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """x with a quarter of its entries at each bound, δ or g, and a radius at which ball and box both cut: [1, d]."""
    g = torch.Generator().manual_seed(seed)
    x = (2 * torch.rand(1, d, generator=g, dtype=torch.float64) - 0.5).clamp(0, 1)
    delta = scale * torch.randn(1, d, generator=g, dtype=torch.float64)
    most = L2().size(x, delta.clamp(-x, 1 - x))
    return x, delta, most * torch.rand(1, generator=g, dtype=torch.float64)


def minimize(value: object, slope: object, x: Tensor, radius: float) -> np.ndarray:
    """min value(d) over |d|_2 <= radius and the box, by sequential quadratic programming."""
    bounds = optimize.Bounds(-x[0].numpy(), 1 - x[0].numpy())
    ball = {"type": "ineq", "fun": lambda d: radius**2 - d @ d, "jac": lambda d: -2 * d}
    start, options = np.zeros(x.shape[1]), {"maxiter": 500, "ftol": 1e-14}
    found = optimize.minimize(
        value, start, jac=slope, bounds=bounds, constraints=[ball], method="SLSQP", options=options
    )
    return found.x


def test_linf_projection_and_oracle_by_hand() -> None:
    x = torch.tensor([[0.0, 1.0, 0.5, 0.875, 0.5]])
    r = torch.tensor([0.25])
    delta = torch.tensor([[-1.0, 1.0, 1.0, 1.0, 0.125]])
    assert torch.equal(Linf().project(x, delta, r), torch.tensor([[0.0, 0.0, 0.25, 0.125, 0.125]]))
    gradient = torch.tensor([[-1e-30, 1e30, -1.0, 2.0, 0.0]])
    assert torch.equal(Linf().lmo(x, gradient, r), torch.tensor([[0.0, 0.0, -0.25, 0.125, 0.0]]))
    assert torch.equal(Linf().size(x, delta), torch.tensor([1.0]))


@pytest.mark.parametrize("seed", range(8))
def test_linf_oracle_is_the_linear_program(seed: int) -> None:
    x, g, _ = problem(seed, 9)
    r = 0.3
    bounds = [(max(-float(v), -r), min(1 - float(v), r)) for v in x[0]]
    best = -optimize.linprog(-g[0].numpy(), bounds=bounds).fun
    found = Linf().lmo(x, g, torch.tensor([r], dtype=x.dtype))
    assert float((g * found).sum()) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_l2_projection_is_the_quadratic_program(seed: int) -> None:
    x, delta, r = problem(seed, 2 + seed, scale=[0.3, 1.0, 10.0][seed % 3])
    goal = delta[0].numpy()
    best = minimize(lambda d: ((d - goal) ** 2).sum() / 2, lambda d: d - goal, x, float(r))
    np.testing.assert_allclose(L2().project(x, delta, r)[0].numpy(), best, atol=2e-6)


@pytest.mark.parametrize("seed", range(12))
def test_l2_oracle_is_the_conic_program(seed: int) -> None:
    """Any multiplier of the ball bounds the optimum from above; the best of them, found by search, must be met."""
    x, g, r = problem(seed, 3 + 4 * seed)
    found = L2().lmo(x, g, r)
    value, ends = float((g * found).sum()), torch.where(g > 0, 1 - x, -x)

    def bound(log_multiplier: float) -> float:
        m = float(np.exp(log_multiplier))
        d = torch.minimum((g / m).abs(), ends.abs()) * g.sign()
        return float((g * d - m * d.square() / 2).sum() + m * r.square() / 2)

    least = optimize.minimize_scalar(bound, bounds=(-25, 25), method="bounded", options={"xatol": 1e-10}).fun
    assert value == pytest.approx(least, rel=1e-9)
    assert float(L2().size(x, found)) <= float(r) * (1 + 1e-12)


def test_l2_oracle_stops_at_the_corner_of_the_box() -> None:
    x = torch.tensor([[0.25, 0.5, 0.0]])
    g = torch.tensor([[1.0, -1e-20, -3.0]])
    assert torch.equal(L2().lmo(x, g, torch.tensor([5.0])), torch.tensor([[0.75, -0.5, 0.0]]))


def test_l2_oracle_spends_the_radius_on_tiny_slopes_too() -> None:
    """The steep entry is stopped by the box at once; the others take the rest, at any scale."""
    x = torch.tensor([[0.9, 0.5, 0.5]])
    for tiny in (1e-3, 1e-12, 1e-25, 1e-38):
        found = L2().lmo(x, torch.tensor([[1.0, 3 * tiny, -4 * tiny]]), torch.tensor([0.3]))
        rest = (0.3**2 - 0.1**2) ** 0.5
        torch.testing.assert_close(found, torch.tensor([[0.1, 0.6 * rest, -0.8 * rest]]), rtol=1e-5, atol=1e-6)
    mask = torch.tensor([[False, True, True]])
    found = L2(mask=mask).lmo(x, torch.tensor([[1e30, 3e-20, -4e-20]]), torch.tensor([0.3]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.18, -0.24]]))


@pytest.mark.parametrize("radius", [0.01, 1.0, 5.0, 15.0])
@pytest.mark.parametrize("scale", [0.3, 3.0, 1e3])
def test_l2_projection_of_images_meets_the_variational_inequality(radius: float, scale: float) -> None:
    """P is the projection iff <δ - P, z - P> <= 0 for all feasible z; the worst z is the oracle's answer for δ - P."""
    x = torch.cat([problem(s, 784)[0] for s in range(16)])
    delta = scale * torch.randn(16, 784, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    r = torch.full((16,), radius, dtype=torch.float64)
    p = L2().project(x, delta, r)
    feasible = [L2().lmo(x, delta - p, r)]
    feasible += [L2().sample(x, r, Noise.seeded(s, torch.arange(16))) for s in range(20)]
    feasible += [p + (z - p) * 1e-3 for z in feasible]
    for z in feasible:
        assert (((delta - p) * (z - p)).sum(1) <= 1e-11 * delta.norm(dim=1) * r).all()
    assert (L2().size(x, p) <= r * (1 + 1e-12)).all()
    met = L2().size(x, delta.clamp(-x, 1 - x)) > r
    torch.testing.assert_close(L2().size(x, p)[met], r[met], rtol=1e-13, atol=0)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6, 1e25])
def test_l2_projection_keeps_its_digits_in_single_precision(scale: float) -> None:
    x = torch.cat([problem(s, 300)[0] for s in range(8)]).float()
    delta = scale * torch.randn(8, 300, generator=torch.Generator().manual_seed(2))
    r = torch.full((8,), 2.0) * min(scale, 1.0)
    single, double = L2().project(x, delta, r), L2().project(x.double(), delta.double(), r.double())
    torch.testing.assert_close(single.double(), double, rtol=2e-5, atol=1e-6 * min(scale, 1.0))


@pytest.mark.parametrize("seed", range(12))
def test_weighted_l2_projection_is_the_quadratic_program(seed: int) -> None:
    x, delta, r = problem(seed, 2 + seed, scale=[0.3, 1.0, 10.0][seed % 3])
    w = 10 ** (2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype) - 1)
    goal, weight = delta[0].numpy(), w[0].numpy()
    best = minimize(lambda d: (weight * (d - goal) ** 2).sum() / 2, lambda d: weight * (d - goal), x, float(r))
    found = L2().project_weighted(x, delta, r, 7 * w)[0].numpy()  # the unit of the weights means nothing
    np.testing.assert_allclose(found, best, atol=3e-5)
    best *= min(1.0, float(r) / np.linalg.norm(best))  # the solver may leave the ball by a rounding error
    assert (weight * (found - goal) ** 2).sum() <= (weight * (best - goal) ** 2).sum() + 1e-9


def test_equal_weights_are_none_and_entries_without_weight_make_room() -> None:
    x, delta, r = problem(3, 9)
    torch.testing.assert_close(L2().project_weighted(x, delta, r, torch.full_like(x, 3.0)), L2().project(x, delta, r))
    assert torch.equal(Linf().project_weighted(x, delta, r, torch.rand_like(x)), Linf().project(x, delta, r))
    middle = torch.full((1, 2), 0.5, dtype=x.dtype)
    far, half = torch.tensor([[0.3, 0.3]], dtype=x.dtype), torch.tensor([0.3], dtype=x.dtype)
    found = L2().project_weighted(middle, far, half, torch.tensor([[1.0, 0.0]], dtype=x.dtype))
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.0]], dtype=x.dtype))
    nothing = L2().project_weighted(middle, far, 0 * half, torch.ones_like(far))
    assert torch.equal(nothing, torch.zeros_like(far))


def test_l2_projection_is_radial_where_the_box_is_far() -> None:
    x, delta = torch.full((3, 5), 0.5), torch.tensor([[3.0, 4, 0, 0, 0]]) / torch.tensor([[10.0], [1.0], [0.001]])
    found = L2().project(x, delta, torch.full((3,), 0.25))
    torch.testing.assert_close(found, torch.tensor([[0.15, 0.2, 0, 0, 0]]).expand(3, 5))


@pytest.mark.parametrize("kind", [Linf, L2])
def test_no_direction_of_unit_size_rises_faster(kind: type[Linf] | type[L2]) -> None:
    g = torch.from_numpy(rng(0).normal(size=(6, 2, 5)))
    best = (g * kind().steepest(g, g)).flatten(1).sum(1)
    torch.testing.assert_close(kind().size(g, kind().steepest(g, g)), torch.ones(6, dtype=g.dtype))
    for seed in range(300):
        v = torch.from_numpy(rng(seed).normal(size=(6, 2, 5)))
        v = v / kind().size(v, v)[:, None, None]
        assert ((g * v).flatten(1).sum(1) <= best).all()


@pytest.mark.parametrize("kind", [Linf, L2])
@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e-5, 1e5, 1e30])
def test_the_direction_has_no_scale(kind: type[Linf] | type[L2], scale: float) -> None:
    g = torch.tensor([[3.0, -4.0, 0.0, 12.0], [1.0, 1.0, -1.0, 0.0]])
    expected = {Linf: g.sign(), L2: g / torch.tensor([[13.0], [3**0.5]])}[kind]
    close = {"rtol": 1e-2, "atol": 0.0} if scale == 1e-42 else {"rtol": 1e-6, "atol": 0.0}  # few digits are left there
    torch.testing.assert_close(kind().steepest(g, g * scale), expected, **close)
    assert torch.equal(kind().steepest(g, torch.zeros_like(g)), torch.zeros_like(g))


def test_linf_samples_are_uniform() -> None:
    x, r = torch.full((4000, 3), 0.5), torch.full((4000,), 0.1)
    delta = Linf().sample(x, r, Noise.seeded(0, torch.arange(4000)))
    for entry in delta.T:
        assert stats.kstest(entry.numpy(), stats.uniform(-0.1, 0.2).cdf).pvalue > 1e-3
    assert np.abs(np.corrcoef(delta.T.numpy()) - np.eye(3)).max() < 0.06


@pytest.mark.parametrize(("d", "free"), [(1, 1), (2, 2), (7, 7), (30, 5)])
def test_l2_samples_are_uniform_in_the_free_entries(d: int, free: int) -> None:
    n = 4000
    x, r = torch.full((n, d), 0.5, dtype=torch.float64), torch.full((n,), 0.2, dtype=torch.float64)
    ball = L2(mask=(torch.arange(d) < free)[None])
    delta = ball.sample(x, r, Noise.seeded(1, torch.arange(n)))
    within = (ball.size(x, delta) / r) ** free
    assert stats.kstest(within.numpy(), "uniform").pvalue > 1e-3
    one = (delta[:, free - 1] / r + 1) / 2
    assert stats.kstest(one.numpy(), stats.beta((free + 1) / 2, (free + 1) / 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("kind", [Linf, L2])
def test_without_a_radius_samples_spread_over_the_box(kind: type[Linf] | type[L2]) -> None:
    x = problem(0, 50)[0].expand(200, 50)
    delta = kind().sample(x, torch.full((200,), torch.inf, dtype=x.dtype), Noise.seeded(2, torch.arange(200)))
    moved = kind().apply(x, delta)
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert (delta.std(0) > 0.05).all()
