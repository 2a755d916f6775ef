"""Attacks that are no recipes keep what recipes promise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.attacks.invariance import invariance
from saddlepoint.testing.manners import Call, mind
from saddlepoint.testing.problems import MLP


class Painter:
    """Paints a class as a bright row, at a place the code shifts a little."""

    width = 3
    classes = 4

    def paint(self, code: Tensor, classes: Tensor) -> Tensor:
        rows = torch.arange(6, device=code.device).view(1, 6, 1)
        bright = torch.exp(-((rows - classes.view(-1, 1, 1)) - code[:, :1, None]).square())
        return (bright * torch.ones(6, device=code.device, dtype=code.dtype)).unsqueeze(1).clamp(0, 1)

    def judge(self, x: Tensor) -> Tensor:
        return 9 * x.mean(3).squeeze(1)[:, :4]


def labels(network: nn.Module, x: Tensor) -> Tensor:
    return torch.arange(len(x), device=x.device) % 3


def one_for_all(method: str) -> Call:
    def call(network: nn.Module, x: Tensor, seed: int) -> Any:
        return sp.universal(network, x, sp.Linf(0.2), method=method, epochs=1, seed=seed)  # type: ignore[arg-type]

    return call


def patched(network: nn.Module, x: Tensor, seed: int) -> Any:
    found = sp.patch(network, x, side=3, epochs=1, seed=seed)
    return found, found.show(x), found.fools(network, x)


def for_all(network: nn.Module, x: Tensor, seed: int) -> Any:
    other = MLP(classes=4, seed=4).to(x.dtype)
    return sp.fool_all([network, other], x, labels(network, x), sp.Linf(0.2), steps=2, seed=seed)


def painted(network: nn.Module, x: Tensor, seed: int) -> Any:
    classes = torch.arange(3, device=x.device)
    return sp.unrestricted(network, Painter(), classes, steps=2, seed=seed)


def invariant(network: nn.Module, x: Tensor, seed: int) -> Any:
    def oracle(pictures: Tensor) -> Tensor:
        return (pictures.flatten(1).mean(1) > 0.5).long()

    y = labels(network, x)
    return invariance(network, x, y, sp.Linf(0.4), x.roll(1, 0), y.roll(1), oracle, candidates=2, shift=0)


def learned(network: nn.Module, x: Tensor, seed: int) -> Any:
    return sp.learn_substitute(sp.wrap(network), x, budget=16, rounds=1, epochs=1, members=1, seed=seed)


CALLS = {
    "universal": one_for_all("sgd"),
    "deepfool": one_for_all("deepfool"),
    "search": one_for_all("search"),
    "patch": patched,
    "fool_all": for_all,
    "invariance": invariant,
}


@pytest.mark.parametrize("name", CALLS)
def test_attacks_that_are_no_recipes_keep_their_promises(name: str) -> None:
    mind(CALLS[name])


@pytest.mark.parametrize("only", ["trace", "seed", "device"])
def test_so_does_one_that_paints_its_own_inputs(only: str) -> None:
    mind(painted, only)


@pytest.mark.parametrize("only", ["trace", "seed", "inputs"])
def test_so_does_one_that_trains_a_network_of_its_own(only: str) -> None:
    """In single precision, with weights that are drawn where every machine draws the same."""
    mind(learned, only)


def test_bad_manners_are_noticed() -> None:
    def rude(network: nn.Module, x: Tensor, seed: int) -> Any:
        network.eval()
        return torch.rand(3), network(x.float())

    with pytest.raises(AssertionError) as found:
        mind(rude)
    said = str(found.value)
    for name in ("leaves_no_trace", "follows_its_seed", "names_every_device", "keeps_the_dtype", "refuses_bad_inputs"):
        assert f"{name}:" in said
