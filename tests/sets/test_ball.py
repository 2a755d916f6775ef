"""What every ball must keep, whatever its norm."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from saddlepoint.access import Box
from saddlepoint.core.problem import PerturbationSet, tolerance
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import L0, L1, L2, Ball, Linf

KINDS = [Linf, L2, L1, L0]
CONVEX = [Linf, L2, L1]
RADIUS = {Linf: 0.2, L2: 1.0, L1: 3.0, L0: 5.0}
kinds = pytest.mark.parametrize("kind", KINDS)
draws = settings(max_examples=25, deadline=None, derandomize=True)


def inputs(n: int = 6, shape: tuple[int, ...] = (2, 3, 4), dtype: torch.dtype = torch.float64) -> Tensor:
    """Inputs of which a quarter of the entries are exactly 0 and a quarter exactly 1."""
    g = torch.Generator().manual_seed(n)
    return (2 * torch.rand(n, *shape, generator=g, dtype=dtype) - 0.5).clamp(0, 1)


def changes(x: Tensor, scale: float = 1.0, seed: int = 0) -> Tensor:
    return scale * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)


def inside(ball: Ball, x: Tensor, delta: Tensor, radius: Tensor) -> bool:
    low, high = ball.box.low, ball.box.high
    fits = ball.size(x, delta) <= radius + tolerance(radius, x.dtype)
    return bool(fits.all()) and bool(((x + delta >= low) & (x + delta <= high)).all())


@kinds
def test_a_ball_is_a_perturbation_set(kind: type[Ball]) -> None:
    ball: PerturbationSet = kind(0.5)
    x = inputs()
    assert torch.equal(ball.zero(x), torch.zeros_like(x))


@kinds
@draws
@given(
    scale=st.floats(1e-3, 1e3),
    radius=st.lists(st.sampled_from([0.0, 1e-3, 0.1, 0.7, 1.0, 2.5, 30.0, math.inf]), min_size=4, max_size=4),
    seed=st.integers(0, 999),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_projections_are_feasible_and_idempotent(
    kind: type[Ball], scale: float, radius: list[float], seed: int, dtype: torch.dtype
) -> None:
    x, r, ball = inputs(4, dtype=dtype), torch.tensor(radius, dtype=dtype), kind()
    once = ball.project(x, changes(x, scale, seed), r)
    assert once.dtype == dtype
    assert inside(ball, x, once, r)
    assert torch.equal(ball.project(x, once, r), once)


@pytest.mark.parametrize("kind", CONVEX)
@draws
@given(seed=st.integers(0, 999), near=st.floats(1e-3, 1.0), scale=st.floats(0.01, 10))
def test_projections_are_not_expansive(kind: type[Ball], seed: int, near: float, scale: float) -> None:
    x, ball = inputs(), kind()
    r = torch.full((len(x),), RADIUS[kind], dtype=x.dtype)
    a = changes(x, scale, seed)
    b = a + changes(x, near * scale, seed + 1000)
    apart = (ball.project(x, a, r) - ball.project(x, b, r)).flatten(1).norm(dim=1)
    assert (apart <= (a - b).flatten(1).norm(dim=1) * (1 + 1e-12)).all()


@kinds
def test_what_is_inside_stays_bit_for_bit(kind: type[Ball]) -> None:
    x, ball = inputs(dtype=torch.float32), kind()
    r = torch.full((len(x),), RADIUS[kind])
    delta = ball.sample(x, r, Noise.seeded(0, torch.arange(len(x))))
    assert delta.abs().sum() > 0
    assert torch.equal(ball.project(x, delta, r * 1.01), delta)


@pytest.mark.parametrize("kind", CONVEX)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_a_little_outside_is_brought_back(kind: type[Ball], dtype: torch.dtype) -> None:
    x, ball = inputs(dtype=dtype), kind()
    r = torch.full((len(x),), RADIUS[kind], dtype=dtype)
    delta = ball.project(x, changes(x, 3.0), r)
    excess = 1 + 100 * torch.finfo(dtype).eps
    back = ball.size(x, ball.project(x, delta, r / excess))
    torch.testing.assert_close(back, r / excess, rtol=20 * torch.finfo(dtype).eps, atol=0)


@kinds
def test_infinite_radius_leaves_the_box_and_zero_radius_nothing(kind: type[Ball]) -> None:
    x = inputs()
    delta = changes(x, 3.0)
    none, all_ = torch.zeros(len(x), dtype=x.dtype), torch.full((len(x),), math.inf, dtype=x.dtype)
    assert torch.equal(kind().project(x, delta, all_), delta.clamp(-x, 1 - x))
    assert torch.equal(kind().project(x, delta, none).abs(), torch.zeros_like(x))
    assert torch.equal(kind().lmo(x, delta, none).abs(), torch.zeros_like(x))


@kinds
@pytest.mark.parametrize("method", ["project", "lmo"])
def test_per_sample_radii_act_on_their_sample_alone(kind: type[Ball], method: str) -> None:
    x = inputs(40, (1, 7, 7), torch.float32)
    r = torch.linspace(0, 1.5, len(x)) * RADIUS[kind]
    delta = changes(x, 2.0)
    together = getattr(kind(), method)(x, delta, r)
    for i in (0, 7, 23, 39):
        alone = getattr(kind(), method)(x[i : i + 1], delta[i : i + 1], r[i : i + 1])
        assert torch.equal(together[i : i + 1], alone)


@kinds
@pytest.mark.parametrize("shared", [True, False])
def test_masked_entries_never_change(kind: type[Ball], shared: bool) -> None:
    x = inputs(8)
    mask = changes(x, seed=3) > 0.5
    mask = mask[:1] if shared else mask
    ball, r = kind(mask=mask), torch.full((len(x),), RADIUS[kind], dtype=x.dtype)
    frozen = ~mask.expand_as(x)
    found = [
        ball.project(x, changes(x, 2.0), r),
        ball.lmo(x, changes(x), r),
        ball.sample(x, r, Noise.seeded(1, torch.arange(len(x)))),
        ball.steepest(x, changes(x)),
    ]
    for delta in found:
        assert (delta[frozen] == 0).all()
        assert (delta != 0).any(3).any(2).any(1).all()
    free = torch.where(frozen, 0, changes(x, 2.0))
    torch.testing.assert_close(found[0], kind().project(x, free, r))


@kinds
def test_the_direction_looks_at_free_entries_only(kind: type[Ball]) -> None:
    g = torch.tensor([[100.0, 1.0, -2.0]])
    ball = kind(mask=torch.tensor([[False, True, True]]))
    assert torch.equal(ball.steepest(g, g), kind().steepest(g, torch.tensor([[0.0, 1.0, -2.0]])))


@kinds
def test_rows_narrow_what_is_per_sample(kind: type[Ball]) -> None:
    x = inputs(5)
    mask, keep = changes(x) > 0, torch.tensor([3, 1])
    ball = kind(torch.arange(5.0) / 10, mask=mask)
    few = ball.rows(keep)
    assert torch.equal(few.radii(x[keep]), ball.radii(x)[keep])
    assert few.mask is not None
    assert torch.equal(few.mask, mask[keep])
    plain = kind(0.3, mask=mask[:1])
    assert plain.rows(keep) is plain
    assert len(plain.project(x[keep[:0]], x[keep[:0]], plain.radii(x)[:0])) == 0


@kinds
def test_radii_are_expanded_in_the_dtype_of_the_inputs(kind: type[Ball]) -> None:
    x = inputs(3, dtype=torch.float32)
    assert torch.equal(kind(0.25).radii(x), torch.full((3,), 0.25))
    assert torch.equal(kind(torch.tensor(0.25)).radii(x), torch.full((3,), 0.25))
    assert torch.equal(kind().radii(x), torch.full((3,), math.inf))
    each = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    assert torch.equal(kind(each).radii(x), each.float())


@kinds
@pytest.mark.parametrize("bad", [-0.1, math.nan, torch.tensor([0.1, -1.0]), torch.tensor([math.nan, 0.1])])
def test_a_radius_below_zero_or_nan_is_refused(kind: type[Ball], bad: float | Tensor) -> None:
    with pytest.raises(ThreatError, match=rf"0 or more, {kind.name} got (-0.1|-1|nan)"):
        kind(bad)


def test_the_number_of_radii_must_be_that_of_the_samples() -> None:
    with pytest.raises(ThreatError, match="l2 has 3 radii, but there are 5 samples"):
        L2(torch.ones(3)).radii(inputs(5))
    with pytest.raises(ThreatError, match=r"shape \[2, 2\]"):
        L2(torch.ones(2, 2))


def test_a_radius_in_the_wrong_units_is_refused() -> None:
    x = inputs(2)
    for radius in (8, torch.tensor([0.1, 8.0])):
        with pytest.raises(ThreatError, match=r"linf:8 is more than .* \[0, 1\]: did you mean 8/255"):
            Linf(radius).radii(x)
    assert torch.equal(Linf(1.0).radii(x), torch.ones(2, dtype=x.dtype))
    assert torch.equal(Linf(8, box=Box(0, 255)).radii(255 * x), torch.full((2,), 8.0, dtype=x.dtype))


@kinds
def test_a_mask_that_does_not_fit_is_refused(kind: type[Ball]) -> None:
    x = inputs(4, (3, 5))
    with pytest.raises(ThreatError, match=r"got torch\.float32: write mask\.bool"):
        kind(mask=torch.ones(1, 3, 5))
    for shape in [(3, 5), (2, 3, 5), (1, 3, 4)]:
        with pytest.raises(ThreatError, match=r"inputs \[4, 3, 5\]: .* \[1, 3, 5\]"):
            kind(mask=torch.ones(shape, dtype=torch.bool)).radii(x)
    assert kind(mask=torch.ones(1, 1, 5, dtype=torch.bool)).radii(x).shape == (4,)


@kinds
def test_applying_clamps_and_is_differentiable(kind: type[Ball]) -> None:
    x = torch.tensor([[0.25, 0.5]])
    delta = torch.tensor([[0.25, 0.75]], requires_grad=True)
    moved = kind().apply(x, delta)
    assert torch.equal(moved, torch.tensor([[0.5, 1.0]]))
    (slope,) = torch.autograd.grad(moved.sum(), delta)
    assert torch.equal(slope, torch.tensor([[1.0, 0.0]]))
    draws_ = torch.zeros(7, 5, 1, 2) + delta
    assert torch.equal(kind().apply(x, draws_), moved.expand(7, 5, 1, 2))


@kinds
def test_the_largest_perturbation_is_that_of_the_box(kind: type[Ball]) -> None:
    x = inputs()
    ball = kind(mask=changes(x)[:1] > 0)
    radius = torch.full((len(x),), math.inf, dtype=x.dtype)
    corners = torch.stack([ball.size(x, ball.lmo(x, changes(x, seed=s), radius)) for s in range(200)])
    most = ball.size(x, ball.lmo(x, 0.5 - x, radius))  # away from the nearer bound
    torch.testing.assert_close(ball.largest(x), most)
    assert (corners <= ball.largest(x) * (1 + 1e-12)).all()
    assert torch.equal(kind(box=Box(-math.inf, 3)).largest(x), radius)


@pytest.mark.parametrize("kind", CONVEX)
def test_an_unbounded_box_only_leaves_the_ball(kind: type[Ball]) -> None:
    x = inputs(dtype=torch.float32)
    r, delta, free = torch.full((len(x),), RADIUS[kind]), changes(x), Box(-math.inf, math.inf)
    delta[0, 0, 0, 0] = 0
    wide = kind(box=Box(-1000, 1000))
    torch.testing.assert_close(kind(box=free).project(x, delta, r), wide.project(x, delta, r))
    torch.testing.assert_close(kind(box=free).lmo(x, delta, r), wide.lmo(x, delta, r), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        kind(box=free).sample(x, r, Noise(torch.arange(6))), wide.sample(x, r, Noise(torch.arange(6)))
    )
    with pytest.raises(ThreatError, match="unbounded box"):
        kind(box=free).sample(x, torch.full_like(r, math.inf), Noise(torch.arange(6)))


@kinds
def test_projections_are_cut_off_from_autograd(kind: type[Ball]) -> None:
    x = inputs()
    delta = changes(x, 2.0).requires_grad_()
    r = torch.full((len(x),), RADIUS[kind], dtype=x.dtype)
    assert not kind().project(x, delta, r).requires_grad
    assert not kind().lmo(x, delta, r).requires_grad
    with torch.inference_mode():
        assert torch.equal(kind().project(x.clone(), delta.clone(), r), kind().project(x, delta, r))


@kinds
def test_arguments_are_not_written_to(kind: type[Ball]) -> None:
    x = inputs()
    delta, r = changes(x, 2.0), torch.full((len(x),), RADIUS[kind], dtype=x.dtype)
    before = [t.clone() for t in (x, delta, r)]
    ball = kind(box=Box(-0.1, 1.3))
    ball.project(x, delta, r), ball.lmo(x, delta, r), ball.steepest(x, delta), ball.size(x, delta), ball.radii(x)
    for was, now in zip(before, (x, delta, r), strict=True):
        assert torch.equal(was, now)


@kinds
@draws
@given(radius=st.floats(0.01, 5), seed=st.integers(0, 99))
def test_samples_are_inside(kind: type[Ball], radius: float, seed: int) -> None:
    for dtype in (torch.float32, torch.float64):
        x = inputs(5, dtype=dtype)
        r = torch.tensor([0, 0.1, 1, 10, math.inf], dtype=dtype) * radius
        delta = kind().sample(x, torch.nan_to_num(r), Noise.seeded(seed, torch.arange(5)))
        assert delta.dtype == dtype
        assert inside(kind(), x, delta, torch.nan_to_num(r))


@kinds
def test_samples_do_not_depend_on_the_batch(kind: type[Ball]) -> None:
    x = inputs(30, (1, 8, 8), torch.float32)
    noise, keep = Noise.seeded(5, torch.arange(30)), torch.tensor([28, 3, 11])
    r = torch.linspace(0.5, 1.5, 30) * RADIUS[kind]
    mask = changes(x) > -0.5
    together = kind(mask=mask).sample(x, r, noise)[keep]
    assert torch.equal(together, kind(mask=mask).rows(keep).sample(x[keep], r[keep], noise.rows(keep)))
    assert not torch.equal(together, kind(mask=mask).sample(x, r, noise.at("other"))[keep])


@kinds
def test_a_fully_masked_sample_stays_as_it_is(kind: type[Ball]) -> None:
    x = inputs(2, dtype=torch.float32)
    ball, r = kind(mask=torch.zeros(1, *x.shape[1:], dtype=torch.bool)), torch.full((2,), RADIUS[kind])
    for delta in (
        ball.project(x, changes(x), r),
        ball.lmo(x, changes(x), r),
        ball.steepest(x, changes(x)),
        ball.sample(x, r, Noise(torch.arange(2))),
    ):
        assert torch.equal(delta.abs(), torch.zeros_like(x))
    assert torch.equal(ball.largest(x), torch.zeros(2))


def test_a_lattice_of_bytes_is_within_the_radius_up_to_the_tolerance() -> None:
    """In float32 a change of exactly 8 of 255 levels is often a little more than float32(8/255)."""
    levels = torch.arange(248, dtype=torch.float32)[:, None]
    x, radius = levels / 255, torch.full((248,), 8 / 255)
    size = Linf().size(x, (levels + 8) / 255 - x)
    assert 10 < int((size > radius).sum()) < 248
    assert (size <= radius + tolerance(radius, x.dtype)).all()
    assert (size > radius * (1 - 1e-5)).all()


@kinds
def test_a_set_is_written_with_its_exact_radius(kind: type[Ball]) -> None:
    assert str(kind(8 / 255)) == f"{kind.name}:0.03137254901960784"
    assert str(kind()) == f"{kind.name}:inf"
    assert str(kind(torch.tensor([0.5, 0.25]))) == f"{kind.name}:0.25..0.5 (per sample)"
