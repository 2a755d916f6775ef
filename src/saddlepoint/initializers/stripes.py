"""Starts that spend the whole radius in a pattern: vertical stripes, or a grid of bumps."""

from __future__ import annotations

import dataclasses as dc

from torch import Tensor, nn

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.initializers.windows import bumps, filled
from saddlepoint.rows import as_images, column


def stripes(problem: Problem[LabelAccess]) -> Tensor:
    """+radius or -radius for each column of each channel, then projected: [N, *D].

    The start of the Square attack in Linf: convolutional networks are sensitive to such stripes. Inputs without
    columns (vectors and signals) get an own sign in each entry. Source: Andriushchenko et al., ECCV 2020.
    """
    image = as_images(problem.x)
    signs = problem.noise.signs((image.shape[1], 1, image.shape[3]), dtype=image.dtype)
    painted = (signs * column(problem.radius, image)).expand_as(image).reshape_as(problem.x)
    return problem.set.project(problem.x, painted, problem.radius)


@dc.dataclass(frozen=True)
class BumpGrid:
    """A grid of 5 by 5 pairs of opposite bumps over the image, each with a random sign, spending the radius in the box.

    ``p`` (1 or 2) is the norm of the ball. Small images have fewer or more than 5 cells a side; a margin that is left
    over stays 0. The start of the Square attack in L2 and L1. Source: Andriushchenko et al., ECCV 2020;
    for L1: Croce and Hein, ICML 2021.
    """

    p: int

    def __call__(self, problem: Problem[LabelAccess]) -> Tensor:
        """δ [N, *D]."""
        image = as_images(problem.x)
        _, channels, height, width = image.shape
        h, w = max(height // 5, 1), max(width // 5, 1)
        rows, columns = height // h, width // w
        lying = (problem.noise.at("lying").bits((1, rows, columns)) < 0).long()
        signs = problem.noise.at("sign").signs((channels, rows, columns), dtype=image.dtype)
        cells = bumps(h, w, self.p).to(image)[lying] * signs[..., None, None]
        grid = cells.transpose(3, 4).reshape(*image.shape[:2], rows * h, columns * w)
        top, left = (height - rows * h) // 2, (width - columns * w) // 2
        padding = (left, width - columns * w - left, top, height - rows * h - top)
        return filled(problem, nn.functional.pad(grid, padding).reshape_as(problem.x), self.p)
