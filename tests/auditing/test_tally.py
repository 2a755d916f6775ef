from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
import torch

import saddlepoint as sp
from saddlepoint.auditing import Audit, read_example, read_spec, summarize
from saddlepoint.auditing.tally import GALLERY
from saddlepoint.errors import RunError

Make = Callable[..., Any]


def test_stages_add_up(whole: Audit) -> None:
    rows = whole.records.to_pylist()
    for threat in whole.summary().threats:
        for stage in threat.stages:
            own = [r for r in rows if r["stage"] == stage.name]
            assert stage.ran_on == len(own) > 0
            assert stage.broke == sum(r["met"] for r in own)
            assert stage.forwards == sum(r["forwards"] for r in own)
            assert stage.backwards == sum(r["backwards"] for r in own)
            assert stage.seconds == pytest.approx(sum(r["seconds"] for r in own))
            sizes = [r["size"] for r in own if r["met"]]
            assert stage.median_size == (pytest.approx(float(np.median(sizes))) if sizes else None)
            assert stage.complete


def test_half_a_run_is_said_to_be_half(whole: Audit) -> None:
    spec = read_spec(whole.run_dir)
    some = whole.records.filter(pc.less(whole.records.column("stage"), "04"))
    summary = summarize(spec, some, notices=["stopped"])
    assert not summary.complete
    assert [[s.complete for s in t.stages] for t in summary.threats] == [[True, True], [True, False]]
    assert summary.union.correct >= whole.summary().union.correct
    assert summary.notices == ("stopped",)
    part = whole.records.filter(
        pc.invert(pc.and_(pc.equal(whole.records.column("stage"), "01-pgd"), pc.greater(whole.records["part"], 1)))
    )
    assert not summarize(spec, part).threats[0].stages[0].complete


def test_without_a_clean_pass_there_is_nothing_to_say(whole: Audit) -> None:
    some = whole.records.slice(0, 39)
    with pytest.raises(RunError, match="the clean pass has not ended"):
        summarize(read_spec(whole.run_dir), some)


def test_without_a_search_only_the_ends_of_the_curve_are_known(whole: Audit) -> None:
    for threat in whole.summary().threats:
        assert [point.radius for point in threat.curve] == [0.0, threat.radius]
        assert threat.curve[0].robust == whole.clean_accuracy
        assert threat.curve[1][1:] == (threat.robust.value, threat.robust.low, threat.robust.high)


def test_a_success_costs_what_its_samples_took(whole: Audit) -> None:
    records = whole.records.to_pandas()
    stages = {stage.name: stage for threat in whole.summary().threats for stage in threat.stages}
    met = records[records.met & records.stage.isin(list(stages))]
    for name, rows in met.groupby("stage"):
        assert stages[name].median_passes == (rows.forwards + rows.backwards).median()
    assert len(met)
    for name in stages.keys() - set(met.stage):
        assert stages[name].median_passes is None


def test_with_a_search_the_curve_is_exact_at_its_points_and_reaches_the_last(quick: Make) -> None:
    audited = quick(threat=sp.L2(0.3), curve="fmn(steps=30)")
    (threat,) = audited.summary().threats
    radii, shares = zip(*((point.radius, point.robust) for point in threat.curve), strict=True)
    assert list(radii) == sorted(set(radii))
    assert list(shares) == sorted(shares, reverse=True)
    assert {0.0, 0.3} <= set(radii)
    distance = audited.distances().numpy()
    assert radii[-1] == distance[np.isfinite(distance)].max()
    for radius, share in zip(radii, shares, strict=True):
        assert share == np.mean(distance > radius * (1 + 1e-6))
    assert shares[radii.index(0.3)] == threat.robust.value


def test_the_gallery_shows_the_closest_calls_of_each_label(whole: Audit) -> None:
    for threat in whole.summary().threats:
        sizes = {e.sample: e.size for e in threat.gallery}
        assert len(sizes) == len(threat.gallery) <= GALLERY
        distances = whole.distances(threat.threat).tolist()
        assert all(distances[sample] == size <= threat.radius * 1.000001 for sample, size in sizes.items())
        for label in {e.label for e in threat.gallery}:
            same = [r["sample"] for r in whole.records.slice(0, 40).to_pylist() if r["label"] == label and not r["met"]]
            closest = min(same, key=lambda sample: distances[sample])
            assert closest in sizes
        assert all(e.clean_predicted == e.label != e.predicted for e in threat.gallery)


def test_what_other_radii_of_the_set_broke_is_listed(quick: Make) -> None:
    audited = quick(threat=[sp.Linf(0.05), sp.Linf(0.1)], attacks=["pgd(steps=3)"])
    small, large = audited.summary().threats
    assert [(s.name, s.threat) for s in small.stages] == [("01-pgd", "linf:0.05")]
    assert [(s.name, s.threat) for s in large.stages] == [("01-pgd", "linf:0.05"), ("02-pgd", "linf:0.1")]
    right = audited.summary().clean_correct
    assert right - large.robust.correct == sum(s.broke for s in large.stages)
    assert large.stages[1].ran_on == small.robust.correct


def test_each_sample_may_have_its_own_radius(quick: Make) -> None:
    radii = torch.linspace(0.01, 0.3, 40, dtype=torch.float64)
    (threat,) = quick(threat=sp.Linf(radii)).summary().threats
    assert threat.threat.startswith("linf:0.01..0.3 (per sample) ")
    assert threat.radius == 0.3
    assert 0 < threat.robust.correct < 34


def test_the_classes_add_up_to_the_whole(whole: Audit) -> None:
    summary = whole.summary()
    for threat in summary.threats:
        assert sum(one.n for one in threat.classes) == summary.n
        assert sum(one.clean for one in threat.classes) == summary.clean_correct
        assert sum(one.robust for one in threat.classes) == threat.robust.correct
        assert all((one.taken_for is not None) == (one.robust < one.clean) for one in threat.classes)
        assert all(one.taken_for != one.label for one in threat.classes)


def test_confidences_are_those_of_the_stored_inputs(whole: Audit) -> None:
    network = whole._subject.model
    for one in whole.summary().threats[0].gallery[:5]:
        x, x_adv = read_example(whole.run_dir, one)
        with torch.no_grad():
            before, after = network(torch.stack([x, x_adv])).softmax(1)
        assert one.clean_confidence == pytest.approx(float(before[one.clean_predicted]))
        assert one.confidence == pytest.approx(float(after[one.predicted]))
