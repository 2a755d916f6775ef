from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing.plan import make_plan
from saddlepoint.auditing.spec import Spec, check_same, key_of, make_spec, weights_digest
from saddlepoint.auditing.subject import prepare
from saddlepoint.errors import RunError

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def spec(network: Make, samples: Make) -> Callable[..., Spec]:
    def make(model: Any = None, threat: Any = None, attacks: Any = ("pgd",), **changes: Any) -> Spec:
        x, y = samples()
        asked = {"seed": 0, "piece_size": 9, "budget": None, "command": None, "batch_size": None} | changes
        x, y, seed = asked.pop("x", x), asked.pop("y", y), asked["seed"]
        described = {"name": asked.pop("name", None), "source": asked.pop("source", "")}
        model = network() if model is None else model
        subject = prepare(model, x, y, None, batch_size=asked.pop("batch_size"), seed=seed, **described)
        plan = make_plan(
            subject.model, subject.x, threat or sp.Linf(0.1), attacks, asked.pop("options", None), None, seed, None
        )
        return make_spec(subject, plan, **asked)

    return make


def test_a_spec_is_json_and_its_key_that_of_its_content(spec: Make) -> None:
    made = spec(threat=[sp.Linf(0.1), sp.L2(torch.linspace(0, 1, 40))])
    read = json.loads(json.dumps(made, allow_nan=False))
    assert read == made
    assert key_of(read) == made["key"]


def test_the_key_does_not_know_what_results_do_not_depend_on(spec: Make) -> None:
    first = spec()
    later = spec(name="other", source="elsewhere", command="saddlepoint audit", batch_size=3)
    later["created"], later["versions"]["torch"], later["model"]["device"] = "later", "3.0", "cuda:0"
    assert key_of(later) == first["key"]
    check_same(first, later, "here")


def swapped(network: nn.Module) -> nn.Module:
    layers = list(network.children())
    return nn.Sequential(layers[0], layers[1], nn.Sigmoid(), layers[3])


def nudged(network: nn.Module) -> nn.Module:
    network[1].weight.data[0, 0] += 1e-12  # type: ignore[index, operator]
    return network


def test_everything_else_changes_the_key_and_is_named(spec: Make, network: Make, samples: Make) -> None:
    x, y = samples()
    first = spec()
    others = {
        "seed: 0 → 1": spec(seed=1),
        "piece_size: 9 → 10": spec(piece_size=10),
        "budget: null → 50": spec(budget=50),
        'threats.0.label: "linf:0.1" → "linf:0.2"': spec(threat=sp.Linf(0.2)),
        "stages.1.options.steps: 40 → 7": spec(attacks=["pgd(steps=7)"]),
        'stages.2.name: (absent) → "02-apgd_ce"': spec(attacks=["pgd", "apgd_ce"]),
        "data.n: 40 → 39": spec(x=x[:39], y=y[:39]),
        "data.sha256:": spec(y=(y + 1) % 4),
        "model.sha256:": spec(nudged(network())),
        "model.structure:": spec(swapped(network())),
        "model.bounds.1: 1.0 → 2.0": spec(sp.wrap(network(), bounds=(0, 2))),
        "model.normalization": spec(sp.wrap(network(), mean=0.1)),
        "model.access": spec(sp.wrap(network(), access="scores"), attacks=["square"]),
    }
    assert len({other["key"] for other in others.values()} | {first["key"]}) == len(others) + 1
    for text, other in others.items():
        with pytest.raises(RunError) as caught:
            check_same(first, other, "runs/mine")
        assert text in str(caught.value)
        assert str(caught.value).startswith("runs/mine holds another run (")
        assert "give another folder, or the arguments it began with" in str(caught.value)
        assert len(str(caught.value)) < 400


def test_many_differences_are_counted(spec: Make) -> None:
    with pytest.raises(RunError, match=r", and \d+ more\)"):
        check_same(spec(threat=sp.Linf(torch.full((40,), 0.1))), spec(threat=sp.Linf(torch.full((40,), 0.2))), "here")


def test_another_schema_is_refused(spec: Make) -> None:
    old = {**spec(), "schema": 0}
    with pytest.raises(RunError, match="schema 0, this version of saddlepoint knows 3"):
        check_same(old, spec(), "here")


def score(x: Tensor, bias: float = 0.0) -> Tensor:
    return x.flatten(1)[:, :4] + bias


def test_a_plain_callable_is_named(spec: Make, samples: Make) -> None:
    x, _ = samples()
    y = score(x).argmax(1)
    assert spec(score, y=y)["model"]["sha256"] is None
    assert spec(score, y=y)["model"]["network"].endswith("test_spec.score")
    assert spec(partial(score, bias=1.0), y=y)["model"]["network"] == "functools.partial"


def test_the_digest_of_weights_sees_buffers_types_and_odd_tensors(network: Make) -> None:
    made = network()
    with_buffer = copy.deepcopy(made)
    with_buffer.register_buffer("flags", torch.tensor([True, False]))
    scalar = copy.deepcopy(made)
    scalar.register_buffer("scale", torch.tensor(2.0, dtype=torch.bfloat16))
    digests = [weights_digest(m) for m in (made, with_buffer, scalar, network(torch.float32), nn.Flatten())]
    assert len(set(digests)) == 5
    assert weights_digest(network()) == digests[0]


def test_a_run_tells_what_it_ran_with_and_on(quick: Make) -> None:
    told = quick().summary()
    assert {"saddlepoint", "torch", "numpy", "python"} <= set(told.versions)
    assert told.versions["torch"] == torch.__version__
    assert str(os.cpu_count()) in told.settings["machine"]
    assert told.settings["device"] == "cpu"


@pytest.mark.parametrize(("told", "named"), [("model name\t: Quick 9000\n", "Quick 9000"), ("", "of old")])
def test_a_run_names_the_processor(
    quick: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, named: str
) -> None:
    (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr("saddlepoint.auditing.spec.CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: "of old")
    assert quick().summary().settings["machine"].endswith(f", {named}")
