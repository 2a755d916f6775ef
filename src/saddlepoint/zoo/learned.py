"""Perturbation sets learned from pairs: pictures, and what became of them.

    python -m saddlepoint.zoo.learned --out DIR

learns the one that is shipped, from what ``saddlepoint.zoo.camera`` makes of pictures, in minutes on one core.
"""

from __future__ import annotations

import argparse
import dataclasses as dc
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from safetensors.torch import save
from torch import Tensor

from saddlepoint.core.slope import slope
from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.noise import Noise
from saddlepoint.rows import column
from saddlepoint.sets import Latent
from saddlepoint.zoo import data, shipped
from saddlepoint.zoo.camera import pairs
from saddlepoint.zoo.changer import LESSON, Changer, divergence, taught
from saddlepoint.zoo.lessons import Lesson
from saddlepoint.zoo.placing import placed

RADIUS = "radius"
"""The name of the radius among the weights in a file."""
STRIDE = 0.05
"""Steps toward the best reconstruction, in units of the radius."""


class Judgment(NamedTuple):
    """Mean squared errors of a pixel of each pair, and what the code of the pair costs; all [N]."""

    encoded: Tensor
    """Of the picture painted from the code of the pair, cut off at the radius."""
    nearest: Tensor
    """Of the nearest picture found in the set: small where the set is large enough (the necessary subset)."""
    expected: Tensor
    """Of pictures from codes that are normal in the ball, on average: small where the set is not too large."""
    mean: Tensor
    """Of the picture of the code 0."""
    divergence: Tensor
    """KL(q(z | x, x') | p(z | x)): small where the prior finds the pair likely."""


@dc.dataclass(frozen=True, eq=False)
class LearnedSet:
    """Changes of pictures as pairs of them show: {g(x, m(x) + s(x) u) : |u|₂ <= radius}, as a generator of u.

    ``radius`` holds a given share of pairs that were kept back. The code 0 stands for the mean change, not for none:
    ``threat()`` is the set as published; with ``form="added"`` what it adds to that of 0 is added to x.

    Source: Wong and Kolter, "Learning perturbation sets for robust machine learning", ICLR 2021.
    """

    name: str
    network: Changer
    radius: float

    def __str__(self) -> str:
        return self.name

    def encode(self, x: Tensor) -> Tensor:
        """u = 0 for all of x [N, C, H, W]: [N, w]."""
        self._checked(x)
        return x.new_zeros(len(x), self.network.width)

    def decode(self, x: Tensor, code: Tensor) -> Tensor:
        """x [N, C, H, W], changed as u [N, w] says."""
        network = placed(self.network, self._checked(x))
        with torch.no_grad():
            mean, spread = network.expect(x)
        return network.change(x, mean + (spread / 2).exp() * code)

    @torch.no_grad()
    def codes(self, x: Tensor, changed: Tensor) -> Tensor:
        """The u [N, w] that made x into ``changed``, both [N, C, H, W], as the network sees it."""
        network = placed(self.network, self._checked(x))
        mean, spread = network.expect(x)
        return (network.see(x, changed)[0] - mean) / (spread / 2).exp()

    def threat(self, radius: float | None = None, form: Literal["added", "painted"] = "painted") -> Latent:
        """The set, of its own radius unless another is given."""
        return Latent(self.radius if radius is None else radius, generator=self, form=form)

    def judge(self, x: Tensor, changed: Tensor, steps: int = 50, draws: int = 5, seed: int = 0) -> Judgment:
        """How well the set describes pairs x and ``changed`` [N, C, H, W] it was not trained on."""
        _check_pairs(x, changed)
        network = placed(self.network, self._checked(x))
        threat, radius = self.threat(), x.new_full((len(x),), self.radius)
        noise = Noise.seeded(seed, torch.arange(len(x), device=x.device))

        def error(code: Tensor) -> Tensor:
            return (self.decode(x, code) - changed).square().flatten(1).mean(1)

        code = threat.project(x, self.codes(x, changed), radius)
        with torch.no_grad():
            encoded, mean = error(code), error(torch.zeros_like(code))
            normal = [error(_normal_within(self.radius, code, noise.at(k))) for k in range(draws)]
            apart = divergence(network.see(x, changed), network.expect(x))
        nearest = encoded
        for _ in range(steps):
            at = code.requires_grad_()
            away = threat.steepest(x, slope(error(at).sum(), at))
            code = threat.project(x, at.detach() - STRIDE * self.radius * away, radius)
            with torch.no_grad():
                nearest = torch.minimum(nearest, error(code))
        return Judgment(encoded, nearest, torch.stack(normal).mean(0), mean, apart)

    def save(self, path: Path | str) -> None:
        """Write weights and radius into a file that ends in .safetensors, for ``sp.zoo.generator(path)``."""
        if Path(path).suffix != ".safetensors":
            raise OptionError(f"{path}: a learned set goes into a file that ends in .safetensors")
        Path(path).write_bytes(self._bytes())

    def _bytes(self) -> bytes:
        weights = {key: value.cpu().contiguous() for key, value in self.network.state_dict().items()}
        return save({**weights, RADIUS: torch.tensor(self.radius, dtype=torch.float64)})

    def _checked(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.network.channels:
            raise DataError(
                f"{self.name} changes pictures [N, {self.network.channels}, H, W]; the inputs have the shape"
                f" {list(x.shape)}"
            )
        return x


def learn_set(
    x: Tensor,
    changed: Tensor,
    *,
    name: str = "learned",
    share: float = 0.99,
    kept_back: float = 0.1,
    width: int = 16,
    lesson: Lesson = LESSON,
    say: Callable[[str], None] = print,
) -> LearnedSet:
    """Learn what may happen to pictures from pairs of them.

    A conditional variational autoencoder p(x' | x) = ∫ p(x' | x, z) p(z | x) dz; the set is what it makes of codes
    near the mean of p(z | x).

    Args:
        x: pictures [n, C, H, W], in random order, float32.
        changed: what became of each of them, [n, C, H, W].
        name: of the set, in threats and records; a digest of what was learned is added to it.
        share: of the pairs kept back that the radius holds.
        kept_back: the share of the pairs, the last of them, that the radius is taken from and nothing is learned from.
        width: of codes.
        lesson: epochs, batches, learning rate, the weight of the divergence, seed.
        say: receives one line for each epoch.

    Raises:
        DataError: what is given are no pairs of pictures, or too few.
        OptionError: a share that is none.

    >>> x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> darker = x * torch.linspace(0.5, 1, 40).view(-1, 1, 1, 1)
    >>> learned = learn_set(x, darker, lesson=Lesson(epochs=1, batch_size=8), say=lambda line: None)
    >>> learned.threat().apply(x, learned.encode(x)).shape
    torch.Size([40, 1, 8, 8])
    """
    _check_pairs(x, changed)
    for option, value in (("share", share), ("kept_back", kept_back)):
        if not 0 < value < 1:
            raise OptionError(f"{option} is between 0 and 1, got {value:g}")
    few = round(len(x) * (1 - kept_back))
    if not 0 < few < len(x):
        raise DataError(f"{len(x)} pairs are too few to learn from and to keep some back")
    learned = LearnedSet(name, taught(x[:few], changed[:few], width, lesson, say), 0.0)
    lengths = torch.linalg.vector_norm(learned.codes(x[few:], changed[few:]), dim=1)
    learned = dc.replace(learned, radius=float(lengths.quantile(share)))
    return dc.replace(learned, name=_with_digest(name, learned._bytes()))


def opened(content: bytes, name: str) -> LearnedSet:
    """The learned set that ``LearnedSet.save`` made these bytes of. Raises ModelError if it did not."""
    try:
        weights = parse_weights(content)
        radius = float(weights.pop(RADIUS))
        network = Changer(weights["expectation.0.weight"].shape[1], weights["plan.0.weight"].shape[1])
        network.load_state_dict(weights)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise ModelError(f"{name} holds no learned set: {error}") from error
    return LearnedSet(name, network.eval().requires_grad_(False), radius)


def opened_file(path: str) -> LearnedSet:
    """The learned set of a file, called by path and digest; where the path ends in a digest, that must be its own.

    Raises:
        ModelError: the file cannot be read, holds something else, or not what it once held.
    """
    file, _, digest = path.partition("@")
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: the learned set cannot be read ({error})") from error
    name = _with_digest(file, content)
    if digest and name != path:
        raise ModelError(f"{file} is no longer what was asked for ({digest}): it now holds {name}")
    return opened(content, name)


def _with_digest(name: str, content: bytes) -> str:
    return f"{name}@{hashlib.sha256(content).hexdigest()[:8]}"


def _check_pairs(x: Tensor, changed: Tensor) -> None:
    if x.ndim != 4 or x.shape != changed.shape:
        raise DataError(
            f"pairs are pictures [n, C, H, W] and what became of each of them; the shapes are {list(x.shape)} and"
            f" {list(changed.shape)}"
        )


def _normal_within(radius: float, like: Tensor, noise: Noise) -> Tensor:
    """Standard normal codes given that they are no longer than the radius, [N, w]: the chi distribution, inverted."""
    half = torch.tensor(like.shape[1] / 2, dtype=torch.float64, device=like.device)
    low = torch.zeros(len(like), dtype=torch.float64, device=like.device)
    high = torch.full_like(low, radius**2 / 2)
    wanted = noise.at("length").uniform() * torch.special.gammainc(half, high)
    for _ in range(60):
        middle = (low + high) / 2
        below = torch.special.gammainc(half.expand_as(middle), middle) < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    direction = noise.at("direction").sphere((like.shape[1],), dtype=like.dtype)
    return direction * column((2 * high).sqrt().to(like.dtype), direction)


def main(arguments: list[str] | None = None) -> None:
    """Learn what a poor camera does to Fashion-MNIST, write it, and judge it by images not learned from."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.zoo.learned", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for fashion-camera.safetensors")
    parser.add_argument("--images", type=int, default=40000)
    parser.add_argument("--epochs", type=int, default=LESSON.epochs)
    asked = parser.parse_args(arguments)
    known, others = data.load(f"fashion-mnist-train[:{asked.images}]"), data.load("fashion-mnist[:1000]")
    lesson = dc.replace(LESSON, epochs=asked.epochs)
    learned = learn_set(known.x, pairs(known.x), lesson=lesson, say=lambda line: print(line, flush=True))
    asked.out.mkdir(parents=True, exist_ok=True)
    learned.save(asked.out / "fashion-camera.safetensors")
    shipped.seal(asked.out)
    changed = pairs(others.x, seed=1)
    apart = (changed - others.x).square().mean()
    judged = {name: f"{float(value.mean()):.4f}" for name, value in learned.judge(others.x, changed)._asdict().items()}
    print(f"radius {learned.radius:.2f}; of 1000 unseen pairs, {apart:.4f} apart: {judged}")


if __name__ == "__main__":
    main()
