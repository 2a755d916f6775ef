"""Tables from source to target."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing import TransferTable
from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.testing.problems import MLP, SHAPE

X = torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Leaning(nn.Module):
    """Much like the network of seed 0."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.most, self.rest = MLP(seed=0), MLP(seed=seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.most(x) + 0.4 * self.rest(x)


NETS: dict[str, nn.Module] = {"a": MLP(seed=0), "b": Leaning(1), "c": Leaning(2)}
Y = NETS["a"](X).argmax(1)
THREAT = sp.Linf(0.1)


def agreed() -> torch.Tensor:
    return (NETS["b"](X).argmax(1) == Y) & (NETS["c"](X).argmax(1) == Y)


@pytest.fixture(scope="module")
def made() -> TransferTable:
    return sp.transfer(NETS, X, Y, threat=THREAT, attacks=["fgsm", "mi_fgsm(steps=5)"])


def test_only_samples_that_all_get_right_count(made: TransferTable) -> None:
    assert (made.n, made.asked) == (int(agreed().sum()), 40)
    assert 0 < made.n < 40
    assert {one.fooled.n for one in made.crossings} == {made.n}


def test_each_rate_is_what_the_attack_crafted_there_does_here(made: TransferTable) -> None:
    """One step has no stop to go past: the table is FGSM on one network, asked of another."""
    x, y = X[agreed()], Y[agreed()]
    for source, network in NETS.items():
        x_adv = sp.attacks.get("fgsm")(network, x, y, THREAT).x_adv
        for target, other in NETS.items():
            fooled = int((other(x_adv).argmax(1) != y).sum())
            assert made.rate("fgsm", source, target).correct == fooled


def test_the_forms_of_a_table_agree(made: TransferTable) -> None:
    assert made.attacks == ("fgsm", "mi_fgsm(steps=5)")
    assert made.sources == made.models == ("a", "b", "c")
    first = made.rows()[0]
    rates = [made.rate("fgsm", "a", name).value for name in NETS]
    assert first == ("fgsm", "a", *(f"{100 * rate:.1f}" for rate in rates), f"{50 * (rates[1] + rates[2]):.1f}")
    assert made.mean("fgsm", "a") == pytest.approx((rates[1] + rates[2]) / 2)
    assert len(made.markdown().splitlines()) == 4 + 6
    kept = json.loads(made.json())
    assert kept["crossings"][0]["fooled"]["correct"] == made.crossings[0].fooled.correct


def test_the_table_does_not_depend_on_batches(made: TransferTable) -> None:
    other = sp.transfer(NETS, X, Y, threat=THREAT, attacks=["fgsm", "mi_fgsm(steps=5)"], batch_size=7)
    assert other.crossings == made.crossings


def test_a_model_without_gradients_is_a_target_only() -> None:
    nets = {"a": NETS["a"], "b": sp.wrap(NETS["b"], access="labels", output="logits")}
    made = sp.transfer(nets, X, Y, threat=THREAT, attacks=["fgsm"])
    assert made.sources == ("a",)
    with pytest.raises(OptionError, match="b gives gradients: attacks are crafted on one that does"):
        sp.transfer(nets, X, Y, threat=THREAT, attacks=["fgsm"], sources=["b"])


def test_a_radius_for_each_sample_goes_with_it() -> None:
    radius = torch.where(torch.arange(40) % 2 == 0, 0.0, 0.3).double()
    made = sp.transfer({"a": NETS["a"], "b": NETS["b"]}, X, Y, threat=sp.Linf(radius), attacks=["fgsm"])
    right = NETS["b"](X).argmax(1) == Y
    assert made.rate("fgsm", "a", "a").correct <= int((right & (radius > 0)).sum())
    assert made.rate("fgsm", "a", "a").correct > 0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="there is no model"):
        sp.transfer({}, X, Y, threat=THREAT)
    with pytest.raises(OptionError, match="no model is called 'z' here; known: a, b, c"):
        sp.transfer(NETS, X, Y, threat=THREAT, sources=["z"])
    with pytest.raises(ModelError, match="few knows 3 classes, the model 4"):
        sp.transfer({"a": NETS["a"], "few": MLP(3)}, X, Y, threat=THREAT)
    with pytest.raises(DataError, match="none of 40 samples is classified rightly by all of a, b"):
        sp.transfer({"a": NETS["a"], "b": NETS["b"]}, X, (Y + 1) % 4, threat=THREAT)
    with pytest.raises(OptionError, match="no attack 'mifgsm'"):
        sp.transfer(NETS, X, Y, threat=THREAT, attacks=["mifgsm"])


def test_tuned_variance_carries_further_from_a_masked_source() -> None:
    """Single-step training leaves slopes that mislead nearby; those of neighbors do not. n = 300."""
    data = sp.zoo.data.load("fashion-mnist-1k[:300]")
    nets = {name: sp.zoo.load(f"fashion-{name}") for name in ("fgsm", "standard")}
    attacks = ["mi_fgsm", "vmi_fgsm(neighbors=5)"]
    made = sp.transfer(nets, data=data, threat=THREAT, attacks=attacks, sources=["fgsm"])
    plain, tuned = (made.rate(attack, "fgsm", "standard") for attack in attacks)
    assert tuned.low > plain.high


def test_the_scale_of_the_logits_of_a_source_does_not_matter() -> None:
    """Cross-entropy sees other classes at another scale: the logits are brought to an ordinary one, as in an attack."""
    x, y = X[agreed()], Y[agreed()]
    found = []
    for scale in (1.0, 1e-4):
        source = nn.Sequential(NETS["a"], Scaled(scale))
        made = sp.transfer({"a": source, "b": NETS["b"]}, x, y, threat=sp.Linf(0.05), attacks=["fgsm"], sources=["a"])
        found.append([made.rate("fgsm", "a", target).correct for target in ("a", "b")])
    assert found[0] == found[1]


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x
