from __future__ import annotations

import torch

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, excess, squared, untargeted
from saddlepoint.core.problem import tolerance
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import L2
from saddlepoint.testing.problems import MLP, SHAPE

N = 4
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def problem(penalty: object = None) -> Problem[GradientAccess]:
    access = wrap(MLP()).access(N)
    assert isinstance(access, GradientAccess)
    mask = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(1)) < 0.5
    return Problem(
        access,
        X,
        untargeted(torch.arange(N)),
        L2(mask=mask),
        margin,
        Noise.seeded(0, torch.arange(N)),
        radius=torch.arange(N, dtype=torch.float64),
        weight=torch.arange(N, dtype=torch.float64) * 10,
        penalty=penalty,  # type: ignore[arg-type]
    )


def test_rows_narrow_everything_at_once() -> None:
    whole, keep = problem(), torch.tensor([3, 1])
    part = whole.rows(keep)
    assert torch.equal(part.x, X[keep])
    assert part.goal.label.tolist() == [3, 1]
    assert part.radius.tolist() == [3, 1]
    assert part.weight.tolist() == [30, 10]
    assert part.access.rows.tolist() == [3, 1]
    assert torch.equal(part.noise.uniform((3,)), whole.noise.uniform((3,))[keep])
    assert isinstance(part.set, L2)
    assert isinstance(whole.set, L2)
    assert part.set.mask is not None
    assert whole.set.mask is not None
    assert torch.equal(part.set.mask, whole.set.mask[keep])


def test_at_changes_the_randomness_alone() -> None:
    whole = problem()
    assert not torch.equal(whole.at("start").noise.keys, whole.noise.keys)
    assert whole.at("start").x is whole.x


def test_the_value_is_objective_minus_weighted_penalty() -> None:
    logits = torch.randn(N, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    delta = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    size = delta.flatten(1).norm(dim=1)
    plain = margin(logits, untargeted(torch.arange(N)))
    radius, weight = torch.arange(N, dtype=torch.float64), torch.arange(N, dtype=torch.float64) * 10
    assert torch.equal(problem().value(logits, delta), plain)
    assert torch.allclose(problem(squared).value(logits, delta), plain - weight * size**2)
    assert torch.allclose(problem(excess).value(logits, delta), plain - weight * (size - radius).clamp(min=0))


def test_within_forgives_rounding_and_nothing_more() -> None:
    part = problem().rows(torch.tensor([2, 2, 2, 0]))
    size = torch.tensor([2.0, 2.0 * (1 + 9e-7), 2.0 * (1 + 3e-6), 1e-300], dtype=torch.float64)
    assert part.within(size).tolist() == [True, True, False, False]


def test_the_eight_bit_lattice_is_inside_its_radius_in_float32() -> None:
    """A change of exactly 8/255 between two 8-bit values is up to 2e-6 of itself too large in float32."""
    grid = torch.arange(256, dtype=torch.float32) / 255
    size = grid[8:] - grid[:-8]
    radius = torch.full_like(size, 8 / 255)
    assert (size > radius).any()
    assert (size <= radius + tolerance(radius, torch.float32)).all()
    assert (radius * (1 + 5e-6) <= radius + tolerance(radius, torch.float32)).all()
    assert not (radius * (1 + 1e-5) <= radius + tolerance(radius, torch.float32)).any()
