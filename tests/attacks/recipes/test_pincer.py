from __future__ import annotations

import pytest
import torch

import saddlepoint as sp
from saddlepoint.testing import LinearClassifier

SHAPE = (1, 6, 6)
X = 0.3 + 0.4 * torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("kind", "ample"), [(sp.Linf, 1.02), (sp.L2, 1.02), (sp.L1, 1.1)])
def test_breaks_what_can_be_broken_on_a_linear_model_and_nothing_else(kind: type[sp.Linf], ample: float) -> None:
    model = LinearClassifier.random(4, SHAPE, seed=3)
    y = model(X).argmax(1)
    closest = model.closest_in_box(X, y, kind())
    assert bool(sp.attacks.pincer(model, X, y, kind(ample * closest), search=50).met.all())
    held = sp.attacks.pincer(model, X, y, kind(0.98 * closest), search=50)
    assert not bool(held.met.any())


def test_search_goes_on_where_slopes_ended() -> None:
    data, model, threat = sp.zoo.data.load("fashion-mnist-1k[:60]"), sp.zoo.load("fashion-pgd-linf"), sp.Linf(0.1)
    alone, both = (
        sp.attacks.pincer(model, data.x, data.y, threat, steps=5, rounds=1, search=search) for search in (1, 100)
    )
    search = sp.attacks.square(model, data.x, data.y, threat, steps=100)
    assert bool((both.met | ~alone.met).all()), "the first leg draws the same"
    stand = ~both.met
    gained, ahead = ((both.value - other.value)[stand] for other in (alone, search))
    assert float((gained > 0).double().mean()) > 0.9
    assert float((ahead > 0).double().mean()) > 0.9
    assert bool((both.forwards[stand] == alone.forwards[stand] + 99).all())
