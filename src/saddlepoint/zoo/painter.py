"""Networks that paint: gray images of 28 x 28 pixels from a few numbers and a class.

    python -m saddlepoint.zoo.painter --out DIR

trains the one that is shipped, in a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.zoo import data, shipped
from saddlepoint.zoo.lessons import Lesson, fit
from saddlepoint.zoo.networks import NUM_CLASSES

WIDTH: Final = 16
"""How many numbers stand for an image, beside its class."""
LESSON: Final = Lesson()


class Painter(nn.Module):
    """A variational autoencoder with classes: what an image is like, apart from what it shows.

    ``look`` tells of images [N, 1, 28, 28] the mean and the log-variance of their codes [N, 16], and the logits of
    their classes [N, 10]; ``paint`` makes images [N, 1, 28, 28] in (0, 1) from codes [N, 16] and classes [N, 10] (each
    row sums to 1). Codes of images are spread about as standard normal ones.

    Source: Kingma, Rezende, Mohamed, Welling, "Semi-supervised learning with deep generative models", NeurIPS 2014.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.width = width
        self.eye = nn.Sequential(
            nn.Conv2d(1, 32, 4, 2, 1), nn.SiLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.SiLU(), nn.Flatten(),
            nn.Linear(64 * 49, 128), nn.SiLU(),
        )  # fmt: skip
        self.code = nn.Linear(128 + NUM_CLASSES, 2 * width)
        self.kind = nn.Linear(128, NUM_CLASSES)
        self.first = nn.Sequential(nn.Linear(width + NUM_CLASSES, 128), nn.SiLU(), nn.Linear(128, 32 * 49), nn.SiLU())
        self.hand = nn.Sequential(
            nn.Unflatten(1, (32, 7, 7)), nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.SiLU(), nn.Conv2d(16, 1, 3, 1, 1),
        )  # fmt: skip

    def look(self, x: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(mean [N, 16], log-variance [N, 16], logits of classes [N, 10]); codes for ``classes``, if given."""
        seen = self.eye(x)
        logits: Tensor = self.kind(seen)
        kinds = logits.softmax(1) if classes is None else classes
        mean, spread = self.code(torch.cat([seen, kinds], 1)).chunk(2, 1)
        return mean, spread, logits

    def paint(self, code: Tensor, classes: Tensor) -> Tensor:
        """Images, [N, 1, 28, 28]."""
        painted: Tensor = self.hand(self.first(torch.cat([code, classes], 1))).sigmoid()
        return painted

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes, [N, 10]."""
        return self.look(x)[2]


def teach(x: Tensor, y: Tensor, lesson: Lesson = LESSON, say: Callable[[str], None] = print) -> Painter:
    """A painter of images x [n, 1, 28, 28] in [0, 1] with labels y [n], in eval mode.

    minimize E -log p(x | z, y) + weight · KL(q(z | x, y) | N(0, 1)) - log q(y | x), pixels as Bernoulli variables.
    """

    def loss(network: Painter, rows: Tensor) -> Tensor:
        return _loss(network, x[rows], y[rows], lesson.weight)

    return fit(Painter, loss, len(x), lesson, say)


def _loss(network: Painter, x: Tensor, y: Tensor, weight: float) -> Tensor:
    classes = functional.one_hot(y, NUM_CLASSES).to(x.dtype)
    mean, spread, logits = network.look(x, classes)
    code = mean + (spread / 2).exp() * torch.randn_like(mean)
    painted = network.paint(code, classes)
    missed = functional.binary_cross_entropy(painted, x, reduction="none").flatten(1).sum(1)
    apart = (mean.square() + spread.exp() - spread - 1).sum(1) / 2
    return (missed + weight * apart + 10 * functional.cross_entropy(logits, y, reduction="none")).mean()


def main(arguments: list[str] | None = None) -> None:
    """Train, write the weights in half precision, and print how well it knows and paints images it has not seen."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.zoo.painter", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for fashion-painter.safetensors")
    parser.add_argument("--epochs", type=int, default=LESSON.epochs)
    asked = parser.parse_args(arguments)
    known, others = data.load("fashion-mnist-train"), data.load("fashion-mnist[:1000]")
    painter = teach(known.x, known.y, Lesson(epochs=asked.epochs), lambda line: print(line, flush=True))
    asked.out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in painter.state_dict().items()}
    (asked.out / "fashion-painter.safetensors").write_bytes(save(weights))
    shipped.seal(asked.out)
    mean, _, logits = painter.look(others.x)
    apart = (painter.paint(mean, logits.softmax(1)) - others.x).square().mean()
    right = (logits.argmax(1) == others.y).double().mean()
    print(f"of 1000 unseen images: class right {right:.1%}, mean squared error of a pixel {apart:.4f}")


if __name__ == "__main__":
    main()
