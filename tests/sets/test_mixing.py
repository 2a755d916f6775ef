"""Styles mixed from those of others: slow waves, where mixtures are sums, and a painter's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.errors import ThreatError
from saddlepoint.sets import Latent, Mixing, Waves

N = 10
GENERATOR = torch.Generator().manual_seed(0)
X, OTHERS = (torch.rand(n, 1, 4, 4, generator=GENERATOR, dtype=torch.float64) for n in (N, 7))
WEIGHTS = torch.randn(2, 16, generator=GENERATOR, dtype=torch.float64)
WAVES = Waves(4)
"""All the waves there are: a mixture of codes is a mixture of pictures."""
MIXING = Mixing("others", WAVES, WAVES.encode(OTHERS))


class Linear(nn.Module):
    """Logits W x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ WEIGHTS.to(x.dtype).T


Y = Linear()(X).argmax(1)


def margin(x: Tensor) -> Tensor:
    """By how much the other label wins."""
    return (2 * Y - 1) * (Linear()(x)[:, 0] - Linear()(x)[:, 1])


def threat(radius: float = 1.0) -> Latent:
    return Latent(radius, generator=MIXING, form="painted", shape="simplex")


def test_mixtures_of_waves_are_mixtures_of_pictures() -> None:
    weights = torch.rand(N, 7, generator=GENERATOR, dtype=torch.float64) / 7
    expected = (1 - weights.sum(1)).view(-1, 1, 1, 1) * X + torch.einsum("nk,kchw->nchw", weights, OTHERS)
    torch.testing.assert_close(threat().apply(X, weights), expected)
    torch.testing.assert_close(threat().apply(X, threat().zero(X)), X)


@pytest.mark.parametrize("radius", [0.2, 0.5])
def test_the_worst_mixture_of_a_linear_model_is_one_other_style(radius: float) -> None:
    pictures = (1 - radius) * X[None] + radius * OTHERS[:, None]  # [7, N, 1, 4, 4]
    clean, worst = margin(X), torch.stack([margin(X), *map(margin, pictures)]).amax(0)
    for name, options in (("pgd", {}), ("frank_wolfe", {"steps": 200}), ("worst_of", {"k": 80})):
        found = sp.attacks.get(name)(Linear(), X, Y, threat(radius), **options)
        assert torch.equal(found.met, worst > 0), name
        standing = ~found.met & (worst > clean)
        short = (worst - margin(found.x_adv))[standing] / (worst - clean)[standing]
        assert len(short), name
        assert -1e-6 < float(short.min()) <= float(short.max()) < 0.05, name


def test_what_belongs_to_the_content_stays() -> None:
    some = Mixing("some", WAVES, WAVES.encode(OTHERS), content=5)
    code = WAVES.encode(some.decode(X, torch.eye(7, dtype=torch.float64)[:1].expand(N, 7)))
    torch.testing.assert_close(code[:, :5], WAVES.encode(X)[:, :5])
    torch.testing.assert_close(code[:, 5:], WAVES.encode(OTHERS[:1])[:, 5:].expand(N, -1))


def test_styles_that_are_none_are_refused() -> None:
    with pytest.raises(ThreatError, match=r"styles are codes \[k, w\] of other examples, got the shape \[16\]"):
        Mixing("one", WAVES, torch.zeros(16))
    with pytest.raises(ThreatError, match=r"content is how many of the 16 numbers of a code stay.*got 16"):
        Mixing("all", WAVES, torch.zeros(3, 16), content=16)


def test_a_painter_keeps_the_class_and_the_adversary_beats_chance() -> None:
    """Gowal et al., CVPR 2020: mixing at random costs less than mixing against the network."""
    data = sp.zoo.data.load("fashion-mnist-1k[:60]")
    styles = sp.zoo.generator("fashion-styles")
    assert isinstance(styles, Mixing)
    painter, network = styles.generator, sp.zoo.load("fashion-pgd-linf")
    set_ = Latent(0.5, generator=styles, form="painted", shape="simplex")
    drawn, worst, climbed = (
        sp.attacks.get(name)(network, data.x, data.y, set_, **options)
        for name, options in (("worst_of", {"k": 1}), ("worst_of", {"k": 10}), ("pgd", {"steps": 20}))
    )
    loss = [nn.functional.cross_entropy(network(one.x_adv), data.y) for one in (drawn, worst, climbed)]
    assert loss[0] < loss[1]
    assert loss[0] < loss[2]
    assert bool((worst.value >= drawn.value)[~worst.met].all())
    own = painter.classes(data.x)  # type: ignore[attr-defined]
    moved = set_.apply(data.x, drawn.delta)
    assert float((painter.classes(moved) == own).double().mean()) > 0.8  # type: ignore[attr-defined]
