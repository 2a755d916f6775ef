"""Attacks that bend pictures."""

from __future__ import annotations

import torch

import saddlepoint as sp


def test_adef_bends_nearly_every_picture_by_little() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:80]")
    network = sp.zoo.load("fashion-standard")
    found = sp.attacks.adef(network, data.x, data.y, sp.Flow())
    right = network(data.x).argmax(1) == data.y
    # Alaifari et al. report 99.5 % on MNIST, at a mean of 1.1 pixels
    assert float(found.met[right].float().mean()) > 0.9
    assert float(found.size[found.met & right].mean()) < 1.1


def test_adef_is_smoother_and_fmn_shorter() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:40]")
    network = sp.zoo.load("fashion-standard")
    smooth, short = (sp.attacks.get(name)(network, data.x, data.y, sp.Flow()) for name in ("adef", "fmn"))
    both = smooth.met & short.met & (smooth.size > 0)
    assert int(both.sum()) > 25
    assert float(short.size[both].median()) < 0.7 * float(smooth.size[both].median())
    assert float(roughness(smooth.delta[both]).median()) < 0.5 * float(roughness(short.delta[both]).median())


def roughness(delta: torch.Tensor) -> torch.Tensor:
    """How much neighbors differ, of all there is."""
    apart = sum(delta.diff(dim=axis).square().flatten(1).sum(1) for axis in (2, 3))
    return torch.as_tensor(apart) / delta.square().flatten(1).sum(1)
