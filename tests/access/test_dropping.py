"""Drop-out inside a network: unbiased, of the given rate, drawn for each sample, and gone afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.access.dropping import droppable, dropping
from saddlepoint.errors import ModelError
from saddlepoint.noise import Noise

N = 5
NOISE = Noise.seeded(3, torch.arange(N))
X = torch.rand(N, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1


class Twice(nn.Module):
    """One activation that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.act(x))


def test_entries_are_zero_at_the_rate_and_the_mean_is_kept() -> None:
    with dropping(nn.Sequential(nn.Identity(), network := nn.ReLU()), 0.3, NOISE):
        kept = network(X) / X
    assert set(kept.flatten().tolist()) <= {0.0, *(kept[kept > 0]).tolist()}
    torch.testing.assert_close(kept[kept > 0], torch.full_like(kept[kept > 0], 1 / 0.7))
    assert abs(float((kept == 0).double().mean()) - 0.3) < 4 * (0.21 / kept.numel()) ** 0.5
    assert abs(float(kept.mean()) - 1) < 4 * (0.3 / 0.7 / kept.numel()) ** 0.5


def test_each_call_of_a_module_is_thinned_anew() -> None:
    with dropping(network := Twice(), 0.5, NOISE):
        kept = float((network(X) > 0).double().mean())
    assert abs(kept - 0.25) < 4 * (0.25 * 0.75 / X.numel()) ** 0.5


def test_what_is_dropped_belongs_to_the_sample() -> None:
    keep = torch.tensor([3, 1])
    network = nn.ReLU()
    with dropping(nn.Sequential(network), 0.5, NOISE):
        whole = network(X)
    with dropping(nn.Sequential(network), 0.5, NOISE.rows(keep)):
        assert torch.equal(network(X[keep]), whole[keep])
    assert not torch.equal(whole[0] > 0, whole[1] > 0)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_afterwards_and_at_a_rate_of_0_the_network_is_itself(rate: float) -> None:
    network = nn.Sequential(nn.ReLU())
    with dropping(network, rate, NOISE):
        assert torch.equal(network(X), X) == (rate == 0)
    assert torch.equal(network(X), X)


def test_only_activations_are_thinned() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Sequential(nn.BatchNorm1d(2), nn.SiLU()))
    assert droppable(network) == ["1", "2.1"]
    assert droppable(lambda x: x) == []


def test_rows_that_are_no_samples_are_refused() -> None:
    network = nn.Sequential(nn.Flatten(0), nn.ReLU())
    with dropping(network, 0.5, NOISE), pytest.raises(ModelError, match="one row for each"):
        network(X)
