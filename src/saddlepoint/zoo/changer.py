"""Networks that change pictures as pairs of them show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.sets.warp import pixels, resampled
from saddlepoint.zoo.lessons import Lesson, fit

SIDE: Final = 7
"""A code is turned into maps of 7 x 7 places, and these into maps of the picture's size."""
FEATURES: Final = 8
"""How many maps there are beside the two of the flow."""
CORE: Final = 4
"""What the encoders see is averaged to 4 x 4 places, so that pictures may have any size."""
LESSON: Final = Lesson(epochs=7, batch_size=128, learning_rate=4e-3, weight=0.01)


class Changer(nn.Module):
    """A conditional variational autoencoder of changes of pictures [N, C, H, W].

    ``expect`` tells of pictures the mean and log-variance of the codes [N, w] of what may happen to them, ``see`` of
    pictures and what became of them those of what happened; ``change`` bends a picture along a flow that the code asks
    for, and paints over the result.

    Source: Sohn, Lee, Yan, "Learning structured output representation using deep conditional generative models",
    NeurIPS 2015.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        self.expectation, self.witness = _eye(channels, 2 * width), _eye(2 * channels, 2 * width)
        self.plan = nn.Sequential(nn.Linear(width, 128), nn.SiLU(), nn.Linear(128, (2 + FEATURES) * SIDE**2))
        self.brush = nn.Sequential(
            nn.Conv2d(channels + FEATURES, 16, 5, 1, 2), nn.SiLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.SiLU(),
            nn.Conv2d(16, channels, 3, 1, 1),
        )  # fmt: skip

    def expect(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(mean [N, w], log-variance [N, w]) of codes of what may happen to x [N, C, H, W]."""
        mean, spread = self.expectation(x).chunk(2, 1)
        return mean, spread

    def see(self, x: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
        """(mean [N, w], log-variance [N, w]) of codes of what made x into ``changed``, both [N, C, H, W]."""
        mean, spread = self.witness(torch.cat([x, changed], 1)).chunk(2, 1)
        return mean, spread

    def change(self, x: Tensor, code: Tensor) -> Tensor:
        """x [N, C, H, W], changed as codes [N, w] say."""
        maps = self.plan(code).view(-1, 2 + FEATURES, SIDE, SIDE)
        maps = functional.interpolate(maps, x.shape[2:], mode="bilinear", align_corners=True)
        bent = resampled(x, pixels(x) + maps[:, :2].movedim(1, -1), 0.0, beyond="zeros")
        painted: Tensor = self.brush(torch.cat([bent, maps[:, 2:]], 1))
        return bent + painted


def taught(x: Tensor, changed: Tensor, width: int, lesson: Lesson, say: Callable[[str], None]) -> Changer:
    """A network of what made x [n, C, H, W] into ``changed`` [n, C, H, W], with codes [n, width].

    minimize E |g(x, z) - x'|² + weight · KL(q(z | x, x') | p(z | x)): a weight of 0.01 says that pixels are known to
    0.07.
    """

    def loss(network: Changer, rows: Tensor) -> Tensor:
        return _loss(network, x[rows], changed[rows], lesson.weight)

    return fit(lambda: Changer(x.shape[1], width).to(x), loss, len(x), lesson, say)


def divergence(seen: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> Tensor:
    """KL(q | p) of normal distributions given by means and log-variances, all [N, w]: [N]."""
    (mean, spread), (center, width) = seen, expected
    return ((spread - width).exp() + (mean - center).square() / width.exp() - 1 + width - spread).sum(1) / 2


def _loss(network: Changer, x: Tensor, changed: Tensor, weight: float) -> Tensor:
    seen, expected = network.see(x, changed), network.expect(x)
    code = seen[0] + (seen[1] / 2).exp() * torch.randn_like(seen[0])
    missed = (network.change(x, code) - changed).square().flatten(1).sum(1)
    return (missed + weight * divergence(seen, expected)).mean()


def _eye(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 16, 4, 2, 1), nn.SiLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.SiLU(),
        nn.Conv2d(32, 32, 3, 1, 1), nn.SiLU(), nn.AdaptiveAvgPool2d(CORE), nn.Flatten(),
        nn.Linear(32 * CORE**2, 64), nn.SiLU(), nn.Linear(64, out),
    )  # fmt: skip
