from __future__ import annotations

import dataclasses as dc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.auditing import Audit, audit, read_spec, summarize
from saddlepoint.auditing.diagnosis import Diagnosis
from saddlepoint.auditing.doubts import Case, doubts
from saddlepoint.auditing.holding import Held
from saddlepoint.auditing.probes import Answers, Slopes
from saddlepoint.auditing.standing import Standing
from saddlepoint.auditing.summary import Estimate, StageSummary
from saddlepoint.testing.problems import Map

Make = Callable[..., Any]
N = 1000
WELL = Diagnosis(
    Answers(32, 0.0, 0, 0, 0, 0, False, False, False), Slopes(32, 0, 0, 0, 0.99), None, 1, False, (), None, 1, 0.0
)
LABEL, CURVE = "linf:0.1", "linf:inf"


def stage(attack: str, broke: int, over: str = "standing", threat: str = LABEL, **options: Any) -> Any:
    """A stage as specified, what it did, and how many it broke."""
    name = f"{attack}-{over}"
    specified = {"name": name, "threat": threat, "attack": attack, "over": over, "options": options}
    done = StageSummary(name, threat, attack, options, 10, broke, 1, 1, 1.0, None, None, True)
    return specified, (done, {LABEL: broke})


HEALTHY = (stage("triage", 300, steps=50), stage("square", 0, "sentinels"), stage("fmn", 0, "right", CURVE, steps=99))


def case(*stages: Any, right: int = 900, found: int = 900, **changes: Any) -> Case:
    """A healthy audit of a thousand samples, but for what is said; a curve found something for ``found`` samples."""
    stages = stages or HEALTHY
    spec = {
        "data": {"n": N, "dtype": "float64", "classes": list("abcdefghij")},
        "model": {"access": "gradients", "output": "logits"},
        "threats": [{"label": LABEL, "family": "linf", "set": "linf", "radius": 0.1}],
        "curves": [{"label": CURVE, "family": "linf", "set": "linf", "radius": None}],
        "stages": [specified for specified, _ in stages],
        "budget": None,
    }
    standing = Standing(spec)
    positions = np.arange(N)
    standing.learn("none", positions, positions >= right, np.zeros(N))
    standing.learn(CURVE, positions[:found], np.ones(found, dtype=np.bool_), np.full(found, 0.2))
    status = np.array(["held"] * N)
    none = {name: np.zeros(N, dtype=np.int64) for name in ("sample", "label", "clean_predicted")}
    records = pa.table({"status": status, "met": np.zeros(N, dtype=np.bool_), "stage": ["01-triage"] * N, **none})
    whole = Case(spec, records, standing, tuple(done for _, done in stages), Estimate.of(right, N), WELL)
    whole = dc.replace(whole, **changes)
    unwatched = pa.array([[]] * len(whole.records), pa.list_(pa.float32()))
    return dc.replace(whole, records=whole.records.append_column("progress", unwatched))


def names(one: Case) -> dict[str, str]:
    return {doubt.name: doubt.weight for doubt in doubts(one)}


def seen(**changes: Any) -> Diagnosis:
    return dc.replace(WELL, answers=dc.replace(WELL.answers, **changes))


def held(right: int, fell: int, far: int | None) -> Diagnosis:
    return dc.replace(seen(gap=0.2), held=Held(32, right, fell, far))


def sloped(**changes: Any) -> Diagnosis:
    return dc.replace(WELL, slopes=dc.replace(WELL.slopes, **changes))


@pytest.mark.parametrize(("share", "found"), [(0.79, {"known-lower": "flag"}), (0.8, {}), (0.95, {})])
def test_a_lower_number_from_elsewhere_flags(share: float, found: dict[str, str]) -> None:
    told = case(found=100, right=900)
    told.standing.learn(LABEL, np.arange(100), np.ones(100, dtype=np.bool_), np.full(100, 0.05))
    assert names(dc.replace(told, spec={**told.spec, "known": {LABEL: share}})) == {**names(told), **found}


def test_a_healthy_audit_raises_none() -> None:
    assert doubts(case()) == ()


@pytest.mark.parametrize(
    ("diagnosis", "expected"),
    [
        (seen(gap=0.2, flips=3), {"random": "flag"}),
        (seen(gap=0.9e-4), {}),
        (seen(company=1), {"company": "fatal"}),
        (seen(nan=1), {"no-answer": "fatal"}),
        (seen(certain=4), {"saturated": "flag"}),
        (seen(certain=3), {}),
        (seen(optimizes=True), {"optimizes": "flag"}),
        (seen(remembers=True), {"remembers": "flag"}),
        (seen(squashed=True), {"squashed": "flag"}),
        (sloped(zero=4, told=0.8), {"no-slope": "flag"}),
        (sloped(absent=32, told=0.0), {"no-slope": "flag"}),
        (sloped(wild=20), {"no-slope": "flag"}),
        (sloped(zero=3), {}),
        (sloped(told=0.4), {"false-slopes": "flag"}),
        (sloped(told=0.6), {}),
        (sloped(alike=0.49), {"shattered": "flag"}),
        (sloped(alike=0.5), {}),
        (sloped(alike=0.1, told=0.1), {"false-slopes": "flag"}),
        (sloped(silent=1), {"no-answer": "fatal"}),
        (seen(mixed=4), {"company": "flag"}),
        (seen(mixed=3), {}),
        (seen(mixed=32, company=1), {"company": "fatal"}),
        (dc.replace(seen(gap=0.2), slopes=Slopes(32, 0, 0, 0, 0.1)), {"random": "flag"}),
        (held(30, 2, 30), {"random": "flag"}),
        (held(30, 0, 29), {"random": "flag"}),
        (held(30, 0, 28), {"random": "flag", "not-only-random": "flag"}),
        (held(30, 0, None), {"random": "flag"}),
        (dc.replace(held(30, 2, 30), slopes=Slopes(32, 0, 0, 0, 0.1)), {"random": "flag", "false-slopes": "flag"}),
        (None, {}),
    ],
)
def test_what_the_probes_saw(diagnosis: Diagnosis | None, expected: dict[str, str]) -> None:
    assert names(case(diagnosis=diagnosis)) == expected


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ((stage("triage", 300, steps=50), stage("square", 3, "sentinels")), {"black-box"}),
        ((stage("triage", 300, steps=50), stage("square", 2, "sentinels")), set()),
        ((stage("triage", 0, steps=50), stage("square", 1, "sentinels"), stage("square", 2, "doubted")), {"black-box"}),
        ((stage("square", 300), stage("triage", 10, steps=50)), set()),
        ((*HEALTHY, stage("pgd", 6, "sentinels", steps=100)), {"longer"}),
        ((*HEALTHY, stage("pgd", 5, "sentinels", steps=100)), set()),
        ((*HEALTHY, stage("triage", 6, "doubted", steps=100)), {"longer"}),
        ((*HEALTHY, stage("apgd_ce", 60, steps=100)), set()),
        ((*HEALTHY, stage("fgsm", 2, "sentinels")), {"one-step-better"}),
        ((*HEALTHY, stage("fgsm", 1, "sentinels")), set()),
        ((*HEALTHY, stage("worst_of", 2, "sentinels", k=50)), {"noise"}),
        ((*HEALTHY, stage("worst_of", 1, "sentinels", k=50)), set()),
        ((*HEALTHY[:2], stage("fmn", 21, "right", CURVE, steps=9)), {"incomplete"}),
        ((*HEALTHY[:2], stage("fmn", 20, "right", CURVE, steps=9)), set()),
        ((stage("fgsm", 200), stage("square", 0)), {"single-step"}),
        ((stage("pgd", 200, steps=1), stage("square", 0)), {"single-step"}),
        ((stage("pgd", 200, steps=10), stage("apgd_ce", 3, steps=10)), {"gradients-only"}),
        ((stage("fgsm", 200),), {"single-step", "gradients-only"}),
        ((stage("fmn", 500, "right", CURVE, steps=9),), set()),
    ],
)
def test_what_the_attacks_did(stages: Any, expected: set[str]) -> None:
    assert set(names(case(*stages))) == expected


def later(changed: int, diagnosis: Diagnosis | None = WELL) -> Case:
    """The first so many samples get another label when the first attack asks about them."""
    first, none = stage("triage", 300, steps=50), np.zeros(2 * N)
    said = np.concatenate([np.ones(N), np.where(np.arange(N) < changed, 2, 1)]).astype(np.int64)
    columns = {"met": pa.array([False] * 2 * N), "sample": [*range(N)] * 2, "label": said, "clean_predicted": said}
    names = ["00-clean"] * N + [first[0]["name"]] * N
    records = pa.table({"stage": names, **columns, "value": none, "size": none, "status": ["held"] * 2 * N})
    return case(first, stage("square", 0, "sentinels"), records=records, diagnosis=diagnosis)


@pytest.mark.parametrize(("changed", "said"), [(0, False), (10, False), (11, True)])
def test_a_model_that_changes_during_the_audit_is_invalid(changed: int, said: bool) -> None:
    assert (names(later(changed)).get("changed") == "fatal") == said


def test_a_random_model_may_change_its_answers() -> None:
    assert "changed" not in names(later(500, seen(gap=0.2)))


@pytest.mark.parametrize(
    ("right", "n", "weight"),
    [(12, 20, "flag"), (10, 20, "fatal"), (3, 40, "fatal"), (49, 100, "fatal"), (16, 20, None)],
)
def test_few_samples_do_not_prove_that_a_model_guesses(right: int, n: int, weight: str | None) -> None:
    """Two classes: 12 of 20 may be chance, but is no sign of guessing; 10 of 20 is."""
    told = case()
    told = dc.replace(
        told, clean=Estimate.of(right, n), spec={**told.spec, "data": {**told.spec["data"], "classes": "ab"}}
    )
    assert names(told).get("guessing") == weight


def again(before: int, now: int, n: int = 40, **options: Any) -> Case:
    """The first attack left all but ``before`` of n samples, another run of it breaks others, ``now`` of them."""
    first, other = stage("triage", 300, steps=50), stage("triage", 0, "sampled", **{"steps": 50, **options})
    names = ["00-clean"] * N + [first[0]["name"]] * N + [other[0]["name"]] * n
    met = [*[False] * N, *(i < before for i in range(N)), *(i >= n - now for i in range(n))]
    rows = [*range(N), *range(N), *range(n)]
    none = {name: np.zeros(2 * N + n, dtype=np.int64) for name in ("label", "clean_predicted")}
    some = {"value": np.zeros(2 * N + n), "size": np.zeros(2 * N + n), "status": ["held"] * (2 * N + n)}
    records = pa.table({"stage": names, "met": pa.array(met), "sample": rows, **none, **some})
    return case(first, stage("square", 0, "sentinels"), other, records=records)


@pytest.mark.parametrize(("before", "now", "unsteady"), [(0, 0, False), (0, 2, False), (0, 3, True), (40, 40, False)])
def test_an_attack_that_breaks_others_when_it_runs_again_is_unsteady(before: int, now: int, unsteady: bool) -> None:
    """Of 40 the 95 % interval of 2 begins at 0.6 %, that of 3 at 1.6 %."""
    assert ("unsteady" in names(again(before, now))) == unsteady


def test_an_unsteady_attack_is_told_with_what_differs() -> None:
    (found,) = (doubt for doubt in doubts(again(5, 9, relative_step=4.0)) if doubt.name == "unsteady")
    assert found.found.startswith("with relative_step=4.0 triage breaks 9 more of 40 samples")
    assert found.threat == LABEL


def test_every_sample_must_fall_without_a_limit() -> None:
    assert names(case(found=890)) == {"unbreakable": "flag"}
    assert names(case(found=891)) == {}


@pytest.mark.parametrize(
    ("order", "lost", "n", "expected"),
    [
        (range(10), 0, 1000, {}),
        (range(10), 400, 1000, {}),
        ([1, 0, 2, 3, 4, 5, 6, 7, 8, 9], 0, 1000, {}),
        ([1, 2, 0, 3, 4, 5, 6, 7, 8, 9], 0, 1000, {"class-order": "fatal"}),
        ([9, 0, 1, 2, 3, 4, 5, 6, 7, 8], 300, 1000, {"class-order": "fatal"}),
        ([9, 0, 1, 2, 3, 4, 5, 6, 7, 8], 0, 90, {}),
    ],
)
def test_classes_in_another_order_are_found_out(order: Any, lost: int, n: int, expected: dict[str, str]) -> None:
    """Where two of ten are swapped a fifth of the samples is lost, and not more than that."""
    label = np.arange(n) % 10
    said = np.array(order)[label]
    said[:lost] = (said[:lost] + np.arange(lost) // 10) % 10
    clean = {"stage": ["00-clean"] * n, "label": label, "clean_predicted": said, "sample": np.arange(n)}
    records = pa.table({**clean, "status": ["held"] * n, "met": np.zeros(n, dtype=np.bool_)})
    assert names(case(records=records)) == expected


def test_where_no_slope_is_followed_votes_may_be_unanimous() -> None:
    told = case(diagnosis=seen(certain=30))
    model = {**told.spec["model"], "access": "scores"}
    assert "saturated" in names(told)
    assert "saturated" not in names(dc.replace(told, spec={**told.spec, "model": model}))


def test_guessing_is_told_by_the_interval() -> None:
    assert names(case(right=115, found=115)) == {"guessing": "fatal"}
    assert names(case(right=130, found=130)) == {}


def test_an_audit_that_has_not_ended_is_invalid() -> None:
    specified, (done, broke) = stage("triage", 300, steps=50)
    half = (specified, (dc.replace(done, complete=False), broke))
    assert names(case(half, stage("square", 0)))["unfinished"] == "fatal"


@pytest.mark.parametrize(("access", "weight"), [("scores", "flag"), ("labels", "flag")])
def test_without_gradients_evidence_is_weak(access: str, weight: str) -> None:
    whole = case(stage("square", 100))
    whole.spec["model"]["access"] = access
    assert names(whole) == {"no-gradients": weight}


def test_probabilities_and_few_samples_are_notes() -> None:
    whole = case()
    for output in ("probabilities", "log-probabilities", "sigmoid"):
        whole.spec["model"]["output"] = output
        assert names(whole) == {"probabilities": "note"}
    assert names(case(clean=Estimate.of(90, 99))) == {"few-samples": "note"}


@pytest.mark.parametrize(
    ("status", "count", "expected"),
    [
        ("unconfirmed", 5, {"unconfirmed"}),
        ("unconfirmed", 0, set()),
        ("out_of_budget", 51, {"budget"}),
        ("out_of_budget", 50, set()),
    ],
)
def test_what_became_of_attacks(status: str, count: int, expected: set[str]) -> None:
    whole = case()
    words = [status] * count + ["held"] * (N - count)
    met = pa.array([i >= N - 400 for i in range(N)])
    records = whole.records.set_column(0, "status", pa.array(words)).set_column(1, "met", met)
    assert set(names(dc.replace(whole, records=records))) == expected


def test_the_gravest_come_first_and_each_says_what_to_do() -> None:
    whole = case(diagnosis=seen(nan=1, gap=0.3), clean=Estimate.of(50, 60))
    found = doubts(whole)
    assert [doubt.weight for doubt in found] == ["fatal", "flag", "note"]
    assert all(doubt.title and doubt.found and doubt.advice for doubt in found)
    assert all("\n" not in doubt.found + doubt.advice for doubt in found)


def test_the_verdict_follows(whole: Audit) -> None:
    summary = whole.summary()
    assert whole.verdict == summary.verdict == "flagged"
    assert {doubt.name for doubt in whole.doubts} == {"gradients-only", "few-samples"}
    assert dc.replace(summary, doubts=()).verdict == "sound"
    note, flag = (dc.replace(whole.doubts[0], weight=weight) for weight in ("note", "flag"))
    fatal = dc.replace(note, weight="fatal")
    assert dc.replace(summary, doubts=(note,)).verdict == "sound"
    assert dc.replace(summary, doubts=(note, flag)).verdict == "flagged"
    assert dc.replace(summary, doubts=(flag, fatal)).verdict == "invalid"


def test_a_stored_run_is_doubted_as_it_was(whole: Audit) -> None:
    assert summarize(read_spec(whole.run_dir), whole.records) == whole.summary()


def test_a_black_box_that_beats_gradients_is_told_with_its_threat(network: Make, samples: Make) -> None:
    x, y = samples()
    hidden = Map(lambda x: network()(x.detach()))
    attacks = ["triage", "square(steps=200)"]
    found = audit(hidden, x, y, threat=sp.Linf(0.1), attacks=attacks, curve=None)
    honest = audit(network(), x, y, threat=sp.Linf(0.1), attacks=attacks, curve=None)
    by_name = {doubt.name: doubt for doubt in found.doubts}
    assert by_name["black-box"].threat == "linf:0.1"
    assert "square" in by_name["black-box"].found
    assert {"no-slope", "black-box"} <= set(by_name)
    assert not {"no-slope", "black-box"} & {doubt.name for doubt in honest.doubts}
    assert found.robust_accuracy <= honest.robust_accuracy + 0.05


def test_shuffled_labels_are_found_out(network: Make, samples: Make) -> None:
    x, y = samples()
    lost = audit(
        network(), x, (y + 1) % 4, threat=sp.Linf(0.1), attacks=["pgd(steps=2)", "square(steps=2)"], curve=None
    )
    assert lost.verdict == "invalid"
    assert "guessing" in {doubt.name for doubt in lost.doubts}


def test_random_models_are_attacked_through_the_mean_and_every_draw_counts(network: Make, samples: Make) -> None:
    x, y = samples()
    noisy = nn.Sequential(Map(lambda x: x + 0.05 * torch.randn_like(x)), network())
    attacks = ["pgd(steps=3)", "square(steps=20)"]
    found = audit(noisy, x, y, threat=sp.Linf(0.1), attacks=attacks, curve=None)
    assert "random" in {doubt.name for doubt in found.doubts}
    forwards = found.records.column("forwards").to_pylist()
    assert all(count % 20 == 0 and count > 0 for count in forwards)
    plain = audit(network(), x, y, threat=sp.Linf(0.1), attacks=attacks, curve=None)
    assert abs(found.robust_accuracy - plain.robust_accuracy) < 0.25
    assert found.verify().ok
    (told,) = (doubt.found for doubt in found.doubts if doubt.name == "random")
    assert "with the draw held fixed 20 steps of PGD break" in told
    assert re.search(
        r"single answers are right for [\d.]+ % \([\d.]+ to [\d.]+\) unperturbed, .* attacked, linf:0.1", told
    )


def test_the_page_about_doubts_lists_them_all_with_their_weight() -> None:
    root = Path(__file__).parents[2]
    source = (root / "src/saddlepoint/auditing/doubts.py").read_text()
    raised = set(re.findall(r'Doubt\(\s*"([a-z-]+)",\s*"(\w+)"', source))
    page = (root / "docs/verdict.md").read_text()
    listed = set(re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", page, flags=re.MULTILINE))
    words = {"fatal": "invalid", "flag": "flagged", "note": "none"}
    assert {(name, words[weight]) for name, weight in raised} == listed
    assert len(listed) >= 25
