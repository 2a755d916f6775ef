from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import saddlepoint as sp
from saddlepoint.access import GradientAccess, LabelAccess, ScoreAccess
from saddlepoint.auditing.estimate import passes
from saddlepoint.auditing.plan import make_plan
from saddlepoint.auditing.usual import PLANS, usual
from saddlepoint.errors import OptionError
from saddlepoint.optimizers.boundary_walk import BoundaryWalk
from saddlepoint.optimizers.pointwise import Pointwise
from saddlepoint.optimizers.rings import ShrinkingRings

Make = Callable[..., Any]


def stages(network: Make, plan: str | None, threat: Any, access: str | None = None, **changes: Any) -> list[Any]:
    model = sp.wrap(network()) if access is None else sp.wrap(network(), access=access)
    asked: dict[str, Any] = {"attacks": None, "options": None, "curve": "auto", "seed": 0, "budget": None, **changes}
    return list(make_plan(model, torch.rand(4, 2, 3, 3), threat, **asked, name=plan).stages[1:])


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("threat", [sp.Linf(0.1), sp.L2(0.5), sp.L1(2.0), sp.L0(3.0)], ids=str)
def test_every_plan_has_something_for_every_set_and_access(network: Make, plan: str, threat: Any) -> None:
    assert stages(network, plan, threat)
    assert stages(network, plan, threat, "scores")
    assert stages(network, plan, threat, "labels")


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(
    ("threat", "optimizer"),
    [
        (sp.Flow(0.5), BoundaryWalk),
        (sp.Latent(1.0), BoundaryWalk),
        (sp.Spatial(0.3), ShrinkingRings),
        (sp.Corruption(3.0), ShrinkingRings),
        (sp.L1(3.0), Pointwise),
    ],
    ids=str,
)
def test_from_labels_alone_one_walks_or_searches_in_rings_or_takes_back_what_can_be_spared(
    network: Make, plan: str, threat: Any, optimizer: type
) -> None:
    one, *_ = stages(network, plan, threat, "labels")
    assert isinstance(one.attack().optimizer, optimizer)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("threat", [sp.Linf(0.1), sp.L2(0.5), sp.Flow(0.5)], ids=str)
def test_scores_alone_get_a_curve_by_a_walk_on_labels(network: Make, plan: str, threat: Any) -> None:
    attack, *_, curve = stages(network, plan, threat, "scores", proofs=False)
    assert curve.over == "right"
    assert issubclass(curve.recipe.access, LabelAccess)
    assert not issubclass(curve.recipe.access, ScoreAccess)
    assert passes(curve.attack(), 10) < passes(attack.attack(), 10) or plan == "quick" or isinstance(threat, sp.Flow)


def test_the_curve_of_scores_knows_more_than_its_ends(network: Make) -> None:
    x = torch.rand(12, 2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = sp.wrap(network(), access="scores")
    with torch.no_grad():
        y = network()(x).argmax(1)
    done = sp.audit(model, x, y, threat=sp.L2(0.3), plan="quick")
    curve = done.by_threat["l2:0.3"].curve
    assert len(curve) > 8
    assert curve[-1].robust < 0.1 < curve[1].robust
    assert not any("left out" in notice for notice in done.summary().notices)


def test_more_thorough_plans_ask_more(network: Make) -> None:
    plans = [stages(network, plan, sp.Linf(0.1), proofs=False) for plan in PLANS]
    asked = ("standing", "right", "firm")
    costs = [sum(passes(one.attack(), 4) for one in plan if one.over in asked) for plan in plans]
    assert list(PLANS) == ["quick", "standard", "thorough"]
    assert costs[2] > costs[1] > costs[0]
    quick, standard = (passes(stages(network, plan, sp.Linf(0.1))[0].attack(), 10) for plan in ("quick", "standard"))
    assert quick < 0.5 * standard


def test_standard_is_the_default_and_thorough_goes_on_with_autoattack(network: Make) -> None:
    assert stages(network, None, sp.Linf(0.1)) == stages(network, "standard", sp.Linf(0.1))
    thorough = stages(network, "thorough", sp.Linf(0.1))
    names = ["triage", "fgsm-sentinels", "worst_of-sentinels", "square-sentinels", "square-doubted"]
    names += [
        "hop_skip_jump-flat",
        "autoattack",
        "pincer-closest",
        "triage-sampled",
        "triage-sampled-2",
        "fmn-curve",
        "proof",
    ]
    assert [one.name[3:] for one in thorough] == names


def test_in_l1_the_first_attack_runs_again_once_for_its_steps_shrink_by_themselves(network: Make) -> None:
    again = {
        threat: [one.options for one in stages(network, "thorough", threat) if one.over == "sampled"]
        for threat in (sp.L1(2.0), sp.L2(0.5))
    }
    (once,), (half, twice) = again.values()
    assert [one["relative_step"] for one in (once, half, twice)] == [2.0, 1.0, 4.0]


def test_a_plan_and_attacks_are_too_much(network: Make) -> None:
    with pytest.raises(OptionError, match="attacks were named, and the plan 'quick' too: leave one out"):
        stages(network, "quick", sp.Linf(0.1), attacks=["pgd"])


def test_unknown_plans_are_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="no plan 'fast'; there are quick, standard, thorough"):
        usual("fast", GradientAccess)


@pytest.mark.parametrize("kind", [GradientAccess, ScoreAccess, LabelAccess])
def test_what_is_for_sentinels_comes_before_what_is_for_the_doubted(kind: type[LabelAccess]) -> None:
    for plan in PLANS:
        over = [who for _, who in usual(plan, kind).attacks]
        assert ("doubted" in over) == ("sentinels" in over)
        assert "doubted" not in over or over.index("sentinels") < over.index("doubted")
        assert "pressed" not in over or over.index("closest") < over.index("pressed")


@pytest.mark.parametrize(("name", "brittle"), [("fashion-standard", True), ("fashion-pgd-linf", False)])
def test_a_short_curve_is_enough_where_nearly_all_fell(name: str, brittle: bool) -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:100]")
    audited = sp.audit(sp.zoo.load(name), data=data, threat=sp.Linf(0.1))
    threat = audited.summary().threats[0]
    ran = {stage.name.partition("-")[2]: stage.ran_on for stage in threat.stages if "curve" in stage.name}
    right = audited.summary().clean.correct
    assert ran == {"fmn-curve-brittle": right * brittle, "fmn-curve": right * (not brittle)}
    assert len(threat.curve) > 20
    passes = sum(stage.forwards + stage.backwards for stage in threat.stages) / 100
    assert passes < 30 if brittle else passes > 100


def test_what_is_brittle_stands_at_no_radius_at_all() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:60]")
    audited = sp.audit(
        sp.zoo.load("fashion-standard"), data=data, threat=[sp.Linf(0.001), sp.Linf(0.1)], attacks=["pgd"]
    )
    stages = {stage.name.partition("-")[2]: stage.ran_on for stage in audited.summary().threats[1].stages}
    assert (stages["fmn-curve-brittle"], stages["fmn-curve"]) == (0, audited.summary().clean.correct)


@pytest.mark.parametrize("plan", ["quick", "standard"])
def test_a_healthy_network_is_sound_whatever_the_plan(plan: str) -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:100]")
    audited = sp.audit(sp.zoo.load("fashion-pgd-linf"), data=data, threat=sp.Linf(0.1), plan=plan)
    assert (audited.verdict, [doubt.name for doubt in audited.doubts]) == ("sound", [])


def test_a_healthy_network_is_sound_by_the_thorough_plan() -> None:
    """A few samples, without proofs: AutoAttack takes thousands of passes for each."""
    data = sp.zoo.data.load("fashion-mnist-1k[:6]")
    audited = sp.audit(sp.zoo.load("fashion-pgd-linf"), data=data, threat=sp.Linf(0.1), plan="thorough", proofs=False)
    assert (audited.verdict, [doubt.name for doubt in audited.doubts]) == ("sound", ["few-samples"])
