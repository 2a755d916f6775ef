"""Words put in: the fewest for a line, near the fewest for others, and toward where good mails lie."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp


def line(seed: int, d: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(d, 2).requires_grad_(False)


def mails(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, (n, d), generator=torch.Generator().manual_seed(seed)).float()


@pytest.mark.parametrize("name", ["insert", "try_insertions"])
def test_no_fewer_words_get_a_mail_past_a_line(name: str) -> None:
    network, x = line(0, 30), mails(40, 30)
    y = network(x).argmax(1)
    options = {"places": 30} if name == "try_insertions" else {}
    found = sp.attacks.get(name)(network, x, y, sp.Insertions(), **options)
    logits = network(x)
    over = logits.gather(1, y[:, None])[:, 0] - logits.gather(1, 1 - y[:, None])[:, 0]
    weight = (network.weight[1] - network.weight[0]) * (1 - 2 * y[:, None])
    gains = (weight * (x == 0)).clamp_min(0).sort(1, descending=True).values.cumsum(1)
    can = gains[:, -1] > over
    fewest = (gains <= over[:, None]).sum(1) + 1
    assert torch.equal(found.met, can)
    assert torch.equal(found.size[can], fewest[can].float())
    assert bool(((found.x_adv == x) | (x == 0)).all())


def test_exchanges_find_what_greed_misses() -> None:
    """Two words that only work together, and one that seems better at first."""
    weight = torch.tensor([1.0, 0.9, 0.9])

    class Pair(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            score = (x * weight).sum(1) + 2 * x[:, 1] * x[:, 2] - 3
            return torch.stack([torch.zeros_like(score), score], 1)

    x, y = torch.zeros(1, 3), torch.tensor([0])
    best = max(float(Pair()(torch.tensor([w], dtype=torch.float32))[0, 1]) for w in itertools.product((0, 1), repeat=3))
    assert best > 0
    found = sp.attacks.insert(Pair(), x, y, sp.Insertions(2.0))
    assert bool(found.met)
    assert found.delta.tolist() == [[0, 1, 1]]


def test_density_leads_out_of_where_slopes_vanish() -> None:
    """A score that is flat but near the good ones: Biggio et al.'s reason for the density."""

    class Island(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            score = 6 * torch.exp(-20 * (x - 0.8).square().sum(1)) - 1
            return torch.stack([score, -score], 1)

    good = 0.8 + 0.02 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    x, y = torch.full((1, 2), 0.02), torch.tensor([1])
    lost = sp.attacks.mimicry(Island(), x, y, sp.L2(1.2))
    led = sp.attacks.mimicry(Island(), x, y, sp.L2(1.2), benign=good, width=0.5, relative_step=0.05)
    assert bool(led.met)
    assert float(led.value) > float(lost.value)
    assert float((led.x_adv - good.mean(0)).norm()) < 0.1


def test_a_line_is_passed_as_far_as_the_ball_allows() -> None:
    network, x = line(1, 6), torch.full((5, 6), 0.5)
    y = network(x).argmax(1)
    found = sp.attacks.mimicry(network, x, y, sp.L2(0.3))
    weight = (network.weight[1] - network.weight[0]) * (1 - 2 * y[:, None])
    torch.testing.assert_close(found.delta, 0.3 * weight / weight.norm(dim=1, keepdim=True), atol=1e-4, rtol=1e-4)


def test_in_l1_a_line_is_passed_by_filling_the_steepest_entries() -> None:
    """One entry is soon at the bound of the box: the best corner of ball and box has many."""
    network, x = line(1, 30), torch.full((5, 30), 0.9)
    y = network(x).argmax(1)
    threat = sp.L1(1.5)
    found = sp.attacks.mimicry(network, x, y, threat)
    weight = (network.weight[1] - network.weight[0]) * (1 - 2 * y[:, None])
    best = threat.lmo(x, weight, torch.full((5,), 1.5))
    assert int((best != 0).sum(1).min()) > 1
    torch.testing.assert_close(found.delta, best, atol=1e-3, rtol=0)


def test_an_audit_counts_words() -> None:
    network, x = line(0, 30), mails(40, 30)
    y = network(x).argmax(1)
    one = sp.audit(network, x, y, threat=sp.Insertions(3.0))
    alone = sp.attacks.insert(network, x, y, sp.Insertions(3.0))
    assert one.summary().threats[0].robust.correct == int((~alone.met).sum())
    assert one.verify().ok
