"""Another class within the radius, unnoticed: closed forms, and digits that become others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.attacks.invariance import Neighbors, invariance
from saddlepoint.errors import DataError, OptionError, ThreatError

KNOWN = torch.tensor([[0.0, 0.0], [0.1, 0.0], [1.0, 1.0], [0.9, 1.0]])
LABELS = torch.tensor([0, 0, 1, 1])


class Blunt(nn.Module):
    """Class 1 where the sum of the entries is above ``at``."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def forward(self, x: Tensor) -> Tensor:
        value = x.flatten(1).sum(1) - self.at
        return torch.stack([-value, value], 1)


def upper(x: Tensor) -> Tensor:
    return (x.flatten(1).sum(1) > 1).long()


def test_the_change_is_the_projection_of_the_way_to_the_example() -> None:
    x, y = torch.tensor([[0.1, 0.3]]), torch.tensor([0])
    seen = invariance(Blunt(1.9), x, y, sp.Linf(0.5), KNOWN, LABELS, upper, candidates=1, shift=0)
    torch.testing.assert_close(seen.x_adv, torch.tensor([[0.6, 0.8]]))  # of (0.9, 1)
    assert seen.met.tolist() == [True]
    assert seen.becomes.tolist() == [1]
    few = invariance(Blunt(1.9), x, y, sp.L0(1.0), KNOWN, LABELS, upper, candidates=1, shift=0)
    torch.testing.assert_close(few.x_adv, torch.tensor([[0.9, 0.3]]))
    assert few.size.tolist() == [1.0]


def test_only_what_the_network_overlooks_and_the_oracle_sees_counts() -> None:
    x, y = torch.tensor([[0.1, 0.2]] * 2), torch.tensor([0, 1])
    for net, radius, met in ((Blunt(1.9), 0.5, True), (Blunt(1.0), 0.5, False), (Blunt(1.9), 0.2, False)):
        seen = invariance(net, x, y, sp.Linf(radius), KNOWN, LABELS, upper, candidates=1, shift=0)
        assert seen.met.tolist() == [met, False]
        assert seen.asked.tolist() == [True, False]  # the second was misread from the start
        assert seen.rate == float(met)


def test_more_candidates_find_no_less() -> None:
    x, y = 0.4 * torch.rand(50, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(50, dtype=torch.long)
    known = torch.rand(40, 2, generator=torch.Generator().manual_seed(1))
    few, many = (
        invariance(Blunt(1.1), x, y, sp.Linf(0.45), known, upper(known), upper, candidates=k, shift=0) for k in (1, 20)
    )
    assert bool((many.met | ~few.met).all())
    assert int(many.met.sum()) > int(few.met.sum())


def test_examples_are_tried_in_other_positions() -> None:
    other = torch.zeros(1, 1, 5, 5)
    other[0, 0, 2, 3] = 1
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 0.9

    def says(x: Tensor) -> Tensor:
        return (x[:, 0, 2, 2] > 0.95).long()

    pool, labels = torch.cat([x, other]), torch.tensor([0, 1])
    blind, y = Blunt(5.0), torch.tensor([0])
    found = [invariance(blind, x, y, sp.Linf(0.2), pool, labels, says, candidates=1, shift=k).met for k in (0, 1)]
    assert [one.tolist() for one in found] == [[False], [True]]


def test_neighbors_vote() -> None:
    near = Neighbors(torch.tensor([[0.0], [0.1], [0.2], [1.0]]), torch.tensor([0, 1, 1, 2]), k=3)
    assert near(torch.tensor([[0.0], [0.9]])).tolist() == [1, 1]
    assert Neighbors(near.examples, near.labels, k=1)(torch.tensor([[0.0], [0.9]])).tolist() == [0, 2]


def test_digits_become_others_before_a_network_that_looks_away() -> None:
    """A network with small slopes overlooks more than one with large ones. n = 150."""
    pytest.importorskip("sklearn")
    data = sp.zoo.data.load("digits")
    known, labels, x, y = data.x[:600], data.y[:600], data.x[1200:1350], data.y[1200:1350]
    oracle = Neighbors(known, labels)
    torch.manual_seed(0)
    sharp, dull = (nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)) for _ in range(2))
    for net, radius in ((sharp, 0.0), (dull, 0.3)):
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(60):
            at = sp.attacks.pgd(net, known, labels, sp.Linf(radius), steps=2).x_adv if radius else known
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(at), labels).backward()
            optimizer.step()
    seen = [invariance(net, x, y, sp.Linf(0.4), known, labels, oracle) for net in (sharp, dull)]
    assert all(bool((one.size <= 0.4 + 1e-6).all()) for one in seen)
    assert all(int(one.asked.sum()) > 75 for one in seen)
    for net, one in zip((sharp, dull), seen, strict=True):
        rows = one.met.nonzero().squeeze(1)
        assert torch.equal(net(one.x_adv[rows]).argmax(1), y[rows])
        assert torch.equal(oracle(one.x_adv[rows]), one.becomes[rows])
        assert bool((one.becomes[rows] != y[rows]).all())
    assert seen[1].rate > seen[0].rate + 0.05


def test_what_makes_no_sense_is_refused() -> None:
    x, y = torch.tensor([[0.1, 0.2]]), torch.tensor([0])
    with pytest.raises(ThreatError, match="a ball with a finite radius"):
        invariance(Blunt(1), x, y, sp.Linf(), KNOWN, LABELS, upper, shift=0)
    with pytest.raises(DataError, match="say shift=0"):
        invariance(Blunt(1), x, y, sp.Linf(0.5), KNOWN, LABELS, upper)
    with pytest.raises(DataError, match="no examples of another class"):
        invariance(Blunt(1), x, y, sp.Linf(0.5), KNOWN[:2], LABELS[:2], upper, shift=0)
    with pytest.raises(OptionError, match="candidates must be at least 1"):
        invariance(Blunt(1), x, y, sp.Linf(0.5), KNOWN, LABELS, upper, candidates=0, shift=0)
