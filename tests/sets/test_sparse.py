"""L1 and L0 against solvers, brute force, certificates of optimality and known distributions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from torch import Tensor

from saddlepoint.access import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import L0, L1, sparse


def problem(seed: int, d: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """x with a quarter of its entries at each bound, δ or g, and a radius at which ball and box both cut: [1, d]."""
    g = torch.Generator().manual_seed(seed)
    x = (2 * torch.rand(1, d, generator=g, dtype=torch.float64) - 0.5).clamp(0, 1)
    delta = scale * torch.randn(1, d, generator=g, dtype=torch.float64)
    most = L1().size(x, delta.clamp(-x, 1 - x))
    return x, delta, most * torch.rand(1, generator=g, dtype=torch.float64)


def program(x: Tensor, delta: Tensor, r: Tensor, weight: Tensor) -> Any:
    """The best d [1, D], with its positive and its negative part as unknowns, so that every constraint is linear."""
    d, goal, w, radius = x.shape[1], delta[0].numpy(), weight[0].numpy(), float(r)
    ends = np.concatenate([1 - x[0].numpy(), x[0].numpy()])
    found = optimize.minimize(
        lambda u: (w * (u[:d] - u[d:] - goal) ** 2).sum() / 2,
        np.zeros(2 * d),
        jac=lambda u: np.concatenate([w * (u[:d] - u[d:] - goal), w * (goal - u[:d] + u[d:])]),
        bounds=optimize.Bounds(0, ends),
        constraints=[{"type": "ineq", "fun": lambda u: radius - u.sum(), "jac": lambda u: -np.ones(2 * d)}],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    ).x
    return found[:d] - found[d:]


@pytest.mark.parametrize("seed", range(12))
def test_l1_projection_is_the_quadratic_program(seed: int) -> None:
    x, delta, r = problem(seed, 2 + seed % 11, scale=[0.3, 1.0, 10.0][seed % 3])
    best = program(x, delta, r, torch.ones_like(x))
    np.testing.assert_allclose(L1().project(x, delta, r)[0].numpy(), best, atol=2e-6)


@pytest.mark.parametrize("seed", range(12))
def test_weighted_l1_projection_is_the_quadratic_program(seed: int) -> None:
    x, delta, r = problem(seed, 2 + seed % 11, scale=[0.3, 1.0, 10.0][seed % 3])
    weight = 10 ** (2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype) - 1)
    found = L1().project_weighted(x, delta, r, 7 * weight)[0].numpy()  # the unit of the weights means nothing
    best, goal, w = program(x, delta, r, weight), delta[0].numpy(), weight[0].numpy()
    assert float(L1().size(x, torch.tensor(found)[None])) <= float(r) * (1 + 1e-12)
    assert (w * (found - goal) ** 2).sum() <= (w * (best - goal) ** 2).sum() + 1e-8
    np.testing.assert_allclose(found, best, atol=3e-4)
    torch.testing.assert_close(L1().project_weighted(x, delta, r, torch.full_like(x, 3.0)), L1().project(x, delta, r))


def test_entries_without_weight_make_room_and_nothing_is_left_of_a_radius_of_zero() -> None:
    x, delta = torch.full((1, 2), 0.5).double(), torch.tensor([[0.3, 0.3]]).double()
    weight, radius = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([0.3]).double()
    torch.testing.assert_close(
        L1().project_weighted(x, delta, radius, weight), torch.tensor([[0.3, 0.0]]).double(), atol=1e-9, rtol=0
    )
    assert not L1().project_weighted(x, delta, 0 * radius, torch.ones_like(x)).any()
    assert L1().size(x, L1().project_weighted(x, delta, radius, torch.zeros_like(x))) <= radius


@pytest.mark.parametrize("seed", range(6))
def test_weighted_l0_projection_is_the_best_of_all_choices(seed: int) -> None:
    x, delta, _ = problem(seed, 7)
    weight = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    inside = delta.clamp(-x, 1 - x)
    choices = [
        inside * torch.zeros(7, dtype=x.dtype).index_fill(0, torch.tensor(some), 1.0)
        for some in itertools.combinations(range(7), 3)
    ]
    least = min(float((weight * (one - delta).square()).sum()) for one in choices)
    found = L0().project_weighted(x, delta, torch.tensor([3.0]).double(), weight)
    assert float(L0().size(x, found)) <= 3
    assert float((weight * (found - delta).square()).sum()) == pytest.approx(least)


@pytest.mark.parametrize(("length", "entries"), [(0.0, 0), (0.1, 1), (1.0, 1), (2.5, 3)])
def test_a_part_of_an_entry_is_an_entry_in_steps(length: float, entries: int) -> None:
    x, gradient, _ = problem(2, 9)
    inner = x.clamp(0.1, 0.9)
    moved = L0().move(inner, torch.zeros_like(x), gradient, torch.tensor([length]).double())
    assert int(L0().size(x, moved)) == entries


@pytest.mark.parametrize("radius", [0.01, 1.0, 20.0, 150.0])
@pytest.mark.parametrize("scale", [0.3, 3.0, 1e3])
def test_l1_projection_of_images_meets_the_variational_inequality(radius: float, scale: float) -> None:
    """P is the projection iff <δ - P, z - P> <= 0 for all feasible z; the worst z is the oracle's answer for δ - P."""
    x = torch.cat([problem(s, 784)[0] for s in range(16)])
    delta = scale * torch.randn(16, 784, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    r = torch.full((16,), radius, dtype=torch.float64)
    p = L1().project(x, delta, r)
    feasible = [L1().lmo(x, delta - p, r)]
    feasible += [L1().sample(x, r, Noise.seeded(s, torch.arange(16))) for s in range(20)]
    feasible += [p + (z - p) * 1e-3 for z in feasible]
    for z in feasible:
        assert (((delta - p) * (z - p)).sum(1) <= 1e-11 * delta.abs().amax(1) * r).all()
    assert (L1().size(x, p) <= r * (1 + 1e-12)).all()
    met = L1().size(x, delta.clamp(-x, 1 - x)) > r
    torch.testing.assert_close(L1().size(x, p)[met], r[met], rtol=1e-13, atol=0)


def test_l1_projection_takes_few_passes_over_images(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    monkeypatch.setattr(sparse, "_down_to", lambda *a, f=sparse._down_to: passes.append(1) or f(*a))
    x = torch.cat([problem(s, 784)[0] for s in range(32)])
    delta = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    L1().project(x, delta, torch.full((32,), 12.0, dtype=x.dtype))
    assert 2 <= len(passes) <= 14, "bisection alone would take some fifty"


@pytest.mark.parametrize("power", [1, 3, 8])
def test_l1_projection_of_heavy_tails(power: int) -> None:
    x, delta, _ = problem(power, 400)
    delta = delta.sign() * delta.abs() ** power
    for radius in (1e-3, 0.1, 3.0, 60.0):
        r = torch.tensor([radius], dtype=torch.float64)
        p = L1().project(x, delta, r)
        worst = L1().lmo(x, delta - p, r)
        assert float(((delta - p) * (worst - p)).sum()) <= 1e-11 * float(delta.abs().max()) * radius
        assert float(L1().size(x, p)) == pytest.approx(radius, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6, 1e25])
def test_l1_projection_keeps_its_digits_in_single_precision(scale: float) -> None:
    x = torch.cat([problem(s, 300)[0] for s in range(8)]).float()
    delta = scale * torch.randn(8, 300, generator=torch.Generator().manual_seed(2))
    r = torch.full((8,), 2.0) * min(scale, 1.0)
    single, double = L1().project(x, delta, r), L1().project(x.double(), delta.double(), r.double())
    torch.testing.assert_close(single.double(), double, rtol=2e-5, atol=2e-6 * min(scale, 1.0))


@pytest.mark.parametrize("seed", range(12))
def test_l1_oracle_is_the_linear_program(seed: int) -> None:
    d = 1 + seed
    x, g, r = problem(seed, d)
    g[0, seed // 2] = 0
    found = L1().lmo(x, g, r)
    bounds = [(0, end) for end in torch.cat([1 - x[0], x[0]]).tolist()]
    cost = np.concatenate([-g[0].numpy(), g[0].numpy()])
    best = -optimize.linprog(cost, A_ub=np.ones((1, 2 * d)), b_ub=r.numpy(), bounds=bounds).fun
    assert float((g * found).sum()) == pytest.approx(best, rel=1e-8, abs=1e-12)
    assert float(L1().size(x, found)) <= float(r) * (1 + 1e-12)
    assert found[0, seed // 2] == 0


def test_l1_oracle_by_hand() -> None:
    x = torch.tensor([[0.5, 0.75, 0.0, 0.5]])
    g = torch.tensor([[1.0, 3.0, -9.0, -2.0]])
    assert torch.equal(L1().lmo(x, g, torch.tensor([0.5])), torch.tensor([[0.0, 0.25, 0.0, -0.25]]))
    assert torch.equal(L1().lmo(x, g, torch.tensor([9.0])), torch.tensor([[0.5, 0.25, 0.0, -0.5]]))


@pytest.mark.parametrize("seed", range(10))
def test_l0_projection_and_oracle_are_the_best_of_all_subsets(seed: int) -> None:
    d, k = 7, seed % 7
    x, delta, _ = problem(seed, d, scale=[0.3, 1.0, 10.0][seed % 3])
    r = torch.tensor([k + 0.5], dtype=torch.float64)
    subsets = itertools.combinations(range(d), k)
    choices = torch.tensor([[float(i in chosen) for i in range(d)] for chosen in subsets], dtype=x.dtype)
    inside, ends = delta.clamp(-x, 1 - x), torch.where(delta > 0, 1 - x, -x)
    nearest = (choices * inside - delta).square().sum(1).min()
    steepest = (choices * ends * delta).sum(1).max()
    projected, pushed = L0().project(x, delta, r), L0().lmo(x, delta, r)
    torch.testing.assert_close((projected - delta).square().sum(), nearest)
    torch.testing.assert_close((pushed * delta).sum(), steepest)
    for found in (projected, pushed):
        assert float(L0().size(x, found)) <= k
        assert ((x + found >= 0) & (x + found <= 1)).all()


def test_l0_weighs_what_the_box_leaves_of_a_change() -> None:
    """The largest entry of δ is not the one to keep if the box stops it."""
    x, delta = torch.tensor([[0.95, 0.5, 0.5]]), torch.tensor([[2.0, 0.45, -0.4]])
    one = L0().project(x, delta, torch.tensor([1.0]))
    assert torch.equal(one, torch.tensor([[0.0, 0.45, 0.0]]))
    x, delta = torch.tensor([[0.5, 0.2]]), torch.tensor([[1.0, 0.8]])  # 0.5² + 0.8² < 1²
    assert torch.equal(L0().project(x, delta, torch.tensor([1.0])), torch.tensor([[0.5, 0.0]]))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_l0_chooses_at_any_scale(scale: float) -> None:
    x, g = torch.full((1, 4), 0.5), torch.tensor([[1.0, -4.0, 3.0, -2.0]])
    two = torch.tensor([2.0])
    assert torch.equal(L0().lmo(x, g * scale, two), torch.tensor([[0.0, -0.5, 0.5, 0.0]]))
    if scale <= 1:
        small = g * scale / 10
        assert torch.equal(L0().project(x, small, two), small * torch.tensor([[0.0, 1.0, 1.0, 0.0]]))


def test_l0_keeps_the_first_of_equals_whatever_the_batch() -> None:
    x = torch.full((3, 6), 0.5)
    delta = torch.full((3, 6), 0.25)
    expected = torch.tensor([[1.0] * k + [0] * (6 - k) for k in (1, 3, 5)]) / 4
    radius = torch.tensor([1.0, 3.0, 5.0])
    assert torch.equal(L0().project(x, delta, radius), expected)
    for i in range(3):
        assert torch.equal(L0().project(x[i : i + 1], delta[:1], radius[i : i + 1]), expected[i : i + 1])


def test_sizes() -> None:
    delta = torch.tensor([[[0.5, -0.25], [0.0, 1e-30]], [[0.0, 0.0], [0.0, -0.0]]])
    assert torch.equal(L1().size(delta, delta), torch.tensor([0.75, 0.0]))
    assert torch.equal(L0().size(delta, delta), torch.tensor([3.0, 0.0]))


@pytest.mark.parametrize("kind", [L1, L0])
@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1.0, 1e30])
def test_the_direction_is_the_first_of_the_steepest_entries(kind: type[L1] | type[L0], scale: float) -> None:
    g = torch.tensor([[[3.0, -4.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    expected = torch.tensor([[[0.0, -1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert torch.equal(kind().steepest(g, g * scale), expected)


def test_no_direction_of_unit_l1_size_rises_faster() -> None:
    g = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 10)))
    best = (g * L1().steepest(g, g)).sum(1)
    for seed in range(300):
        v = torch.from_numpy(np.random.default_rng(seed).laplace(size=(6, 10)))
        assert ((g * v / L1().size(v, v)[:, None]).sum(1) <= best).all()


@pytest.mark.parametrize(("d", "free"), [(1, 1), (2, 2), (7, 7), (30, 5)])
def test_l1_samples_are_uniform_in_the_free_entries(d: int, free: int) -> None:
    n = 4000
    x, r = torch.full((n, d), 0.5, dtype=torch.float64), torch.full((n,), 0.2, dtype=torch.float64)
    ball = L1(mask=(torch.arange(d) < free)[None])
    delta = ball.sample(x, r, Noise.seeded(1, torch.arange(n)))
    within = (ball.size(x, delta) / r) ** free
    assert stats.kstest(within.numpy(), "uniform").pvalue > 1e-3
    one = delta[:, free - 1] / r
    assert stats.binomtest(int((one > 0).sum()), n).pvalue > 1e-3
    for side in (one[one > 0], -one[one < 0]):
        assert stats.kstest(side.numpy(), stats.beta(1, free).cdf).pvalue > 1e-3


def test_l0_samples_choose_every_entry_alike_and_fill_the_box() -> None:
    n, d, k = 3000, 8, 3
    x = problem(1, d)[0].expand(n, d)
    delta = L0().sample(x, torch.full((n,), k + 0.9, dtype=x.dtype), Noise.seeded(3, torch.arange(n)))
    changed = delta != 0
    assert (changed.sum(1) == k).all()
    for entry in range(d):
        assert stats.binomtest(int(changed[:, entry].sum()), n, k / d).pvalue > 1e-3
        values = (x + delta)[changed[:, entry], entry]
        assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-3


def test_l0_samples_choose_among_the_free_entries() -> None:
    x = torch.full((50, 6), 0.5)
    mask = torch.arange(6)[None] % 2 == 0
    delta = L0(mask=mask).sample(x, torch.full((50,), 2.0), Noise.seeded(3, torch.arange(50)))
    assert torch.equal(L0().size(x, delta), torch.full((50,), 2.0))
    everything = L0(mask=mask).sample(x, torch.full((50,), torch.inf), Noise.seeded(3, torch.arange(50)))
    assert torch.equal(L0().size(x, everything), torch.full((50,), 3.0))


def test_l0_cannot_draw_from_an_unbounded_box() -> None:
    with pytest.raises(ThreatError, match="unbounded box"):
        L0(box=Box(0, torch.inf)).sample(torch.ones(1, 2), torch.ones(1), Noise(torch.arange(1)))


@pytest.mark.parametrize("kind", [L1, L0])
def test_a_move_is_the_best_step_that_the_box_allows(kind: type[L1] | type[L0]) -> None:
    """By brute force over which entries are pushed: along one entry alone a step would end at the box."""
    noise = torch.Generator().manual_seed(3)
    x, g = (
        torch.rand(5, 4, generator=noise, dtype=torch.float64),
        torch.randn(5, 4, generator=noise, dtype=torch.float64),
    )
    delta = (torch.rand(5, 4, generator=noise, dtype=torch.float64) - x) / 2
    length = torch.full((5,), 2.0, dtype=torch.float64)
    moved = kind().move(x, delta, g, length)
    assert bool((kind().size(x, moved) <= length + 1e-12).all())
    assert bool(((x + delta + moved) >= -1e-12).all() and ((x + delta + moved) <= 1 + 1e-12).all())
    room = torch.where(g > 0, 1 - x - delta, x + delta)
    gain = (g * moved).sum(1)
    for row in range(5):
        best = 0.0
        for order in itertools.permutations(range(4)):
            left, total = 2.0, 0.0
            for entry in order:
                step = min(float(room[row, entry]), left) if kind is L1 else float(room[row, entry]) * (left >= 1)
                left -= step if kind is L1 else 1
                total += step * abs(float(g[row, entry]))
            best = max(best, total)
        assert float(gain[row]) == pytest.approx(best)
