from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import saddlepoint as sp
from saddlepoint.auditing import Audit
from saddlepoint.auditing.landscape import POINTS, REACH

Make = Callable[..., Any]


def test_each_threat_shows_a_few_samples_with_the_sample_in_the_middle(whole: Audit) -> None:
    shown = whole.summary().landscapes
    assert [sum(one.threat == name for one in shown) for name in ("linf:0.1", "l2:0.3")] == [3, 3]
    model, x = whole._subject.model, whole._subject.x
    for one in shown:
        margins = np.array(one.margins)
        assert margins.shape == (POINTS, POINTS)
        with torch.no_grad():
            logits = model(x[one.sample : one.sample + 1])[0]
        others = torch.cat([logits[: one.label], logits[one.label + 1 :]])
        middle = margins[POINTS // 2, POINTS // 2]
        assert middle == pytest.approx(float(logits[one.label] - others.max()), abs=1e-4)
        assert one.reach == REACH * one.radius


def test_the_first_axis_is_the_way_down(whole: Audit) -> None:
    for one in whole.summary().landscapes:
        row = one.margins[POINTS // 2]
        assert row[POINTS // 2 + 1] < row[POINTS // 2]


def test_a_plane_of_a_linear_model_is_flat(quick: Make) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(18, 2)).double()
    x = 0.4 + 0.2 * torch.rand(40, 2, 3, 3, dtype=torch.float64)
    y = linear(x).argmax(1)
    weight = (linear[1].weight[1] - linear[1].weight[0]).detach()
    shown = quick(model=linear, x=x, y=y, threat=sp.Linf(0.05)).summary().landscapes
    for one in shown:
        margins = np.array(one.margins)
        step = 2 * REACH * 0.05 / (POINTS - 1)
        assert np.diff(margins, axis=1) == pytest.approx(-step * float(weight.abs().sum()), abs=2e-4)
        assert abs(np.diff(np.diff(margins, axis=0), axis=0)).max() < 3e-4


def test_no_plane_where_slopes_are_not_given(quick: Make, network: Make) -> None:
    assert quick(model=sp.wrap(network(), access="scores"), attacks=["square(steps=3)"]).summary().landscapes == ()


def test_a_damaged_file_is_found_out_again(quick: Make, run: Path) -> None:
    before = quick(run).summary()
    for name in ("landscapes.json", "diagnosis.json"):
        file = run / name
        good = file.read_text()
        other = json.dumps({**json.loads(good), "key": "another"})
        for bad in (good[: len(good) // 2], other, "{}", "[]", '{"key": 1}'):
            file.write_text(bad)
            again = quick(run).summary()
            assert again.landscapes == before.landscapes
            assert again.doubts == before.doubts
            assert json.loads(file.read_text())["key"] == json.loads(good)["key"]
