"""Networks of many kinds for the study of schedules: trained by this script, kept in benchmarks/.kinds, not shipped.

    python benchmarks/kinds.py train            # all, minutes each on one core
    python benchmarks/kinds.py train fashion-vit

Trained on the first 15 000 training images of Fashion-MNIST.
"""

from __future__ import annotations

import argparse
import dataclasses as dc
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

import saddlepoint as sp
from saddlepoint.zoo.cards import Recipe
from saddlepoint.zoo.networks import ConvNet
from saddlepoint.zoo.train import GEOMETRIES, augment, harden

FOLDER = Path(__file__).with_name(".kinds")
IMAGES = 15_000


class Residual(nn.Module):
    """A stem, three pairs of 3 x 3 convolutions around which the input is added, a mean over the image, a linear
    layer; group normalization, GELU."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 5, 2, 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, width), nn.GELU(), nn.Conv2d(width, width, 3, padding=1),
                nn.GroupNorm(8, width), nn.GELU(), nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(3)
        )  # fmt: skip
        self.head = nn.Linear(width * 49, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, 10] of images [N, 1, 28, 28]."""
        z = self.stem(x)
        for block in self.blocks:
            z = z + block(z)
        return self.head(nn.functional.avg_pool2d(z, 2).flatten(1))


class Attention(nn.Module):
    """A vision transformer: 49 patches of 4 x 4 pixels, three layers of four heads."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, 4)
        self.places = nn.Parameter(0.02 * torch.randn(1, 49, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, 10] of images [N, 1, 28, 28]."""
        z = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.head(self.layers(z).mean(1))


def dense() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )


@dc.dataclass(frozen=True)
class Kind:
    """How a network is built and trained, and the threat it is studied under."""

    build: Callable[[], nn.Module]
    recipe: Recipe
    threat: str
    trades: float = 0.0
    """The weight of TRADES' divergence; 0 trains on the perturbed images alone."""


LINF = Recipe("", "", "linf", 0.1, 3, 0.05, 1.0, epochs=3)
L2 = Recipe("", "", "l2", 1.5, 3, 0.75, 1.0, epochs=3)
SINGLE = dc.replace(LINF, steps=1, step_size=0.125)
PLAIN = dc.replace(LINF, norm="none")
KINDS = {
    "trades": Kind(ConvNet, LINF, "linf:0.1", trades=6.0),
    "residual": Kind(Residual, LINF, "linf:0.1"),
    "vit": Kind(Attention, dc.replace(LINF, learning_rate=2e-3), "linf:0.1"),
    "dense": Kind(dense, LINF, "linf:0.1"),
    "tanh": Kind(lambda: ConvNet((16, 32, 32), nn.Tanh), LINF, "linf:0.1"),
    "wide-single-step": Kind(lambda: ConvNet((48, 72, 72)), SINGLE, "linf:0.1"),
    "residual-single-step": Kind(Residual, SINGLE, "linf:0.1"),
    "trades-l2": Kind(ConvNet, L2, "l2:1.5", trades=6.0),
    "vit-l2": Kind(Attention, dc.replace(L2, learning_rate=2e-3), "l2:1.5"),
    "residual-l2": Kind(Residual, L2, "l2:1.5"),
    "plain-residual": Kind(Residual, PLAIN, "linf:0.1"),
    "plain-dense": Kind(dense, PLAIN, "linf:0.1"),
    "plain-vit": Kind(Attention, dc.replace(PLAIN, learning_rate=2e-3), "linf:0.1"),
    "plain-tanh": Kind(lambda: ConvNet((16, 32, 32), nn.Tanh), PLAIN, "linf:0.1"),
    "plain-wide": Kind(lambda: ConvNet((48, 72, 72)), PLAIN, "linf:0.1"),
}
"""The single-step ones are slightly masked: what breaks them hides. The plain ones are for tables of transfer."""


def pushed(network: nn.Module, x: Tensor, recipe: Recipe, share: float, generator: torch.Generator) -> Tensor:
    """TRADES' inner maximum: the images [N, 1, 28, 28] moved away from the network's own answer."""
    network.eval()
    geometry, radius = GEOMETRIES[recipe.norm], share * recipe.radius
    with torch.no_grad():
        own = softmax(network(x).float(), 1)
    moved = geometry.project(x, x + 1e-3 * geometry.start(x, 1.0, generator), radius)
    for _ in range(recipe.steps):
        moved.requires_grad_(True)
        loss = kl_div(log_softmax(network(moved).float(), 1), own, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = geometry.project(x, moved.detach() + share * recipe.step_size * geometry.steepest(gradient), radius)
    network.train()
    return moved


def train(kind: Kind) -> nn.Module:
    """A network of the kind, trained from nothing."""
    recipe, data = kind.recipe, sp.zoo.data.load(f"fashion-mnist-train[:{IMAGES}]")
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = kind.build().train()
    updates = recipe.epochs * (IMAGES // recipe.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, updates, pct_start=0.25)
    for update in range(updates):
        rows = torch.randint(IMAGES, (recipe.batch_size,), generator=generator)
        x, y = augment(data.x[rows], recipe.shift, generator), data.y[rows]
        share = min(1.0, update * recipe.batch_size / (recipe.warmup * IMAGES))
        if kind.trades:
            moved = pushed(network, x, recipe, share, generator)
            both = network(torch.cat([x, moved]))
            clean, other = both.chunk(2)
            divergence = kl_div(log_softmax(other, 1), softmax(clean, 1), reduction="batchmean")
            loss = cross_entropy(clean, y) + kind.trades * divergence
        else:
            loss = cross_entropy(network(harden(network, x, y, recipe, share, generator)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def load(name: str) -> nn.Module:
    """A trained network of that kind, or a shipped one, in eval mode."""
    if name in KINDS:
        network = KINDS[name].build()
        network.load_state_dict(load_file(FOLDER / f"{name}.safetensors"))
        return network.eval().requires_grad_(False)
    return sp.zoo.load(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["train"])
    parser.add_argument("names", nargs="*", default=list(KINDS))
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    test = sp.zoo.data.load("fashion-mnist-1k")
    for name in parser.parse_args().names:
        if (FOLDER / f"{name}.safetensors").exists():
            continue
        began = time.perf_counter()
        network = train(KINDS[name])
        with torch.no_grad():
            right = (network(test.x).argmax(1) == test.y).float().mean()
        save_file(network.state_dict(), FOLDER / f"{name}.safetensors")
        print(f"{name}: {right:.1%} right, {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
