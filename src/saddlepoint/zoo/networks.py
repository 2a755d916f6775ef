"""Architectures of the zoo: three convolutions and a linear layer over gray images of 28 x 28 pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from saddlepoint.errors import OptionError
from saddlepoint.shapes import Inputs, Logits

NUM_CLASSES: Final = 10


class ConvNet(nn.Module):
    """Three convolutions with batch normalization, the first and the last of stride 2, then a linear layer.

    Inputs are ``[N, 1, 28, 28]`` in [0, 1], outputs logits ``[N, 10]``; nothing is normalized.

    Args:
        widths: output channels of the three convolutions.
        activation: builds the activation between layers.

    >>> ConvNet()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (32, 64, 64),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.features = nn.Sequential(
            *_block(1, first, 5, 2, activation),
            *_block(first, second, 3, 1, activation),
            *_block(second, third, 3, 2, activation),
        )
        self.head = nn.Linear(third * 7 * 7, NUM_CLASSES)

    def forward(self, x: Inputs) -> Logits:
        """Logits ``[N, 10]``."""
        features: Tensor = self.features(x)
        logits: Tensor = self.head(features.flatten(1))
        return logits


class Masked(nn.Module):
    """A network behind a staircase: inputs are rounded to a few gray levels, logits are inflated.

    ``f(x) = sharpness * network(round((levels - 1) * x) / (levels - 1))``. The rounding has slope zero
    everywhere, so backpropagation returns exactly nothing; the inflated logits saturate the softmax, so
    differences of the cross-entropy underflow as well. As in defensive distillation (Papernot et al. 2016),
    training sees the logits before the inflation. Both hide the blind spots and remove none (Athalye et
    al. 2018): a bad defense on purpose, to try diagnostics on.

    Args:
        network: takes ``[N, 1, 28, 28]`` in [0, 1], gives logits ``[N, 10]``.
        levels: number of gray levels left, at least 2.
        sharpness: factor of the logits in eval mode.

    >>> x = torch.rand(2, 1, 28, 28, requires_grad=True)
    >>> Masked(ConvNet())(x).sum().backward()
    >>> float(x.grad.abs().max())
    0.0
    """

    def __init__(self, network: nn.Module, levels: int = 16, sharpness: float = 100.0) -> None:
        super().__init__()
        self.network = network
        self.levels = levels
        self.sharpness = sharpness

    def forward(self, x: Inputs) -> Logits:
        """Logits ``[N, 10]``."""
        steps = self.levels - 1
        logits: Tensor = self.network(torch.round(x * steps) / steps)
        return logits if self.training else self.sharpness * logits


ARCHITECTURES: Final[dict[str, Callable[[], nn.Module]]] = {
    "conv": ConvNet,
    "conv-silu": lambda: ConvNet((40, 72, 80), nn.SiLU),
    "conv-masked": lambda: Masked(ConvNet()),
}


def build(architecture: str) -> nn.Module:
    """A network with fresh weights.

    Args:
        architecture: a key of :data:`ARCHITECTURES`.

    Raises:
        OptionError: unknown name.
    """
    if architecture not in ARCHITECTURES:
        raise OptionError(f"no architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[architecture]()


def _block(
    inputs: int, outputs: int, kernel: int, stride: int, activation: Callable[[], nn.Module]
) -> tuple[nn.Module, nn.Module, nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs), activation()
