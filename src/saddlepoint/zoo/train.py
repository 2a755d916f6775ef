"""Train the networks of the zoo: ``python -m saddlepoint.zoo.train fashion-pgd-linf --out DIR``.

Standard training minimizes the mean cross-entropy; adversarial training minimizes the worst one nearby,

    min over weights of E max over |delta| <= radius, x + delta in [0, 1] of CE(f(x + delta), y),

with the inner maximum approximated by projected gradient ascent from a random start (Madry et al. 2018), or
by a single larger step (Wong et al. 2020). Kept to plain torch, so that the shipped networks owe nothing to
the attacks they are used to test.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import torch
from safetensors.torch import save
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from saddlepoint.zoo import data as zoo_data
from saddlepoint.zoo import shipped
from saddlepoint.zoo.cards import Card, Measured, Recipe
from saddlepoint.zoo.networks import build

LINF: Final = 0.1
L2: Final = 1.5

RECIPES: Final[dict[str, Recipe]] = {
    "fashion-standard": Recipe("conv", "trained on clean images only: accurate and fragile"),
    "fashion-fgsm": Recipe(
        "conv", "single-step training from a random start", "linf", LINF, 1, 1.25 * LINF, 1.0, epochs=6
    ),
    "fashion-pgd-linf": Recipe(
        "conv", "adversarial training in the Linf ball", "linf", LINF, 5, LINF / 3, 2.0, epochs=10
    ),
    "fashion-pgd-l2": Recipe("conv", "adversarial training in the L2 ball", "l2", L2, 3, 0.5 * L2, 2.0, epochs=6),
    "fashion-smooth": Recipe(
        "conv-silu",
        "wider, with smooth activations (SiLU), adversarial training in the Linf ball",
        *("linf", LINF, 3, LINF / 2, 2.0),
        epochs=6,
    ),
    "fashion-masked": Recipe(
        "conv-masked",
        "GRADIENT MASKED on purpose: inputs rounded to 16 gray levels, logits times 100 after training; "
        "PGD finds nothing, transfer and black-box attacks break it",
        epochs=6,
    ),
}


class Geometry(NamedTuple):
    """What the inner maximization must know of a norm."""

    steepest: Callable[[Tensor], Tensor]
    project: Callable[[Tensor, Tensor, float], Tensor]
    start: Callable[[Tensor, float, Generator], Tensor]


def train(recipe: Recipe, x: Tensor, y: Tensor, say: Callable[[str], None] = print) -> nn.Module:
    """A network trained by ``recipe``, in eval mode.

    Args:
        recipe: all the numbers.
        x: training inputs ``[N, 1, 28, 28]`` in [0, 1].
        y: labels ``[N]``.
        say: receives one line per epoch.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    network = _laid_out(_fresh(recipe), torch.channels_last)
    updates = recipe.epochs * (len(x) // recipe.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, updates, pct_start=0.25)
    ema = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    average = AveragedModel(network, multi_avg_fn=ema, use_buffers=True)
    update, start = 0, time.perf_counter()
    for epoch in range(recipe.epochs):
        losses = []
        for rows in _batches(len(x), recipe.batch_size, generator):
            share = min(1.0, update * recipe.batch_size / (recipe.warmup * len(x))) if recipe.warmup else 1.0
            inputs = augment(x[rows], recipe.shift, generator)
            with torch.autocast(x.device.type, torch.bfloat16):
                inputs = harden(network, inputs, y[rows], recipe, share, generator)
                losses.append(_descend(network, inputs, y[rows], optimizer))
            schedule.step()
            average.update_parameters(network)
            update += 1
        mean, seconds = sum(losses) / len(losses), time.perf_counter() - start
        say(f"epoch {epoch + 1}/{recipe.epochs}  loss {mean:.4f}  {seconds:.0f} s")
    return _laid_out(average.module, torch.contiguous_format).eval()


def augment(x: Tensor, shift: int, generator: Generator) -> Tensor:
    """Move the batch by up to ``shift`` pixels (one draw for all) and mirror half of the images.

    Args:
        x: ``[N, 1, H, W]``; emptied borders are black.
        shift: in pixels.
        generator: randomness.
    """
    if not shift:
        return x
    down, right = (int(torch.randint(2 * shift + 1, (), generator=generator)) for _ in range(2))
    padded = pad(x, [shift] * 4)
    moved = padded[:, :, down : down + x.shape[2], right : right + x.shape[3]]
    mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, moved.flip(3), moved).to(memory_format=torch.channels_last)


def harden(network: nn.Module, x: Tensor, y: Tensor, recipe: Recipe, share: float, generator: Generator) -> Tensor:
    """Inputs moved to raise the loss, within ``share`` of the recipe's radius; the batch itself for "none".

    Args:
        network: attacked in eval mode, so that samples do not interact.
        x: ``[N, *D]`` in [0, 1].
        y: labels ``[N]``.
        recipe: norm, radius, steps, step size.
        share: of the radius and the step size, in [0, 1].
        generator: of the random start.
    """
    if recipe.norm == "none":
        return x
    network.eval()
    geometry = GEOMETRIES[recipe.norm]
    radius, size = share * recipe.radius, share * recipe.step_size
    moved = geometry.project(x, x + geometry.start(x, radius, generator), radius)
    for _ in range(recipe.steps):
        moved.requires_grad_(True)
        loss = cross_entropy(network(moved).float(), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = geometry.project(x, moved.detach() + size * geometry.steepest(gradient), radius)
    network.train()
    return moved


def accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Percent of the images ``[N, 1, 28, 28]`` that the network, as it is, gets right."""
    with torch.inference_mode():
        hits = sum(int((network(x[rows]).argmax(1) == y[rows]).sum()) for rows in _chunks(len(x)))
    return round(100 * hits / len(y), 2)


def robust_accuracy(network: nn.Module, x: Tensor, y: Tensor, norm: str, radius: float, steps: int = 20) -> float:
    """Percent still right after projected gradient ascent from one random start, judged at the last step."""
    judge = Recipe("", "", norm, radius, steps, 2.5 * radius / steps)
    generator = torch.Generator().manual_seed(0)
    moved = [harden(network, x[rows], y[rows], judge, 1.0, generator) for rows in _chunks(len(x))]
    return accuracy(network.eval(), torch.cat(moved), y)


def main(arguments: list[str] | None = None) -> None:
    """Train one network, measure it, and write weights and card."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.zoo.train", description=__doc__)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--out", type=Path, required=True, help="folder for NAME.safetensors and NAME.json")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = RECIPES[options.name]
    images = zoo_data.load("fashion-mnist-train")
    start = time.perf_counter()
    network = train(recipe, images.x, images.y, lambda line: print(line, flush=True))
    seconds = time.perf_counter() - start
    made_with = (
        f"python -m saddlepoint.zoo.train {options.name}; torch {torch.__version__}, "
        f"{options.threads} CPU threads, bfloat16 autocast, {seconds:.0f} s"
    )
    card = publish(network, options.name, options.out, made_with)
    print(card.dumps(), flush=True)


def publish(network: nn.Module, name: str, folder: Path, made_with: str) -> Card:
    """Measure the network, write its weights and its card, and seal the folder."""
    weights = folder / f"{name}.safetensors"
    weights.write_bytes(save({key: value.contiguous() for key, value in network.state_dict().items()}))
    card = Card(
        name=name,
        data="fashion-mnist-train",
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        recipe=RECIPES[name],
        measured=tuple(_measure(network)),
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        made_with=made_with,
    )
    (folder / f"{name}.json").write_text(card.dumps(), encoding="utf-8")
    shipped.seal(folder)
    return card


def _measure(network: nn.Module) -> Iterator[Measured]:
    few, all_ = "fashion-mnist[:1000]", "fashion-mnist"
    for spec in (few, all_):
        images = zoo_data.load(spec)
        yield Measured("clean", spec, len(images), accuracy(network, images.x, images.y))
    images = zoo_data.load(few)
    for norm, radius in (("linf", LINF), ("l2", L2)):
        robust = robust_accuracy(network, images.x, images.y, norm, radius)
        yield Measured(f"pgd-20 {norm}:{radius}", few, len(images), robust)


def _fresh(recipe: Recipe) -> nn.Module:
    # Initializers draw from the global generator: borrow it and give it back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return build(recipe.architecture)


def _laid_out(network: nn.Module, layout: torch.memory_format) -> nn.Module:
    laid_out: nn.Module = network.to(memory_format=layout)  # type: ignore[call-overload]
    return laid_out


def _batches(n: int, size: int, generator: Generator) -> Iterator[Tensor]:
    order = torch.randperm(n, generator=generator)
    for first in range(0, n - n % size, size):
        yield order[first : first + size]


def _chunks(n: int, size: int = 250) -> list[slice]:
    return [slice(first, first + size) for first in range(0, n, size)]


def _descend(network: nn.Module, x: Tensor, y: Tensor, optimizer: torch.optim.Optimizer) -> float:
    network.train()
    loss = cross_entropy(network(x).float(), y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def _norms(v: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(v, dim=(1, 2, 3), keepdim=True)
    return norms.clamp_min(1e-12)


def _project_linf(x: Tensor, moved: Tensor, radius: float) -> Tensor:
    return torch.minimum(torch.maximum(moved, x - radius), x + radius).clamp(0, 1)


def _project_l2(x: Tensor, moved: Tensor, radius: float) -> Tensor:
    delta = moved - x
    return (x + delta * (radius / _norms(delta)).clamp_max(1.0)).clamp(0, 1)


def _start_linf(x: Tensor, radius: float, generator: Generator) -> Tensor:
    return radius * (2 * torch.rand(x.shape, generator=generator) - 1)


def _start_l2(x: Tensor, radius: float, generator: Generator) -> Tensor:
    direction = torch.randn(x.shape, generator=generator)
    return radius * torch.rand(len(x), 1, 1, 1, generator=generator) * direction / _norms(direction)


def _steepest_l2(gradient: Tensor) -> Tensor:
    return gradient / _norms(gradient)


GEOMETRIES: Final = {
    "linf": Geometry(torch.sign, _project_linf, _start_linf),
    "l2": Geometry(_steepest_l2, _project_l2, _start_l2),
}


if __name__ == "__main__":
    main()
