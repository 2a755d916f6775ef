from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from saddlepoint.auditing import Audit, Estimate
from saddlepoint.errors import RunError, ThreatError

Make = Callable[..., Any]


def test_the_headline_is_that_of_the_records(whole: Audit) -> None:
    rows = whole.records.to_pylist()
    wrong = {r["sample"] for r in rows if r["attack"] == "clean" and r["met"]}
    broken = wrong | {r["sample"] for r in rows if r["met"]}
    assert whole.clean_accuracy == (40 - len(wrong)) / 40 == 34 / 40
    assert whole.robust_accuracy == (40 - len(broken)) / 40
    assert 0 < len(broken) - len(wrong) < 34
    assert whole.interval == Estimate.of(40 - len(broken), 40).interval
    for name, threat in whole.by_threat.items():
        under = wrong | {r["sample"] for r in rows if r["met"] and r["threat"] == name}
        assert threat.robust.correct == 40 - len(under)
        assert sum(stage.broke for stage in threat.stages) == len(under) - len(wrong)


def test_the_worst_case_inputs_fool_the_model_within_a_threat(whole: Audit, samples: Make, network: Make) -> None:
    x, y = samples()
    x_adv = whole.x_adv
    said = network()(x_adv).argmax(1)
    assert float((said == y).double().mean()) == whole.robust_accuracy
    change = (x_adv - x).flatten(1)
    small = (change.abs().amax(1) <= 0.1 * (1 + 1e-6)) | (change.norm(dim=1) <= 0.3 * (1 + 1e-6))
    assert small.all()
    assert not change[network()(x).argmax(1) != y].any()


def test_distances_are_the_smallest_in_the_records(whole: Audit) -> None:
    rows = whole.records.to_pylist()
    for name in whole.by_threat:
        found = whole.distances(name).tolist()
        for sample in range(40):
            sizes = [r["size"] for r in rows if r["sample"] == sample and r["met"] and r["threat"] in (name, "none")]
            assert found[sample] == min(sizes, default=float("inf"))


def test_the_curve_goes_through_the_headline(whole: Audit) -> None:
    for name, threat in whole.by_threat.items():
        assert whole.curve(threat.radius, name) == threat.robust
        assert whole.curve(0.0, name).value == whole.clean_accuracy
        values = [whole.curve(threat.radius * step / 10, name).value for step in range(15)]
        assert values == sorted(values, reverse=True)


def test_an_unknown_threat_is_refused(whole: Audit) -> None:
    with pytest.raises(ThreatError, match=r"no threat 'linf:0.2' in this audit: linf:0.1, l2:0.3"):
        whole.distances("linf:0.2")


def test_what_it_says_of_itself(whole: Audit) -> None:
    assert repr(whole).startswith("Audit(Sequential on data, n=40, clean=85.0%, robust=")


def test_inputs_that_are_gone(quick: Make, run: Any) -> None:
    audited = quick(run)
    for path in (run / "inputs").rglob("part-*"):
        path.unlink()
    with pytest.raises(RunError, match="issue the same audit again"):
        _ = audited.x_adv
    assert torch.equal(quick(run).x_adv, quick().x_adv)


def test_risks_are_what_is_missing_to_accuracies(whole: Audit) -> None:
    assert whole.natural_risk == 1 - whole.clean_accuracy
    assert whole.adversarial_risk == 1 - whole.robust_accuracy
    assert whole.natural_risk <= whole.adversarial_risk
