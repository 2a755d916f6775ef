from __future__ import annotations

import pytest
import torch

from saddlepoint.errors import ThreatError
from saddlepoint.sets import L0, L1, L2, Linf
from saddlepoint.sets.room import room


@pytest.mark.parametrize("kind", [Linf, L2, L1, L0])
def test_balls_bound_the_entries(kind: type[L2]) -> None:
    x = torch.rand(2, 3)
    low, high = room(kind())(x)
    assert torch.equal(low, -x)
    assert torch.equal(high, 1 - x)


def test_other_sets_are_refused_by_name() -> None:
    class Flow:
        pass

    with pytest.raises(ThreatError, match="Flow does not bound the entries"):
        room(Flow())  # type: ignore[arg-type]
