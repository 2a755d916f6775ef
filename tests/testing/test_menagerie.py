from __future__ import annotations

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.testing.menagerie import DISEASES, Compress, ResizeAndPad, WinnersTakeAll

SYMPTOMS = {
    "quantized": {"no-slope"},
    "compressed": {"no-slope"},
    "resized": {"random"},
    "dropping": {"random"},
    "distilled": {"saturated"},
    "one-hot": {"no-slope", "probabilities"},
    "squashing": {"squashed"},
    "hard": {"no-slope", "probabilities"},
    "rippled": {"shattered"},
    "winners": {"false-slopes"},
    "loop": {"no-slope"},
    "purified": {"no-slope", "optimizes"},
    "turned": {"false-slopes"},
}
"""What each must be found out by; attacks may find more."""
ATTACKS = ["pgd(steps=4)", "square(steps=2)"]
DATA = "fashion-mnist-1k[::25]"


@pytest.fixture(scope="module")
def data() -> sp.zoo.data.Data:
    return sp.zoo.data.load(DATA)


@pytest.mark.parametrize("base", ["fashion-pgd-linf", "fashion-standard"])
@pytest.mark.parametrize("name", DISEASES)
def test_every_disease_is_flagged(name: str, base: str, data: sp.zoo.data.Data) -> None:
    sick = DISEASES[name](sp.zoo.load(base)).eval()
    found = sp.audit(sick, data=data, threat=sp.Linf(0.1), attacks=ATTACKS, curve=None)
    assert found.verdict == "flagged"
    assert SYMPTOMS[name] <= {doubt.name for doubt in found.doubts}
    assert found.clean_accuracy > 0.5, "a defense nobody would use is no test"


@pytest.mark.parametrize("threat", [sp.Linf(0.1), sp.L2(1.5)], ids=str)
@pytest.mark.parametrize(
    "name", ["fashion-standard", "fashion-pgd-linf", "fashion-pgd-l2", "fashion-smooth", "fashion-fgsm"]
)
def test_no_healthy_network_is_flagged(name: str, threat: sp.Linf | sp.L2, data: sp.zoo.data.Data) -> None:
    found = sp.audit(sp.zoo.load(name), data=data, threat=threat, attacks=ATTACKS, curve=None)
    assert found.verdict == "sound", found.doubts


def test_a_single_step_and_a_black_box_beat_slopes_that_turn_round(data: sp.zoo.data.Data) -> None:
    """Whoever is led away from the boundary loses to a single step from the clean input, and to questions."""
    sick = DISEASES["turned"](sp.zoo.load("fashion-standard")).eval()
    found = sp.audit(sick, data=data, threat=sp.Linf(0.1), curve=None)
    assert {"one-step-better", "black-box"} <= {doubt.name for doubt in found.doubts}
    assert (
        found.robust_accuracy
        <= sp.audit(sp.zoo.load("fashion-standard"), data=data, threat=sp.Linf(0.1)).robust_accuracy
    )


def test_a_wave_before_a_robust_network_hides_nothing(data: sp.zoo.data.Data) -> None:
    """Slopes are led past the wave, which looks like its input: the number is that of the network behind it."""
    network = sp.zoo.load("fashion-pgd-linf")
    found = sp.audit(DISEASES["rippled"](network).eval(), data=data, threat=sp.Linf(0.1), plan="quick", curve=None)
    bare = sp.audit(network, data=data, threat=sp.Linf(0.1), plan="quick", curve=None)
    assert (found.verdict, bare.verdict) == ("flagged", "sound")
    (told,) = (doubt.found for doubt in found.doubts if doubt.name == "shattered")
    assert "slopes were led past module 0 as if it were not there" in told
    assert found.robust_accuracy <= bare.robust_accuracy + 1 / len(data.y)


def test_labels_are_asked_where_scores_say_no_more(data: sp.zoo.data.Data) -> None:
    """A hard decision must not look more robust than its labels alone let it."""
    sick = DISEASES["hard"](sp.zoo.load("fashion-standard")).eval()
    found = sp.audit(sick, data=data, threat=sp.Linf(0.1), plan="quick", curve=None)
    alone = sp.audit(sp.wrap(sick, access="labels"), data=data, threat=sp.Linf(0.1), plan="quick")
    assert found.robust_accuracy <= alone.robust_accuracy + 1 / len(data.y)
    assert found.robust_accuracy < 0.2


def test_the_winners_are_as_many_as_said() -> None:
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    kept = WinnersTakeAll(0.25)(x)
    assert (kept != 0).flatten(1).sum(1).tolist() == [5, 5, 5]
    assert torch.equal(kept[kept != 0], x[kept != 0])
    assert float(kept[kept != 0].min()) >= float(x.flatten(1).topk(5).values.min())


def test_compression_changes_little_and_a_second_time_nothing() -> None:
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    once = Compress(0.05)(x)
    assert 0 < float((once - x).abs().max()) < 0.2
    flat = torch.full((1, 1, 28, 28), 0.5)
    assert float((Compress(1e-4)(flat) - flat).abs().max()) < 1e-3


def test_resizing_draws_anew_each_time() -> None:
    x = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    seen = torch.stack([ResizeAndPad()(x) for _ in range(20)])
    assert seen.shape[1:] == x.shape
    assert len(torch.unique(seen.flatten(1), dim=0)) > 5


def test_a_disease_does_not_touch_the_network_it_is_given() -> None:
    network = sp.zoo.load("fashion-pgd-linf")
    before = [type(m) for m in network.modules()]
    for make in DISEASES.values():
        make(network)
    assert [type(m) for m in network.modules()] == before
    assert not any(isinstance(m, WinnersTakeAll) for m in network.modules())
    assert isinstance(network, nn.Module)
