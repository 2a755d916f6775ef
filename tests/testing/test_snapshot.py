from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from saddlepoint.testing import ConvNet, Snapshot


def gathers_a_gradient(network: ConvNet, x: torch.Tensor) -> None:
    network(x).sum().backward()


def changes(what: Callable[[ConvNet, torch.Tensor], object]) -> list[str]:
    network, x = ConvNet().eval(), torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    before = Snapshot.of(network, x)
    state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        what(network, x)
        return before.differences(Snapshot.of(network, x))
    finally:
        torch.set_rng_state(state[0])
        np.random.set_state(state[1])
        random.setstate(state[2])


def test_nothing_changed_is_nothing_found() -> None:
    assert changes(lambda network, x: network(x)) == []


@pytest.mark.parametrize(
    ("what", "named"),
    [
        (gathers_a_gradient, ".grad of head.weight"),
        (lambda network, x: network.head.weight.data.add_(1), "parameter head.weight"),
        (lambda network, x: network.head.weight.requires_grad_(False), "requires_grad of head.weight"),
        (lambda network, x: network.features[1].running_mean.add_(1), "buffer features.1.running_mean"),
        (lambda network, x: network.dropout.train(), "training flag of dropout"),
        (lambda network, x: network.register_forward_hook(lambda *_: None), "hooks of the model"),
        (lambda network, x: torch.rand(1), "torch's random state"),
        (lambda network, x: np.random.rand(), "numpy's random state"),
        (lambda network, x: random.random(), "Python's random state"),
        (lambda network, x: x.add_(1), "input 0"),
        (lambda network, x: x.requires_grad_(), "form of input 0"),
        (lambda network, x: x.transpose_(2, 3), "form of input 0"),
    ],
)
def test_every_trace_is_found_and_named(what: Callable[[ConvNet, torch.Tensor], object], named: str) -> None:
    assert named in changes(what)
