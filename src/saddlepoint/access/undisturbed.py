"""Leaving things as found: the global generators of random numbers, and the buffers of a network."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


@contextlib.contextmanager
def own_randomness(seed: int, device: torch.device | None) -> Iterator[None]:
    """The generators of torch (with that of ``device``), numpy and Python start from ``seed``; put back at the end."""
    cuda = [device.index or 0] if device is not None and device.type == "cuda" else []
    python, legacy = random.getstate(), np.random.get_state(legacy=False)
    with torch.random.fork_rng(devices=cuda):
        try:
            torch.manual_seed(seed)
            np.random.seed(seed % (1 << 32))
            random.seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)


@contextlib.contextmanager
def same_buffers(buffers: list[Tensor]) -> Iterator[None]:
    """Whatever is written to the buffers inside (running statistics, counters) is undone."""
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, was in zip(buffers, before, strict=True):
                if not torch.equal(buffer, was):
                    buffer.copy_(was)
