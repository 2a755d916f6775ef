"""How the generators of the zoo are trained: a plain loop that owes its answer to a seed."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


@dc.dataclass(frozen=True)
class Lesson:
    """How a generator is trained: Adam on a one-cycle schedule over ``epochs`` passes."""

    epochs: int = 12
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight: float = 1.0
    """Of the divergence of codes from those expected."""
    seed: int = 0


def fit(
    build: Callable[[], N], loss: Callable[[N, Tensor], Tensor], n: int, lesson: Lesson, say: Callable[[str], None]
) -> N:
    """A network that makes ``loss(network, rows)`` small on batches of the rows 0..n-1, in eval mode.

    ``build`` and ``loss`` may draw from torch's generator: it is seeded here, and given back as it was.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(lesson.seed)
        network = build()
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        size = min(lesson.batch_size, n)
        steps = n // size
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lesson.learning_rate, lesson.epochs * steps)
        for epoch in range(lesson.epochs):
            total = 0.0
            for rows in torch.randperm(n)[: steps * size].split(size):  # type: ignore[no-untyped-call]
                value = loss(network, rows)
                optimizer.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                total += float(value.detach())
            say(f"epoch {epoch + 1}/{lesson.epochs}  loss {total / steps:.2f}")
    return network.eval().requires_grad_(False)
