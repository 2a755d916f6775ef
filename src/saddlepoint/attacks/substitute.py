"""A stand-in learned from nothing but the labels that a model answers: what an outsider can build to attack it."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from saddlepoint.access.checks import check_inputs
from saddlepoint.access.model import Model, wrap
from saddlepoint.attacks.run import ask_labels
from saddlepoint.errors import DataError, OptionError
from saddlepoint.shapes import Inputs

Build = Callable[[int], nn.Module]
"""Number of classes -> a network for inputs of the target's shape, untrained."""
BATCH = 64


@dc.dataclass(frozen=True)
class Substitute:
    """What was learned.

    Attributes:
        model: the stand-in, with slopes, in the target's range.
        queries: labels asked for until after each round.
        agreement: after each round, the share of the inputs held out on which it answers as the target does; empty if
            none were held out.
    """

    model: Model
    queries: tuple[int, ...]
    agreement: tuple[float, ...]


def learn_substitute(
    target: Model,
    seeds: Inputs,
    *,
    budget: int = 6400,
    rounds: int = 6,
    step: float = 0.1,
    epochs: int = 10,
    members: int = 3,
    shift: int = 2,
    held_out: Inputs | None = None,
    build: Build | None = None,
    seed: int = 0,
) -> Substitute:
    """Learn a stand-in for ``target`` from at most ``budget`` of its labels.

    Starts from the labels of ``seeds``. Each round trains anew on all labels so far, and asks about new points where
    the stand-in changes fastest: x - step sign(d F_y(x) / d x), each round doubling the set as far as the budget goes.
    The paper's text moves the other way, into the class; towards its border the stand-in agrees as often or more.
    Beyond the paper, the stand-in is the mean of several networks, and images are moved at random while these train:
    neither costs labels, and what is crafted on it carries over far better. Half of the new points of images are seeds
    moved in the same way.

    Args:
        target: the model, asked for its labels alone.
        seeds: inputs [n, *D] in the target's range, some of each class at best; those beyond the budget are not used.
        budget: labels asked for in all; what is held out is asked for in addition.
        rounds: of training; all but the last are followed by new points, and none follows once the budget is spent.
        step: of the new points, in the units of the data.
        epochs: passes over the set in each round.
        members: networks that the stand-in is the mean of.
        shift: in training, each image is moved by up to so many pixels, anew each time; 0 asks about points of the
            paper alone, as is done for features.
        held_out: inputs [m, *D] to tell the agreement on, not trained on.
        build: the architecture, for inputs of mean 0 and deviation 1; by default two convolutions for images, two
            hidden layers for features.
        seed: all randomness comes from it.

    Raises:
        OptionError, DataError: a value out of range, or labels of one class only.

    Source: Papernot, McDaniel, Goodfellow, Jha, Celik, Swami, "Practical black-box attacks against machine learning",
    AsiaCCS 2017.
    """
    counts = {"budget": budget, "rounds": rounds, "epochs": epochs, "members": members}
    if wrong := next((name for name, count in counts.items() if count < 1), None):
        raise OptionError(f"{wrong} must be at least 1, got {counts[wrong]}")
    if step <= 0 or shift < 0:
        raise OptionError(f"step must be above 0 and shift not below, got {step:g} and {shift}")
    draw = torch.Generator().manual_seed(seed)
    x = check_inputs(seeds[:budget], target.box)
    started = len(x)
    y, classes = ask_labels(target, x)
    if int(y.min()) == int(y.max()):
        raise DataError(
            f"the target gives all {len(x)} seeds one label: take more samples, and labels to ask for, until several"
            " classes are among them"
        )
    if held_out is not None:
        held_out = check_inputs(held_out, target.box)
    apart = None if held_out is None else (held_out, ask_labels(target, held_out)[0])
    queries, agreement = [], []
    lessons = _Lessons(epochs, shift if _is_image(x) else 0, draw)
    for turn in range(rounds):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + turn)
            network = _Mean([nn.Sequential(_Standardize(x), (build or _usual(x))(classes)) for _ in range(members)])
        for member in network.members:
            _train(member, x, y, lessons)
        queries.append(len(x))
        if apart is not None:
            with torch.no_grad():
                agreement.append(float((network(apart[0]).argmax(1) == apart[1]).double().mean()))
        if len(x) == budget:
            break
        if turn < rounds - 1:
            rows = torch.randperm(len(x), generator=draw).to(x.device)[: budget - len(x)]
            new = _changed(network, x[rows], y[rows], step).clamp(target.box.low, target.box.high)
            if lessons.shift:
                new[::2] = _moved(x[rows[::2] % started], lessons.shift, draw)
            x, y = torch.cat([x, new]), torch.cat([y, ask_labels(target, new)[0]])
    bounds = (target.box.low, target.box.high)
    model = wrap(network, bounds=bounds, name=f"learned from {queries[-1]} labels of {target.name}")
    model.facts = {"labels": queries[-1]}
    if apart is not None:
        many = len(apart[1])
        model.facts |= {"held_out": many, "agree": round(agreement[-1] * many)}
    return Substitute(model, tuple(queries), tuple(agreement))


def _changed(network: nn.Module, x: Tensor, y: Tensor, step: float) -> Tensor:
    """The points, moved by ``step`` to where the score of their class falls."""
    out = []
    for some, own in zip(x.split(BATCH), y.split(BATCH), strict=True):  # type: ignore[no-untyped-call]
        given = some.clone().requires_grad_()
        score = network(given).gather(1, own.unsqueeze(1)).sum()
        (slope,) = torch.autograd.grad(score, given)
        out.append(some - step * slope.sign())
    return torch.cat(out)


class _Standardize(nn.Module):
    """Mean 0 and deviation 1 over the set: of each channel of images, of each feature otherwise."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        over = [0, *range(2, x.ndim)]
        self.register_buffer("mean", x.mean(over, keepdim=True).float())
        self.register_buffer("deviation", x.std(over, keepdim=True, correction=0).clamp_min(1e-6).float())

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class _Mean(nn.Module):
    """The mean of the logits of its members."""

    def __init__(self, members: list[nn.Sequential]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x) for member in self.members]).mean(0)


class _Lessons(NamedTuple):
    """How a network is trained: passes over the set, pixels that images are moved by at most, randomness."""

    epochs: int
    shift: int
    draw: torch.Generator


def _train(network: nn.Module, x: Tensor, y: Tensor, lessons: _Lessons) -> None:
    network.to(device=x.device).train()
    steps = lessons.epochs * -(-len(x) // BATCH)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps)
    for _ in range(lessons.epochs):
        order = torch.randperm(len(x), generator=lessons.draw).to(x.device)
        for some in order.split(BATCH):  # type: ignore[no-untyped-call]
            shown = _moved(x[some].float(), lessons.shift, lessons.draw)
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(shown), y[some]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval().requires_grad_(False)


def _moved(x: Tensor, shift: int, draw: torch.Generator) -> Tensor:
    """Images [n, C, H, W], each moved by up to ``shift`` pixels; what comes in from outside repeats the border."""
    if not shift:
        return x
    height, width = x.shape[2:]
    down, right = torch.randint(-shift, shift + 1, (2, len(x), 1), generator=draw).to(x.device)
    rows = (torch.arange(height, device=x.device) + down).clamp(0, height - 1)
    columns = (torch.arange(width, device=x.device) + right).clamp(0, width - 1)
    sample = torch.arange(len(x), device=x.device)[:, None, None]
    return x[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _is_image(x: Tensor) -> bool:
    return x.ndim == 4 and min(x.shape[2:]) >= 8


def _usual(x: Tensor) -> Build:
    """An architecture for inputs of the shape of ``x``."""
    if _is_image(x):
        cells = -(-x.shape[2] // 4) * -(-x.shape[3] // 4)
        return lambda classes: nn.Sequential(
            nn.Conv2d(x.shape[1], 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(32 * cells, 64), nn.ReLU(), nn.Linear(64, classes),
        )  # fmt: skip
    width = x[0].numel()
    return lambda classes: nn.Sequential(
        nn.Flatten(), nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, classes)
    )
