"""Defenses that hide the blind spots of a network and remove none: what a diagnosis must find.

Each takes a network for inputs [N, C, H, W] in [0, 1] and gives one whose clean answers are about the same.
Taxonomy: Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.testing.problems import Map, saturated

BLOCK = 7
"""Side of the blocks that are transformed at a time."""


class Quantize(nn.Module):
    """Inputs rounded to ``levels`` gray levels: slopes are zero (Buckman et al., ICLR 2018, without their code)."""

    def __init__(self, levels: int = 12) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] on the staircase."""
        return (x * (self.levels - 1)).round() / (self.levels - 1)


class Compress(nn.Module):
    """Blocks of cosine coefficients, rounded, as JPEG does it (Guo et al., ICLR 2018); sides must be multiples of 7."""

    def __init__(self, step: float = 0.25) -> None:
        super().__init__()
        self.step = step
        k, i = torch.arange(BLOCK).unsqueeze(1), torch.arange(BLOCK).unsqueeze(0)
        basis = torch.cos(math.pi * (2 * i + 1) * k / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
        basis[0] /= math.sqrt(2)
        self.register_buffer("basis", basis)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] after compression and back; no graph passes."""
        basis = self.get_buffer("basis").to(x.dtype)
        with torch.no_grad():
            blocks = x.unfold(2, BLOCK, BLOCK).unfold(3, BLOCK, BLOCK)
            rounded = ((basis @ blocks @ basis.T) / self.step).round() * self.step
            back = (basis.T @ rounded @ basis).permute(0, 1, 2, 4, 3, 5)
            return back.reshape(x.shape).clamp(0, 1)


class ResizeAndPad(nn.Module):
    """A random size and place for each forward (Xie et al., ICLR 2018)."""

    def __init__(self, shrink: int = 4) -> None:
        super().__init__()
        self.shrink = shrink

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W], smaller by up to ``shrink`` pixels, somewhere on black."""
        side = x.shape[-1] - int(torch.randint(0, self.shrink + 1, ()))
        left, top = (int(torch.randint(0, x.shape[-1] - side + 1, ())) for _ in range(2))
        small = functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
        return functional.pad(small, (left, x.shape[-1] - side - left, top, x.shape[-2] - side - top))


class WinnersTakeAll(nn.Module):
    """Keeps the largest ``share`` of the activations of a layer (k-WTA: Xiao, Zhong, Zheng, ICLR 2020)."""

    def __init__(self, share: float = 0.2) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """x [N, *D] with zeros in place of the smaller entries."""
        flat = x.flatten(1)
        kept = flat.topk(max(int(self.share * flat.shape[1]), 1), 1)
        return torch.zeros_like(flat).scatter(1, kept.indices, kept.values).view_as(x)


class Loop(nn.Module):
    """Many rounds of pulling each pixel to a nearby level: the slope of the chain vanishes or explodes."""

    def __init__(self, rounds: int = 20, levels: int = 12) -> None:
        super().__init__()
        self.rounds, self.frequency = rounds, 2 * math.pi * levels

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] near the levels."""
        for _ in range(self.rounds):
            x = x - torch.sin(self.frequency * x) / self.frequency
        return x


class Purify(nn.Module):
    """Steps of gradient descent on the total variation inside the forward pass (as Defense-GAN optimizes there)."""

    def __init__(self, steps: int = 4, rate: float = 0.02) -> None:
        super().__init__()
        self.steps, self.rate = steps, rate

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W], a little smoother; no graph passes."""
        y = x.detach()
        with torch.enable_grad():
            for _ in range(self.steps):
                y.requires_grad_()
                rough = (y[..., 1:] - y[..., :-1]).square().sum() + (y[..., 1:, :] - y[..., :-1, :]).square().sum()
                y = (y - self.rate * torch.autograd.grad(rough, y)[0]).detach()
        return y.clamp(0, 1)


class TurnRound(nn.Module):
    """Slopes point the wrong way as soon as an input leaves the grid of 8-bit pictures: a single step from the clean
    input sees the true ones, an attack of many steps, or from a random start, does not."""

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] as it is."""
        gray = 255 * x.detach()
        sign = torch.where((gray - gray.round()).abs() < 1e-3, 1.0, -1.0)
        return x.detach() + sign * (x - x.detach())


class Ripple(nn.Module):
    """Adds a fine wave to each input: slopes are those of the wave, and turn around within a fraction of a radius."""

    def __init__(self, length: float = 0.02, height: float = 0.01) -> None:
        super().__init__()
        self.length, self.height = length, height

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W], all but unchanged."""
        return x + self.height * torch.sin(2 * math.pi / self.length * x)


def before(make: Callable[[], nn.Module]) -> Callable[[nn.Module], nn.Module]:
    """A defense that changes the input of a network."""
    return lambda network: nn.Sequential(make(), network)


def always_dropping(network: nn.Module, rate: float = 0.15) -> nn.Module:
    """Dropout of inputs that stays on when the network is judged."""
    return nn.Sequential(Map(lambda x: functional.dropout(x, rate, training=True)), network)


def one_hot(network: nn.Module, factor: float = 1e3) -> nn.Module:
    """Probabilities that are all 0 or 1."""
    return nn.Sequential(network, Map(lambda logits: (logits * factor).softmax(-1)))


def hard(network: nn.Module) -> nn.Module:
    """Answers 1 for the predicted class and 0 for the others: small steps change nothing."""
    return nn.Sequential(network, Map(lambda logits: functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits)))


def squashing(network: nn.Module) -> nn.Module:
    """A sigmoid for each class, on logits that are far apart: scores in [0, 1] that do not sum to 1."""
    return nn.Sequential(network, Map(lambda logits: (4 * logits).sigmoid()))


def with_winners(network: nn.Module) -> nn.Module:
    """Every ReLU replaced by winners that take all."""
    return _replaced(copy.deepcopy(network))


def _replaced(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, WinnersTakeAll() if isinstance(child, nn.ReLU) else _replaced(child))
    return module


DISEASES: Final[Mapping[str, Callable[[nn.Module], nn.Module]]] = {
    "quantized": before(Quantize),
    "compressed": before(Compress),
    "resized": before(ResizeAndPad),
    "dropping": always_dropping,
    "distilled": lambda network: saturated(network, 100.0),
    "one-hot": one_hot,
    "squashing": squashing,
    "hard": hard,
    "rippled": before(Ripple),
    "winners": with_winners,
    "loop": before(Loop),
    "purified": before(Purify),
    "turned": before(TurnRound),
}
"""Defensive distillation (Papernot et al. 2016) is told apart by its inflated logits alone."""
