"""What every set must do whose perturbations are not added to the input."""

from __future__ import annotations

import math

import pytest
import torch

import saddlepoint as sp
from saddlepoint.access import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import NON_ADDITIVE, Neighborhood, parse
from saddlepoint.testing.case import radius_for

KINDS = pytest.mark.parametrize("kind", NON_ADDITIVE, ids=lambda kind: kind.name)
N = 4
X = torch.rand(N, 3, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NOISE = Noise.seeded(0, torch.arange(N))


def slope(threat: Neighborhood, x: torch.Tensor = X) -> torch.Tensor:
    """A random slope at no change, as a model of pictures has one: linear in the picture."""
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    delta = threat.zero(x).requires_grad_()
    return torch.autograd.grad((threat.apply(x, delta) * weights).sum(), delta)[0]


@KINDS
def test_nothing_changes_nothing(kind: type[Neighborhood]) -> None:
    for box in (Box(), Box(-1.0, 2.0)):
        threat = kind(box=box)
        zero = threat.zero(X)
        assert torch.equal(threat.apply(X, zero), X)
        assert torch.equal(threat.size(X, zero), torch.zeros(N, dtype=X.dtype))


@KINDS
def test_draws_are_inside_different_and_change_something(kind: type[Neighborhood]) -> None:
    threat, radius = kind(), torch.linspace(0.5, 1, N, dtype=X.dtype) * radius_for(kind)
    first, second = (threat.sample(X, radius, NOISE.at(k)) for k in range(2))
    for delta in (first, second):
        assert bool((threat.size(X, delta) <= radius * (1 + 1e-6)).all())
        changed = threat.apply(X, delta)
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
        assert bool(((changed - X).flatten(1).abs().amax(1) > 1e-4).all())
    assert not torch.equal(first, second)
    torch.testing.assert_close(threat.sample(X[2:], radius[2:], NOISE.at(0).rows(torch.tensor([2, 3]))), first[2:])


@KINDS
def test_projections_are_inside_stay_and_are_nearest(kind: type[Neighborhood]) -> None:
    threat, radius = kind(), torch.full((N,), radius_for(kind), dtype=X.dtype)
    far = threat.sample(X, 3 * radius, NOISE) + 0.01 * torch.randn_like(threat.zero(X))
    near = threat.project(X, far, radius)
    assert bool((threat.size(X, near) <= radius * (1 + 1e-6)).all())
    again = threat.project(X, near, radius)
    torch.testing.assert_close(again, near, rtol=1e-4, atol=1e-7)
    if kind is not sp.Wasserstein:  # there the last step, into the box, is no projection; see its own tests
        for k in range(20):
            other = threat.sample(X, radius, NOISE.at("other", k))
            obtuse = ((far - near) * (other - near)).flatten(1).sum(1)
            assert bool((obtuse <= 1e-9).all())


@KINDS
def test_the_steepest_direction_has_unit_size_and_beats_random_ones(kind: type[Neighborhood]) -> None:
    threat = kind()
    g = slope(threat)
    way = threat.steepest(X, g)
    gain = (g * way).flatten(1).sum(1)
    assert bool((gain > 0).all())
    if kind is sp.Wasserstein:  # in proportion to the gain, for all to move: the one best move is that of the oracle
        best = threat.lmo(X, g, torch.full((N,), 0.01, dtype=X.dtype))
        assert bool(((g * best).flatten(1).sum(1) >= 0.01 * gain * 0.5).all())
        return
    torch.testing.assert_close(threat.size(X, way), torch.ones(N, dtype=X.dtype))
    for k in range(20):
        drawn = threat.sample(X, torch.ones(N, dtype=X.dtype), NOISE.at(k))
        assert bool(((g * drawn).flatten(1).sum(1) <= gain + 1e-9).all())
    assert torch.equal(threat.steepest(X, torch.zeros_like(g)), torch.zeros_like(g))


@KINDS
def test_the_oracle_is_inside_and_beats_random_ones(kind: type[Neighborhood]) -> None:
    threat, radius = kind(), torch.linspace(0.1, 1, N, dtype=X.dtype) * radius_for(kind)
    g = slope(threat)
    best = threat.lmo(X, g, radius)
    assert bool((threat.size(X, best) <= radius * (1 + 1e-6)).all())
    value = (g * best).flatten(1).sum(1)
    for k in range(20):
        drawn = threat.sample(X, radius, NOISE.at(k))
        assert bool(((g * drawn).flatten(1).sum(1) <= value + 1e-9).all())


@KINDS
def test_slopes_are_those_of_differences(kind: type[Neighborhood]) -> None:
    threat = kind()
    x = X[:1, :, :4, :4]
    at = threat.sample(x, torch.full((1,), 0.3 * radius_for(kind), dtype=x.dtype), NOISE.rows(torch.tensor([0])))

    def changed(delta: torch.Tensor) -> torch.Tensor:
        return threat.apply(x, delta)

    way = torch.randn(at.shape, generator=torch.Generator().manual_seed(3), dtype=at.dtype)
    if kind is sp.Corruption:  # a severity and a pattern: a pattern is the name of random numbers and has no slope
        way[:, 1] = 0
    told = torch.autograd.functional.jvp(changed, at, way)[1]
    step = 1e-6
    seen = (changed(at + step * way) - changed(at - step * way)) / (2 * step)
    torch.testing.assert_close(told, seen, rtol=1e-3, atol=1e-4 * float(seen.abs().max()))


@KINDS
def test_several_draws_at_once_are_each_by_itself(kind: type[Neighborhood]) -> None:
    threat, radius = kind(), torch.full((N,), radius_for(kind), dtype=X.dtype)
    draws = torch.stack([threat.sample(X, radius, NOISE.at(k)) for k in range(3)])
    together = threat.apply(X, draws)
    for one, delta in zip(together, draws, strict=True):
        torch.testing.assert_close(one, threat.apply(X, delta))


@KINDS
def test_where_the_mask_is_false_nothing_changes(kind: type[Neighborhood]) -> None:
    mask = torch.rand(1, 1, 7, 6, generator=torch.Generator().manual_seed(2)) < 0.5
    threat, radius = kind(mask=mask), torch.full((N,), radius_for(kind), dtype=X.dtype)
    changed = threat.apply(X, threat.sample(X, radius, NOISE))
    assert bool(((changed == X) | mask).all())
    assert not torch.equal(changed, X)


@KINDS
def test_what_it_cannot_change_is_refused(kind: type[Neighborhood]) -> None:
    with pytest.raises(ThreatError, match=r"pictures \[N, C, H, W\]"):
        kind(0.1).radii(torch.rand(2, 5))
    if bool(kind().largest(X).isinf().all()) and kind is not sp.Wasserstein:
        with pytest.raises(ThreatError, match="give a finite radius"):
            kind().sample(X, torch.full((N,), math.inf, dtype=X.dtype), NOISE)


@KINDS
def test_options_are_written_and_read(kind: type[Neighborhood]) -> None:
    for name, value in kind.options().items():
        if not isinstance(value, (int, float)):
            continue
        other = kind(0.25, **{name: 2 * value + 1})
        assert str(other) == f"{kind.name}({name}={2 * value + 1}):0.25"
        assert parse(str(other)) == other
        assert other.family != kind(0.25).family


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ThreatError, match=r"spatial has no option 'degres' \(did you mean degrees\?\)"):
        parse("spatial(degres=3):1")
    with pytest.raises(ThreatError, match=r"degrees=many in .* is no number"):
        parse("spatial(degrees=many):1")
    with pytest.raises(ThreatError, match=r"linf has no option 'a' in .*; it has: none"):
        parse("linf(a=1):1")
