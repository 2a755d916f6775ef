"""Who has a linear oracle."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import L2, HasLMO, kinds, linear_oracle


class Everything:
    """A set without any geometry."""

    def rows(self, keep: Tensor) -> Everything:
        return self

    def zero(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def sample(self, x: Tensor, radius: Tensor, noise: Noise) -> Tensor:
        return self.zero(x)

    def apply(self, x: Tensor, delta: Tensor) -> Tensor:
        return x + delta

    def project(self, x: Tensor, delta: Tensor, radius: Tensor) -> Tensor:
        return delta

    def steepest(self, x: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def size(self, x: Tensor, delta: Tensor) -> Tensor:
        return delta.flatten(1)[:, 0]


def test_every_ball_has_one() -> None:
    assert all(isinstance(kind(), HasLMO) for kind in kinds().values())
    x, g, r = torch.rand(3, 4), torch.randn(3, 4), torch.ones(3)
    assert torch.equal(linear_oracle(L2())(x, g, r), L2().lmo(x, g, r))


def test_a_set_without_one_is_refused_by_name() -> None:
    with pytest.raises(ThreatError, match="Everything has no linear oracle"):
        linear_oracle(Everything())
