from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import saddlepoint as sp
from saddlepoint.auditing import audit
from saddlepoint.auditing.records import CLEAN, column, stage_rows
from saddlepoint.errors import OptionError
from saddlepoint.report.markdown import markdown
from saddlepoint.report.page import build_page
from saddlepoint.report.render import render

Make = Callable[..., Any]


def test_what_counts_is_the_target_and_nothing_else(network: Make, samples: Make) -> None:
    """By brute force: what the stored inputs are taken for."""
    x, y = samples()
    done = audit(
        network(), x, y, threat=sp.Linf(0.15), target=2, attacks=["pgd(steps=10)", "square(steps=30)"], curve=None
    )
    summary, others = done.summary(), y != 2
    with torch.no_grad():
        clean, taken = network()(x[others]).argmax(1), network()(done.x_adv).argmax(1)
    assert summary.n == int(others.sum()) == len(done.x_adv)
    assert summary.target == "2"
    assert summary.clean_correct == int((clean == y[others]).sum())
    assert summary.targeted is not None
    assert summary.targeted.correct == int((taken == 2).sum()) > int((clean == 2).sum())
    assert done.robust_accuracy == pytest.approx(1 - summary.targeted.value)
    assert set(column(stage_rows(done.records, CLEAN).table, "label").tolist()) <= {0, 1, 3}
    assert set(column(stage_rows(done.records, "01-pgd").table, "label").tolist()) <= {0, 1, 3}
    assert any("samples of class 2, the target, are left out" in one for one in summary.notices)
    assert done.verify().ok
    anything = audit(network(), x, y, threat=sp.Linf(0.15), attacks=["pgd(steps=10)", "square(steps=30)"], curve=None)
    assert anything.robust_accuracy < done.robust_accuracy


def test_it_is_said_wherever_the_number_is(network: Make, samples: Make) -> None:
    x, y = samples()
    done = audit(network(), x, y, threat=[sp.Linf(0.1), sp.L2(0.3)], target=1, attacks=["pgd(steps=3)"], curve=None)
    summary = done.summary()
    assert type(summary).from_json(summary.to_json()) == summary
    page = build_page(summary, lambda one: (x[0], x[0]))
    assert (
        "samples of other classes are taken for 1 within Linf 0.1 or L2 0.3: the targeted success rate" in page.headline
    )
    told = json.loads(page.to_json())
    assert told["target"] == "1"
    assert told["targeted_success"]["correct"] == summary.n - summary.union.correct
    html = render(page)
    assert "Not taken for 1, Linf" in html
    assert "Robust, " not in html
    assert page.headline.split(" within")[0] in markdown(summary)
    for threat in page.sections:
        assert sum(step.count for step in threat.steps) == summary.n


def test_the_usual_plan_with_a_target_is_sound_on_a_healthy_network() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[::20]")
    done = audit(sp.zoo.load("fashion-pgd-linf"), data=data, threat=sp.Linf(0.1), target=8, plan="quick")
    assert {doubt.name for doubt in done.doubts} <= {"few-samples"}
    assert np.isfinite(done.distances().numpy()).all(), "without a limit everything becomes a bag"


@pytest.mark.parametrize(
    ("target", "access", "says"),
    [(4, None, "classes 0 to 3"), (-1, None, "classes 0 to 3"), (1, "labels", "needs scores")],
)
def test_targets_that_make_no_sense(network: Make, samples: Make, target: int, access: Any, says: str) -> None:
    x, y = samples()
    with pytest.raises(OptionError, match=says):
        audit(sp.wrap(network(), access=access), x, y, threat=sp.Linf(0.1), target=target)


def test_samples_of_the_target_alone_are_refused(network: Make, samples: Make) -> None:
    x, _ = samples()
    with pytest.raises(OptionError, match="all samples are of class 1"):
        audit(network(), x, torch.ones(len(x), dtype=torch.long), threat=sp.Linf(0.1), target=1)


def test_scores_alone_get_no_curve_toward_a_target(network: Make, samples: Make) -> None:
    x, y = samples()
    model = sp.wrap(network(), access="scores")
    done = audit(model, x, y, threat=sp.Linf(0.1), target=1, plan="quick")
    assert [stage.attack for stage in done.by_threat["linf:0.1"].stages] == ["auto"]
