"""A stand-in learned from nothing but the labels that a model answers: what an outsider can build to attack it."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import torch
from torch import Tensor, nn

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
    held_out: Inputs | None = None,
    build: Build | None = None,
    seed: int = 0,
) -> Substitute:
    """Learn a stand-in for ``target`` from at most ``budget`` of its labels.

    Starts from the labels of ``seeds``. Each round trains anew on all labels so far, and asks about new points where
    the stand-in changes fastest: x - step sign(d F_y(x) / d x), each round doubling the set as far as the budget goes.
    The paper's text moves the other way, into the class; towards its border the stand-in agrees as often or more.

    Args:
        target: the model, asked for its labels alone.
        seeds: inputs [n, *D] in the target's range, some of each class at best; those beyond the budget are not used.
        budget: labels asked for in all; what is held out is asked for in addition.
        rounds: of training; all but the last are followed by new points.
        step: of the new points, in the units of the data.
        epochs: passes over the set in each round.
        held_out: inputs [m, *D] to tell the agreement on, not trained on.
        build: the architecture, for inputs of mean 0 and deviation 1; by default two convolutions for images, two
            hidden layers for features.
        seed: all randomness comes from it.

    Raises:
        OptionError, DataError: a value out of range, or labels of one class only.

    Source: Papernot, McDaniel, Goodfellow, Jha, Celik, Swami, "Practical black-box attacks against machine learning",
    AsiaCCS 2017.
    """
    if min(budget, rounds, epochs) < 1 or step <= 0:
        raise OptionError(
            f"budget, rounds, epochs and step must be above 0, got {budget}, {rounds}, {epochs}, {step:g}"
        )
    draw = torch.Generator().manual_seed(seed)
    x = seeds[:budget].detach().clone()
    y, classes = ask_labels(target, x)
    if int(y.min()) == int(y.max()):
        raise DataError(f"the target gives all {len(x)} seeds one label: take seeds of several classes")
    apart = None if held_out is None else (held_out, ask_labels(target, held_out)[0])
    queries, agreement = [], []
    for turn in range(rounds):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + turn)
            network = nn.Sequential(_Standardize(x), (build or _usual(x))(classes))
        _train(network, x, y, epochs, draw)
        queries.append(len(x))
        if apart is not None:
            with torch.no_grad():
                agreement.append(float((network(apart[0]).argmax(1) == apart[1]).double().mean()))
        if turn < rounds - 1 and len(x) < budget:
            new = _changed(network, x, y, step, draw)[: budget - len(x)].clamp(target.box.low, target.box.high)
            x, y = torch.cat([x, new]), torch.cat([y, ask_labels(target, new)[0]])
    bounds = (target.box.low, target.box.high)
    name = f"learned from {queries[-1]} labels of {target.name}"
    return Substitute(wrap(network, bounds=bounds, name=name), tuple(queries), tuple(agreement))


def _changed(network: nn.Module, x: Tensor, y: Tensor, step: float, draw: torch.Generator) -> Tensor:
    """One new point from each of the set, in random order, moved by ``step`` to where the score of its class falls."""
    rows = torch.randperm(len(x), generator=draw).to(x.device)
    out = []
    for some in rows.split(BATCH):  # type: ignore[no-untyped-call]
        given = x[some].requires_grad_()
        own = network(given).gather(1, y[some].unsqueeze(1)).sum()
        (slope,) = torch.autograd.grad(own, given)
        out.append(x[some] - step * slope.sign())
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


def _train(network: nn.Module, x: Tensor, y: Tensor, epochs: int, draw: torch.Generator) -> None:
    network.to(device=x.device).train()
    steps = epochs * -(-len(x) // BATCH)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps)
    for _ in range(epochs):
        for some in torch.randperm(len(x), generator=draw).to(x.device).split(BATCH):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[some].float()), y[some]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval().requires_grad_(False)


def _usual(x: Tensor) -> Build:
    """An architecture for inputs of the shape of ``x``."""
    if x.ndim == 4 and min(x.shape[2:]) >= 8:
        cells = -(-x.shape[2] // 4) * -(-x.shape[3] // 4)
        return lambda classes: nn.Sequential(
            nn.Conv2d(x.shape[1], 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(32 * cells, 64), nn.ReLU(), nn.Linear(64, classes),
        )  # fmt: skip
    width = x[0].numel()
    return lambda classes: nn.Sequential(
        nn.Flatten(), nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, classes)
    )
