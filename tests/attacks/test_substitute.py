"""Stand-ins learned from labels: they come to agree with the target within the budget; what fools them transfers."""

import pytest
import torch
from scipy.stats import binomtest
from torch import nn

import saddlepoint as sp
from saddlepoint.attacks.substitute import _moved, learn_substitute
from saddlepoint.errors import DataError, OptionError


@pytest.fixture(scope="module")
def learned():
    """From 150 images and 1200 labels of a network, with 300 images held out."""
    target = sp.wrap(sp.zoo.load("fashion-pgd-linf"), access="labels")
    data = sp.zoo.data.load("fashion-mnist-1k")
    return target, data, learn_substitute(target, data.x[:150], budget=1200, rounds=6, members=2, held_out=data.x[700:])


def test_agreement_grows_with_the_labels_asked_for(learned):
    _, _, substitute = learned
    assert substitute.queries == (150, 300, 600, 1200)
    assert substitute.agreement[-1] > substitute.agreement[0] + 0.03
    assert binomtest(round(300 * substitute.agreement[-1]), 300).proportion_ci().low > 0.6


def test_what_fools_the_stand_in_fools_the_target_more_than_noise_does(learned):
    target, data, substitute = learned
    x = data.x[300:500]
    y = target(x).argmax(1)
    threat = sp.Linf(0.2)
    crafted = sp.attacks.pgd(substitute.model, x, sp.untargeted(y, confidence=50.0), threat, steps=20).x_adv
    noise = (x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).sign()).clamp(0, 1)
    fooled, by_noise = (int((target(z).argmax(1) != y).sum()) for z in (crafted, noise))
    assert binomtest(fooled, 200).proportion_ci().low > binomtest(by_noise, 200).proportion_ci().high


def test_only_labels_are_asked_for_and_no_more_than_the_budget():
    asked = []

    def labels(x):
        asked.append(len(x))
        assert not x.requires_grad
        return (x.flatten(1).sum(1) > 8).long()

    target = sp.wrap(labels, output="labels", classes=2)
    x = torch.rand(40, 16, generator=torch.Generator().manual_seed(0))
    substitute = learn_substitute(target, x, budget=100, rounds=3, epochs=3)
    assert sum(asked) == 100
    assert substitute.queries == (40, 80, 100)
    assert substitute.agreement == ()
    assert substitute.model.kind.kind == "gradients"


def test_a_half_space_is_learned():
    normal = torch.tensor([1.0, -2.0, 0.5, 1.5])
    target = sp.wrap(lambda x: ((x - 0.5) @ normal > 0).long(), output="labels", classes=2)
    x = torch.rand(100, 4, generator=torch.Generator().manual_seed(0))
    apart = torch.rand(500, 4, generator=torch.Generator().manual_seed(1))
    found = learn_substitute(
        target, x, budget=800, rounds=4, epochs=60, members=2, held_out=apart, build=lambda k: nn.Linear(4, k)
    )
    assert found.agreement[-1] > 0.97
    assert len(found.model.network.members) == 2
    for scale, linear in found.model.network.members:
        weight = (linear.weight[1] - linear.weight[0]) / scale.deviation.flatten()
        assert float(nn.functional.cosine_similarity(weight, normal, 0)) > 0.98


def test_images_are_moved_while_it_trains_and_stay_whole():
    x = torch.arange(2 * 3 * 8 * 9.0).reshape(2, 3, 8, 9)
    places = set()
    for seed in range(40):
        moved = _moved(x, 1, torch.Generator().manual_seed(seed))
        assert moved.shape == x.shape
        for before, after in zip(x, moved, strict=True):
            down, right = divmod(int(after[0, 4, 4] - before[0, 4, 4]) + 1, 9)
            right -= 1
            inside = before[:, 1 + down : 7 + down, 1 + right : 8 + right]
            assert torch.equal(after[:, 1:-1, 1:-1], inside)
            places.add((down, right))
    assert places == {(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)}
    assert _moved(x, 0, torch.Generator()) is x


def test_the_same_seed_learns_the_same():
    target = sp.wrap(lambda x: (x.sum(1) > 2).long(), output="labels", classes=2)
    x = torch.rand(40, 4, generator=torch.Generator().manual_seed(0))
    one, two, other = (learn_substitute(target, x, budget=60, rounds=2, epochs=2, seed=s).model(x) for s in (0, 0, 1))
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert not torch.equal(one, other)


def test_what_cannot_be_learned_from_is_told():
    target = sp.wrap(lambda x: torch.zeros(len(x), dtype=torch.long), output="labels", classes=2)
    with pytest.raises(DataError, match="all 5 seeds one label"):
        learn_substitute(target, torch.rand(5, 4))
    for option in ("budget", "rounds", "epochs", "members"):
        with pytest.raises(OptionError, match=f"{option} must be at least 1, got 0"):
            learn_substitute(target, torch.rand(5, 4), **{option: 0})
    with pytest.raises(OptionError, match=r"step must be above 0 and shift not below, got 0\.1 and -1"):
        learn_substitute(target, torch.rand(5, 4), shift=-1)
