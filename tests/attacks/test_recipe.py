from __future__ import annotations

import dataclasses as dc
from typing import Any

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.access import GradientAccess, LabelAccess
from saddlepoint.attacks import Recipe, catalog, get
from saddlepoint.errors import OptionError, ThreatError
from saddlepoint.testing.case import Case
from saddlepoint.testing.problems import MLP, SHAPE
from saddlepoint.testing.tripwire import Recording

NETWORK = MLP(seed=1)
X = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
with torch.no_grad():
    Y = NETWORK(X).argmax(1)
NAMES = sorted(catalog())


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_documented_and_exported(name: str) -> None:
    recipe = get(name)
    assert recipe.name == name
    assert getattr(sp.attacks, name) is recipe
    assert recipe.summary.endswith(".")
    assert any(year in recipe.paper for year in map(str, range(1968, 2027)))
    assert issubclass(recipe.access, LabelAccess)
    assert recipe.sets


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_default(name: str) -> None:
    for option, default in get(name).options.items():
        assert default is not __import__("inspect").Parameter.empty, option


def test_unknown_attacks_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(OptionError, match=r"no attack 'apgd_cee' \(did you mean apgd_ce\?\); known: .*pgd"):
        get("apgd_cee")
    with pytest.raises(OptionError, match="no attack 'zzzzz'; known"):
        get("zzzzz")


def test_unknown_options_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(OptionError, match=r"pgd has no option 'restart' \(did you mean restarts\?\); it has: steps"):
        sp.attacks.pgd(NETWORK, X, Y, sp.Linf(0.1), restart=3)
    with pytest.raises(OptionError, match="fgsm has no option 'steps'; it has: none"):
        sp.attacks.fgsm(NETWORK, X, Y, sp.Linf(0.1), steps=3)


def test_options_reach_the_attack() -> None:
    result = sp.attacks.pgd(NETWORK, X, Y, sp.Linf(1e-6), steps=3, restarts=2)
    assert result.forwards.tolist() == [1 + 2 * (3 + 1) + 1] * 3
    assert result.backwards.tolist() == [6] * 3


def test_sets_that_do_not_fit_are_refused_with_those_that_do() -> None:
    with pytest.raises(ThreatError, match=r"pgd works in Linf, L2, .*, not in Insertions"):
        sp.attacks.pgd(NETWORK, X, Y, sp.sets.Insertions(3.0))
    with pytest.raises(ThreatError, match=r"pgd needs a perturbation set with a radius, for instance sp.Linf\(8/255\)"):
        sp.attacks.pgd(NETWORK, X, Y)
    with pytest.raises(ThreatError, match=r"pgd needs a finite radius, for instance sp.L2\(0.1\)"):
        sp.attacks.pgd(NETWORK, X, Y, sp.L2())


def test_radii_in_other_units_are_refused_with_a_guess() -> None:
    with pytest.raises(ThreatError, match="did you mean 8/255"):
        sp.attacks.pgd(NETWORK, X, Y, sp.Linf(8.0))


def test_the_box_of_the_model_is_the_box_of_the_set() -> None:
    model = sp.wrap(NETWORK, bounds=(0.25, 0.75))
    x = 0.25 + X / 2
    with torch.no_grad():
        y = NETWORK(x).argmax(1)
    result = sp.attacks.pgd(model, x, y, sp.Linf(0.4))
    assert float(result.x_adv.min()) == 0.25
    assert float(result.x_adv.max()) == 0.75


def test_build_gives_the_attack_as_a_part() -> None:
    attack = get("bim").build(sp.Linf(0.1), steps=7)
    assert attack.steps == 7  # type: ignore[attr-defined]
    assert get("pgd").access is GradientAccess
    assert isinstance(get("pgd"), Recipe)


def test_zero_is_not_taken_for_a_default() -> None:
    for name, options in (
        ("bim", {"steps": 0}),
        ("apgd_ce", {"restarts": 0}),
        ("apgd_t", {"k": 0}),
        ("multi_targeted", {"k": 0}),
        ("pgd", {"restarts": 0}),
    ):
        with pytest.raises(OptionError, match=f"{next(iter(options))} must be at least 1, got 0"):
            get(name)(NETWORK, X, Y, sp.Linf(0.1), **options)
    still = sp.attacks.pgd(NETWORK, X, Y, sp.Linf(0.1), steps=2, relative_step=0.0)
    start_only = sp.attacks.pgd(NETWORK, X, Y, sp.Linf(0.1), steps=5, relative_step=0.0)
    assert torch.equal(still.x_adv, start_only.x_adv)


def test_ids_name_the_streams() -> None:
    asked = [
        sp.attacks.pgd(NETWORK, X, Y, sp.L2(1e-3), steps=1, relative_step=0.0, ids=torch.tensor(ids)).x_adv
        for ids in ([0, 1, 2], [5, 1, 9])
    ]
    same = (asked[0] == asked[1]).flatten(1).all(1)
    assert same.tolist() == [False, True, False]


INERT = {
    "auto_labels": {"tries", "starts"},
    "boundary": {"tries", "starts"},
    "geoda": {"tries", "starts"},
    "hop_skip_jump": {"tries", "starts"},  # matter only where the first start found is not adversarial
    "nes_labels": {"tries"},
    "nes_partial": {"tries"},
    "qeba": {"tries", "starts"},
    "sign_opt": {"tries", "starts"},
    "surfree": {"tries", "starts"},
    "square": {"share"},  # in a few steps the schedule shrinks the square to one pixel at once
}

TELLING = {
    "auto": {"memory": 4, "learned": 8, "greedy": 3, "steps": 14},  # more answers than it remembers, and all stages
    "bandits": {"tile": 2},
    "nattack": {"tile": 2},
    "nes": {"steps": 20, "plateau": 4},  # long enough for values to fall
    "transferable": {"kernel": 3},
    "ddn": {"steps": 20},  # below ten steps there is no second part, to which ``k`` matters
    "fmn": {"steps": 20},
    "lbfgs": {"steps": 20},  # more than it remembers
    "mimicry": {"benign": torch.rand(30, 1, 6, 6, generator=torch.Generator().manual_seed(9)), "steps": 10},
    "parsimonious": {"at_once": 8},  # fewer than there are blocks
    "rings": {"reach": 0.1},  # less than the radius
    "shrinking_rings": {"steps": 6, "width": 0.2, "reach": 0.2},  # wide rings come first
    "p_rgf": {"surrogate": sp.wrap(MLP(seed=7))},  # without one, nothing is probed
    "subspace": {"surrogate": sp.wrap(nn.Sequential(MLP(seed=7), nn.ReLU()))},  # drop-out needs an activation
}


def other_values(value: object) -> list[Any]:
    """Other values of an option of that type, larger and smaller; none where none can be guessed from the type."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1] + [value // 2] * (value > 1)
    return [1.5 * value or 0.5, 0.5 * value] if isinstance(value, float) else []


def asks_the_same(case: Case, other: Case) -> bool:
    """Whether both ask the network for the same answers and slopes, in every set; out of range is nothing new."""
    for threat in case.threats(0.5):
        seen = []
        for one in (case, other):
            recording = Recording(case.network)
            try:
                slopes = one.run(threat, model=recording).backwards
            except OptionError:
                return True
            seen.append((torch.cat(recording.asked), slopes))
        (asked, slopes), (asked_then, slopes_then) = seen
        if (
            asked.shape != asked_then.shape
            or not torch.equal(asked, asked_then)
            or not torch.equal(slopes, slopes_then)
        ):
            return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_every_option_with_a_number_changes_what_is_asked(name: str) -> None:
    """An argument that never reached the optimizer is a fault peers had."""
    case = Case.of(get(name))
    case = dc.replace(case, options={**case.options, **TELLING.get(name, {})})
    for option, value in {**get(name).options, **case.options}.items():
        others = [] if option in INERT.get(name, ()) else other_values(value)
        changed = [dc.replace(case, options={**case.options, option: other}) for other in others]
        assert not changed or not all(asks_the_same(case, one) for one in changed), f"{option} changes nothing"
