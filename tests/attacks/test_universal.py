"""One perturbation for all: known optimum, the single image, held-out images, other networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.errors import AccessError, DataError, OptionError, ThreatError
from saddlepoint.testing.problems import MLP, SHAPE

D = 24
W = torch.linspace(-1.0, 1.33, D, dtype=torch.float64).sin()
X = torch.rand(40, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.4 + 0.3


class Linear(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        value = (x - 0.5) @ W - 0.3
        return torch.stack([torch.zeros_like(value), value], 1)


@pytest.mark.parametrize(("method", "epochs"), [("sgd", 20), ("deepfool", 20), ("search", 600)])
@pytest.mark.parametrize("threat", [sp.Linf(0.2), sp.L2(0.9)])
def test_two_classes_of_a_linear_problem_share_the_best_perturbation(
    method: str, epochs: int, threat: sp.Linf | sp.L2
) -> None:
    """All inputs lie on one side: the way across is that of w."""
    net = Linear()
    x = X[net(X).argmax(1) == 0]
    assert len(x) > 25
    found = sp.universal(net, x, threat, method=method, epochs=epochs, relative_step=0.2)  # type: ignore[arg-type]
    best = 0.2 * W.sign() if isinstance(threat, sp.Linf) else 0.9 * W / W.norm()
    with torch.no_grad():
        most = int((net((x + best).clamp(0, 1)).argmax(1) == 1).sum())
    assert int(found.fooled.sum()) == most == len(x)
    assert found.size <= float(threat.radius) * (1 + 1e-6)
    assert found.delta.shape == (1, D)


def test_of_one_image_it_is_the_attack_on_that_image() -> None:
    net, data = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:4]")
    for x in data.x.split(1):
        found = sp.universal(net, x, sp.Linf(0.1), epochs=10)
        alone = sp.attacks.get("pgd")(net, x, net(x).argmax(1), sp.Linf(0.1), steps=10)
        assert bool(found.fooled) == bool(alone.met)


@pytest.mark.parametrize(("method", "epochs", "more"), [("sgd", 8, 0.15), ("deepfool", 3, 0.08), ("search", 300, 0.15)])
def test_images_it_was_not_made_from_are_fooled_as_well(method: str, epochs: int, more: float) -> None:
    """n = 300 held-out images: more of them than by random signs of the same size, 18 %."""
    net = sp.zoo.load("fashion-standard")
    made, held = (sp.zoo.data.load(f"fashion-mnist-1k[{part}]").x for part in (":100", "300:600"))
    found = sp.universal(net, made, sp.Linf(0.1), method=method, epochs=epochs)  # type: ignore[arg-type]
    rate = float(found.fools(net, held).double().mean())
    signs = 0.1 * torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)).sign()
    with torch.no_grad():
        noise = float((net((held + signs).clamp(0, 1)).argmax(1) != net(held).argmax(1)).double().mean())
    assert rate > noise + more
    assert torch.equal(found.apply(held), (held + found.delta).clamp(0, 1))
    assert float(found.delta.abs().max()) <= 0.1 + 1e-6


def test_a_target_is_reached_by_many() -> None:
    net, x = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:100]").x
    found = sp.universal(net, x, sp.Linf(0.2), target=8, epochs=15)
    with torch.no_grad():
        reached = net(found.apply(x)).argmax(1) == 8
        before = net(x).argmax(1) == 8
    assert torch.equal(found.fooled, reached & ~before)
    assert found.rate > 0.5


def test_a_search_finds_the_best_corner_from_scores_alone() -> None:
    """Of a linear problem that no perturbation solves for all: the corner of w, at which every value is largest."""
    found = sp.universal(sp.wrap(Linear(), access="scores"), X, sp.Linf(0.01), method="search", epochs=1500)
    assert int((found.delta[0].sign() == W.sign()).sum()) >= D - 1
    assert float(found.delta.abs().max()) == pytest.approx(0.01)
    assert (found.forwards, found.backwards) == (len(X) * (1 + 1500 + 1), 0)


def test_a_search_reaches_a_target_and_stops_when_it_is_enough() -> None:
    net, x = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:60]").x
    found = sp.universal(net, x, sp.Linf(0.2), method="search", target=8, epochs=400, enough=0.5)
    with torch.no_grad():
        assert torch.equal(found.fooled, (net(found.apply(x)).argmax(1) == 8) & (net(x).argmax(1) != 8))
    assert found.rate >= 0.5
    assert found.forwards < len(x) * 402


def test_questions_are_counted_and_the_seed_decides() -> None:
    net, x = Linear(), X
    one, two = (sp.universal(net, x, sp.Linf(0.1), epochs=3, seed=5) for _ in range(2))
    assert torch.equal(one.delta, two.delta)
    assert one.backwards == 3 * len(x)
    assert one.forwards == len(x) * (1 + 4 + 3 + 1), (
        "clean; a look before and after each epoch; the slopes; a last look"
    )


def test_what_does_not_fit_is_refused() -> None:
    net = Linear()
    with pytest.raises(ThreatError, match="one finite radius"):
        sp.universal(net, X, sp.Linf(torch.full((40,), 0.1)))
    with pytest.raises(OptionError, match="method is sgd, deepfool or search, got 'uap'"):
        sp.universal(net, X, sp.Linf(0.1), method="uap")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="with a target, take method='sgd'"):
        sp.universal(net, X, sp.Linf(0.1), method="deepfool", target=1)
    with pytest.raises(AccessError, match="method='search'"):
        sp.universal(sp.wrap(net, access="scores"), X, sp.Linf(0.1))
    with pytest.raises(AccessError, match="labels have no value"):
        sp.universal(sp.wrap(net, access="labels"), X, sp.Linf(0.1), method="search")
    with pytest.raises(DataError, match="target"):
        sp.universal(net, X, sp.Linf(0.1), target=7)


@pytest.mark.parametrize("threat", [sp.Nuclear(2.0), sp.Insertions(2.0)], ids=str)
def test_sets_in_which_clipping_makes_a_perturbation_larger_are_refused(threat: sp.Nuclear | sp.Insertions) -> None:
    with pytest.raises(ThreatError, match=f"may grow in {threat.name}"):
        sp.universal(MLP(seed=0), torch.rand(4, *SHAPE), threat)
