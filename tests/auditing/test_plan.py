from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import saddlepoint as sp
from saddlepoint.auditing.plan import Plan, make_plan
from saddlepoint.errors import AccessError, OptionError, ThreatError

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def plan(network: Make, samples: Make) -> Callable[..., Plan]:
    def make(**changes: Any) -> Plan:
        asked: dict[str, Any] = {"model": network(), "threat": sp.Linf(0.1), "attacks": ["pgd"], "options": None}
        asked |= {"curve": None, "seed": 0, "budget": None, **changes}
        return make_plan(**{**asked, "model": sp.wrap(asked["model"])}, x=samples()[0])

    return make


def names(plan: Plan) -> list[tuple[str, str, str]]:
    return [(stage.label, stage.name, stage.over) for stage in plan.stages]


def test_stages_are_numbered_through_threats_and_repeated_names_told_apart(plan: Make) -> None:
    made = plan(threat=[sp.Linf(0.1), sp.L2(1.0)], attacks=["pgd", "pgd(restarts=2)"])
    assert names(made) == [
        ("none", "00-clean", "all"),
        ("linf:0.1", "01-pgd", "standing"),
        ("linf:0.1", "02-pgd-2", "standing"),
        ("l2:1.0", "03-pgd", "standing"),
        ("l2:1.0", "04-pgd-2", "standing"),
    ]
    assert not made.notices


def test_one_curve_for_each_set_at_unlimited_radius(plan: Make) -> None:
    made = plan(threat=[sp.Linf(0.1), sp.L2(1.0), sp.Linf(0.2)], curve="fmn(steps=3)")
    assert names(made)[4:] == [("linf:inf", "04-fmn-curve", "right"), ("l2:inf", "05-fmn-curve", "right")]
    assert [t.set.radius for t in made.curves] == [math.inf, math.inf]
    assert made.stages[-1].options["steps"] == 3


def test_options_are_merged_defaults_first_the_entry_last(plan: Make) -> None:
    made = plan(attacks=["pgd(steps=7)", "apgd_ce"], options={"pgd": {"steps": 5, "restarts": 3}})
    assert made.stages[1].options == {**sp.attacks.pgd.options, "steps": 7, "restarts": 3}
    assert made.stages[2].options == sp.attacks.apgd_ce.options


def test_recipes_may_be_given_themselves(plan: Make) -> None:
    assert names(plan(attacks=[sp.attacks.fgsm])) == names(plan(attacks=["fgsm"]))


def test_an_attack_that_does_not_know_the_set_is_left_out_and_said_so(plan: Make) -> None:
    made = plan(threat=[sp.Linf(0.1), sp.L0(3)], attacks=["frank_wolfe", "fgsm"])
    assert [label for label, _, _ in names(made)] == ["none", "linf:0.1", "linf:0.1", "l0:3.0"]
    (notice,) = made.notices
    assert notice.startswith("frank_wolfe was left out for l0:3.0: it works in Linf, L2, L1, Nuclear")


def test_the_default_plan_has_white_and_black_boxes(plan: Make) -> None:
    made = plan(attacks=None, curve="fmn")
    assert [stage.recipe.name for stage in made.stages[1:]] == [
        *("triage", "fgsm", "worst_of", "pgd", "square", "triage", "square"),
        *("hop_skip_jump", "square", "pincer", "pincer", "triage", "fmn"),
    ]
    assert [stage.over for stage in made.stages[1:]] == [
        "standing",
        "sentinels",
        "sentinels",
        "sentinels",
        "sentinels",
        "doubted",
        "doubted",
        "flat",
        "closest",
        "pressed",
        "nearest",
        "sampled",
        "right",
    ]
    assert made.stages[12].options["relative_step"] == 1.0


def test_what_makes_no_sense_in_a_set_is_left_out_without_a_word(plan: Make) -> None:
    for threat in (sp.L1(5.0), sp.Nuclear(1.0)):
        made = plan(threat=threat, attacks=None)
        assert sum(stage.over == "sampled" for stage in made.stages[1:]) == 1
        assert not made.notices


def test_the_default_plan_adapts_to_what_the_model_gives(plan: Make, network: Make) -> None:
    made = plan(model=network(), attacks=None, curve="fmn")
    scores = make_plan(
        sp.wrap(network(), access="scores"), torch.rand(4, 2, 3, 3), sp.Linf(0.1), None, None, "fmn", 0, None
    )
    assert [stage.recipe.name for stage in scores.stages[1:]] == ["auto"]
    assert len(scores.notices) == 1
    assert "needs gradients, this model gives scores only" in scores.notices[0]
    assert not made.notices


def test_the_bounds_of_the_model_become_those_of_the_set(network: Make) -> None:
    model = sp.wrap(network(), bounds=(-1, 1))
    made = make_plan(model, torch.zeros(4, 2, 3, 3), sp.Linf(0.1), ["pgd"], None, None, 0, None)
    assert made.stages[1].threat.box == model.box  # type: ignore[attr-defined]


def test_radii_and_masks_of_samples_are_other_threats(plan: Make) -> None:
    radii, mask = torch.linspace(0.1, 0.2, 40), torch.zeros(1, 2, 3, 3, dtype=torch.bool)
    made = plan(threat=[sp.Linf(0.1), sp.Linf(radii), sp.Linf(0.1, mask=mask)])
    labels = [t.label for t in made.threats]
    assert len(set(labels)) == 3
    assert [t.family for t in made.threats][:2] == ["linf", "linf"]
    assert made.threats[2].family.startswith("linf mask ")
    assert made.threats[1].radius == radii.tolist()


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"threat": []}, ThreatError, "needs a perturbation set"),
        ({"threat": 0.1}, ThreatError, "needs a perturbation set"),
        ({"threat": ["linf:0.1"]}, ThreatError, "needs a perturbation set"),
        ({"threat": sp.Linf()}, ThreatError, "needs a finite radius"),
        ({"threat": sp.Linf(8.0)}, ThreatError, "did you mean 8/255"),
        ({"threat": sp.Linf(torch.ones(3) * 0.1)}, ThreatError, "3 radii, but there are 40 samples"),
        ({"threat": [sp.Linf(0.1), sp.Linf(0.1)]}, ThreatError, "linf:0.1 is given twice"),
        ({"threat": sp.L0(2), "attacks": ["square"]}, ThreatError, "no attack of the plan works for l0:2"),
        ({"attacks": []}, ThreatError, "no attack of the plan works for linf:0.1"),
        ({"attacks": "pgd"}, OptionError, r"write attacks=\['pgd'\]"),
        ({"attacks": ["pdg"]}, OptionError, "did you mean pgd"),
        ({"attacks": ["pgd(stepz=3)"]}, OptionError, "did you mean steps"),
        ({"attacks": ["pgd(steps=0)"]}, OptionError, "steps must be at least 1"),
        ({"options": {"square": {}}}, OptionError, "'square', which is not in the plan: pgd"),
        ({"curve": "pgd"}, OptionError, "smallest perturbation; pgd does not"),
        ({"budget": 3}, OptionError, "at least 4 forwards"),
        ({"seed": -1}, OptionError, "seed is -1"),
    ],
)
def test_plans_that_make_no_sense(plan: Make, changes: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        plan(**changes)


def test_an_attack_asked_for_by_name_is_not_silently_left_out(network: Make) -> None:
    model = sp.wrap(network(), access="labels")
    with pytest.raises(AccessError, match="pgd: it needs gradients, this model gives labels only; leave it out"):
        make_plan(model, torch.zeros(4, 2, 3, 3), sp.Linf(0.1), ["pgd"], None, None, 0, None)
