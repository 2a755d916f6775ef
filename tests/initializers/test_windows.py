"""Windows and bumps: shapes, places, and the published pictures."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.core.problem import PerturbationSet
from saddlepoint.initializers.windows import bumps, filled, inside, window_shape
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.rows import as_images


def problem(x: torch.Tensor, threat: PerturbationSet, radius: float) -> Problem:
    n = len(x)
    access = sp.wrap(lambda z: z.flatten(1)[:, :2]).access(n)
    return Problem(
        access,
        x,
        untargeted(torch.zeros(n, dtype=torch.long)),
        threat,
        margin,
        Noise.seeded(0, torch.arange(n)),
        x.new_full((n,), radius),
        x.new_zeros(n),
    )


def test_vectors_and_signals_are_images_of_height_one() -> None:
    assert as_images(torch.zeros(2, 5)).shape == (2, 1, 1, 5)
    assert as_images(torch.zeros(2, 3, 5)).shape == (2, 3, 1, 5)
    assert as_images(torch.zeros(2, 3, 4, 5)).shape == (2, 3, 4, 5)


def test_the_middle_axes_of_videos_are_one() -> None:
    assert as_images(torch.zeros(2, 3, 4, 5, 6)).shape == (2, 3, 20, 6)


@pytest.mark.parametrize(("share", "side"), [(0.8, 25), (0.4, 18), (0.2, 13), (0.0015625, 1), (1.0, 28), (1e-9, 1)])
def test_squares_have_the_published_sides(share: float, side: int) -> None:
    assert window_shape(share, 28, 28) == (side, side)


@pytest.mark.parametrize(
    ("image", "share", "expected"),
    [((1, 100), 0.2, (1, 21)), ((100, 1), 0.2, (21, 1)), ((4, 64), 0.8, (4, 51)), ((2, 2), 0.1, (2, 2))],
)
def test_odd_windows_fit_any_image(image: tuple[int, int], share: float, expected: tuple[int, int]) -> None:
    assert window_shape(share, *image, least=3, odd=True) == expected


def test_inside_marks_exactly_the_window() -> None:
    image = torch.zeros(2, 3, 4, 5)
    marked = inside(torch.tensor([0, 2]), torch.tensor([1, 3]), (2, 2), image)
    expected = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    expected[0, 0, 0:2, 1:3] = True
    expected[1, 0, 2:4, 3:5] = True
    assert torch.equal(marked, expected)


def test_bumps_by_hand() -> None:
    """3 x 3: one row of a bump of width 3, above minus a bump of 2 x 3; rings of 1 + 1/4 and 1/4 for p = 2."""
    above = torch.tensor([[1.0, 5.0, 1.0]], dtype=torch.float64)
    below = torch.tensor([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0]], dtype=torch.float64)
    pair = torch.cat([above / above.norm(), -below / below.norm()]) / 2**0.5
    torch.testing.assert_close(bumps(3, 3, 2)[0], pair)
    torch.testing.assert_close(bumps(3, 3, 2)[1], pair.T)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 3), (5, 4), (25, 25)])
def test_bumps_are_two_signed_and_of_unit_norm(shape: tuple[int, int], p: int) -> None:
    pictures = bumps(*shape, p)
    assert pictures.shape == (2, *shape)
    torch.testing.assert_close(pictures.flatten(1).norm(p, dim=1), torch.ones(2, dtype=torch.float64))
    if max(shape) > 1:
        assert bool((pictures.flatten(1).amax(1) > 0).all())
        assert bool((pictures.flatten(1).amin(1) < 0).all())


@pytest.mark.parametrize(("p", "threat"), [(2, sp.L2(0.3)), (1, sp.L1(0.8))])
def test_filled_spends_the_radius_along_the_ray(p: int, threat: sp.L2) -> None:
    x = torch.full((3, 4), 0.5, dtype=torch.float64)
    delta = torch.tensor([[0.1, 0, 0, 0], [0.03, -0.04, 0, 0], [0, 0, 0, 0]], dtype=torch.float64)
    out = filled(problem(x, threat, 0.3), delta, p)
    torch.testing.assert_close(threat.size(x, out), torch.tensor([0.3, 0.3, 0.0], dtype=torch.float64))
    torch.testing.assert_close(out[1] / out[1, 0], delta[1] / delta[1, 0])


@pytest.mark.parametrize(("p", "threat"), [(2, sp.L2()), (1, sp.L1())])
def test_filled_gives_to_others_what_the_box_takes(p: int, threat: sp.L2) -> None:
    """One entry stops at 0.1; the rest keep their proportions and spend what is left."""
    x = torch.tensor([[0.9, 0.5, 0.5]], dtype=torch.float64)
    out = filled(problem(x, threat, 0.4), torch.tensor([[0.09, 0.03, -0.06]], dtype=torch.float64), p)[0]
    assert float(out[0]) == pytest.approx(0.1)
    assert float(out[2] / out[1]) == pytest.approx(-2)
    assert float(out.norm(p)) == pytest.approx(0.4)


@pytest.mark.parametrize(("p", "threat"), [(2, sp.L2()), (1, sp.L1())])
def test_filled_is_exact_on_images_with_many_entries_at_the_bounds(p: int, threat: sp.L2) -> None:
    g = torch.Generator().manual_seed(0)
    x = (3 * torch.rand(20, 100, generator=g, dtype=torch.float64) - 1).clamp(0, 1)
    radius = 0.4 * threat.size(x, threat.project(x, torch.full_like(x, 9.0), x.new_full((20,), torch.inf)))
    task = problem(x, threat, 1.0)
    task = dataclasses.replace(task, radius=radius)
    out = filled(task, 1e-3 * torch.randn(20, 100, generator=g, dtype=torch.float64), p)
    reach = threat.size(x, out) / radius
    assert float(reach.max()) <= 1 + 1e-6
    assert float(reach.min()) > 0.99
    assert bool(((x + out >= 0) & (x + out <= 1)).all())


def test_what_is_too_large_already_is_projected() -> None:
    x = torch.full((1, 3), 0.5, dtype=torch.float64)
    delta = torch.tensor([[0.4, -0.2, 0.05]], dtype=torch.float64)
    for p, threat in ((2, sp.L2()), (1, sp.L1())):
        task = problem(x, threat, 0.3)
        torch.testing.assert_close(filled(task, delta, p), threat.project(x, delta, task.radius))


def test_filled_stops_where_the_box_is_full() -> None:
    x = torch.full((2, 3), 0.5, dtype=torch.float64)
    delta = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 0.0]], dtype=torch.float64)
    out = filled(problem(x, sp.L2(), 5.0), delta, 2)
    torch.testing.assert_close(out, 0.5 * delta.sign())
