from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access.stand_ins import identity
from saddlepoint.auditing.diagnosis import DRAWS, SAMPLES, Diagnosis, diagnose
from saddlepoint.auditing.subject import Subject, prepare
from saddlepoint.testing.menagerie import Compress, Loop, Quantize
from saddlepoint.testing.problems import MLP, SHAPE, Map, stochastic

X = torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def subject(network: nn.Module, **how: object) -> Subject:
    model = sp.wrap(network, **how)  # type: ignore[arg-type]
    y = torch.zeros(len(X), dtype=torch.long)
    return prepare(model, X, y, None, batch_size=None, seed=0, name=None, source="")


def told(network: nn.Module, **how: object) -> Diagnosis:
    return diagnose(subject(network, **how), sp.Linf(0.1), 0)


def test_a_healthy_network_is_left_alone() -> None:
    seen = told(MLP(seed=0))
    assert (seen.draws, seen.smooth_rounding, seen.stand_ins) == (1, False, ())
    assert not seen.random
    assert not seen.misleading
    assert seen.slopes == seen.repaired
    assert seen.answers.samples == SAMPLES


def test_what_is_done_is_said() -> None:
    assert told(MLP(seed=0)).notices() == []
    assert told(stochastic(MLP(seed=0))).notices() == ["the model is random: every answer is the mean of 20 forwards"]
    rounded, cut = (told(nn.Sequential(kind, MLP(seed=0))).notices() for kind in (Quantize(4), Cut()))
    assert "past rounding" in rounded[0]
    assert "past module 0" in cut[0]
    assert "slopes mislead" in rounded[1]


def test_it_survives_json() -> None:
    for network in (MLP(seed=0), nn.Sequential(Quantize(4), MLP(seed=0))):
        seen = told(network)
        assert Diagnosis.from_dict(json.loads(json.dumps(seen.to_dict()))) == seen


def test_without_gradients_only_answers_are_looked_at() -> None:
    seen = told(nn.Sequential(Quantize(4), MLP(seed=0)), access="scores")
    assert seen.slopes is seen.repaired is None
    assert not seen.misleading


def test_a_random_model_is_asked_many_times() -> None:
    seen = told(stochastic(MLP(seed=0)))
    assert seen.random
    assert seen.draws == DRAWS
    assert told(stochastic(MLP(seed=0)), draws=50).draws == 50


def test_slopes_are_led_past_rounding() -> None:
    seen = told(nn.Sequential(Quantize(4), MLP(seed=0)))
    assert seen.misleading
    assert (seen.smooth_rounding, seen.stand_ins) == (True, ())
    assert seen.slopes is not None
    assert seen.repaired is not None
    assert (seen.slopes.useless, seen.repaired.useless) == (SAMPLES, 0)


class Cut(nn.Module):
    """x, cut off from its past."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach().clone()


def test_slopes_are_led_past_each_module_that_blocks_them() -> None:
    inner = nn.Sequential(nn.Identity(), Cut())
    network = nn.Sequential(inner, Map(lambda x: x * 2 - 0.5), Cut(), MLP(seed=0))
    seen = told(network)
    assert set(seen.stand_ins) == {"0.1", "2"}
    assert not seen.smooth_rounding
    assert seen.repaired is not None
    assert seen.repaired.useless == 0


def test_where_nothing_helps_nothing_is_done() -> None:
    seen = told(Map(lambda x: MLP(seed=0)(x.detach())))
    assert seen.misleading
    assert (seen.smooth_rounding, seen.stand_ins) == (False, ())
    assert seen.repaired is not None
    assert seen.repaired.absent == SAMPLES


@pytest.mark.parametrize("network", [nn.Sequential(Cut(), MLP(seed=0)), stochastic(MLP(seed=0)), MLP(seed=0)])
def test_the_model_is_left_as_it_was_and_adapts_on_request(network: nn.Module) -> None:
    whole = subject(network)
    before = whole.model.draws, whole.model.smooth_rounding, dict(whole.model.stand_ins), whole.model.batch_size
    seen = diagnose(whole, sp.Linf(0.1), 0)
    model = whole.model
    assert (model.draws, model.smooth_rounding, model.stand_ins, model.batch_size) == before
    seen.adapt(model)
    assert model.draws == seen.draws
    assert model.stand_ins == dict.fromkeys(seen.stand_ins, identity)


def test_a_seed_gives_the_same_diagnosis() -> None:
    one, two = (told(stochastic(MLP(seed=0))).to_dict() for _ in range(2))
    assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_modules_of_images_are_found() -> None:
    x = torch.rand(4, 1, 28, 28)
    net = sp.zoo.models.load("fashion-pgd-linf")
    for cause in (Compress(), Loop()):
        network = nn.Sequential(cause, net).eval()
        data = prepare(network, x, net(x).argmax(1), None, batch_size=None, seed=0, name=None, source="")
        seen = diagnose(data, sp.Linf(0.1), 0)
        assert seen.misleading
        assert seen.stand_ins == ("0",)
        assert torch.equal(net(cause(x)), network(x))
