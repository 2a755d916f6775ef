"""Slopes through views of the input, and smoothed slopes."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, Trial, untargeted
from saddlepoint.gradients import Resized, Smoothed, Through, backprop, halved
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.rows import as_images
from saddlepoint.sets import Linf
from saddlepoint.testing.problems import MLP, SHAPE

N = 6
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NOISE = Noise.seeded(0, torch.arange(N))


def problem(network: torch.nn.Module) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    radii = torch.full((N,), 0.1, dtype=torch.float64)
    return Problem(access, X, untargeted(network(X).argmax(1)), Linf(), margin, NOISE, radii, radii)


def test_through_what_changes_nothing_is_the_slope_itself() -> None:
    task = problem(MLP(seed=1))
    delta = 0.03 * torch.ones_like(X)
    trial, slope = Through(lambda x, noise, k: x, backprop, 3)(task, delta)
    assert torch.allclose(slope, backprop(task, delta)[1])
    assert torch.equal(trial.value, backprop(task, delta)[0].value)
    assert task.access.ledger.forwards.tolist() == [6] * N


def test_the_slope_through_scaled_copies_is_the_mean_of_theirs() -> None:
    network = MLP(seed=1)
    task = problem(network)
    delta = -0.1 * X
    _, slope = Through(halved, backprop, 3)(task, delta)
    x = (X + delta).requires_grad_()
    value = torch.stack([margin(network(x / 2**i), task.goal) for i in range(3)]).mean(0).sum()
    (expected,) = torch.autograd.grad(value, x)
    assert torch.allclose(slope, expected)


def test_what_is_reported_is_seen_without_a_view() -> None:
    """The value and the success are those of the perturbed input, however a view looks."""
    task = problem(MLP(seed=1))
    trial, _ = Through(lambda x, noise, k: 0 * x, backprop)(task, torch.zeros_like(X))
    assert torch.allclose(trial.value, margin(task.access.logits(X), task.goal))


@pytest.mark.parametrize("shape", [(3, 17, 12), (1, 6, 6), (5, 7), (20,)])
def test_a_resized_image_keeps_its_form(shape: tuple[int, ...]) -> None:
    x = torch.rand(4, *shape, generator=torch.Generator().manual_seed(0))
    out = Resized(1.0, 0.5)(x, Noise.seeded(0, torch.arange(4)), 0)
    assert out.shape == x.shape
    assert not torch.equal(out, x)
    assert ((out >= -1e-6) & (out <= 1 + 1e-6)).all()


def test_an_image_that_is_not_resized_stays_as_it_is() -> None:
    for view in (Resized(0.0), Resized(1.0, 1.0)):
        assert torch.allclose(view(X, NOISE, 0), X)


def test_a_resized_image_lies_whole_within_the_frame() -> None:
    """Shrunk to a factor s of each side, an image of ones covers s² of the frame; around it is 0."""
    many = 400
    x = torch.ones(many, 1, 40, 40, dtype=torch.float64)
    out = Resized(1.0, 0.5)(x, Noise.seeded(0, torch.arange(many)), 0)
    covered = out.mean((1, 2, 3))
    assert 0.24 < float(covered.min()) < 0.3
    assert 0.9 < float(covered.max()) <= 1
    expected = (1 - 0.5**3) / 3 / 0.5  # the mean of s² over s in [1/2, 1]
    assert float(covered.mean()) == pytest.approx(expected, abs=0.02)
    corners = out[:, 0, 0, 0], out[:, 0, -1, -1]
    assert all(float(corner.mean()) < 0.5 for corner in corners)


def test_half_of_the_samples_are_resized_each_in_its_own_way() -> None:
    many = 600
    x = torch.ones(many, 1, 20, 20, dtype=torch.float64)
    out = Resized(0.5, 0.5)(x, Noise.seeded(0, torch.arange(many)), 0)
    covered = out.mean((1, 2, 3))
    assert float((covered == 1).double().mean()) == pytest.approx(0.5, abs=0.06)
    assert len(covered.unique()) > many / 3


def test_a_view_of_a_sample_does_not_depend_on_its_neighbors() -> None:
    keep = torch.tensor([4, 1])
    assert torch.allclose(Resized(1.0)(X, NOISE, 3)[keep], Resized(1.0)(X[keep], NOISE.rows(keep), 3))


def test_a_smoothed_slope_is_a_gaussian_around_each_of_its_pixels() -> None:
    def single(task: Problem[GradientAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        spike = torch.zeros(N, 2, 15, 15, dtype=torch.float64)
        spike[:, 0, 7, 6] = 1.0
        return backprop(task, torch.zeros_like(X))[0], spike

    _, slope = Smoothed(single, 7)(problem(MLP(seed=1)), torch.zeros_like(X))  # type: ignore[arg-type]
    assert (slope[:, 1] == 0).all()
    spike = torch.zeros(15, 15, dtype=torch.float64)
    spike[7, 6] = 1
    # A standard deviation of one pixel: three of them at the edge of 7, where SciPy's is cut as well.
    expected = torch.from_numpy(ndimage.gaussian_filter(spike.numpy(), 1.0, truncate=3.0))
    assert torch.allclose(slope[0, 0], expected)


def test_smoothing_by_one_pixel_changes_nothing() -> None:
    task = problem(MLP(seed=1))
    delta = torch.zeros_like(X)
    assert torch.allclose(Smoothed(backprop, 1)(task, delta)[1], backprop(task, delta)[1])


def test_as_images_gives_every_form_two_sides() -> None:
    assert as_images(torch.zeros(2, 3, 4, 5)).shape == (2, 3, 4, 5)
    assert as_images(torch.zeros(2, 3, 4)).dim() == 4
    assert as_images(torch.zeros(2, 3)).dim() == 4
