"""``auto`` and ``auto_labels`` where nothing is known of slopes: within their questions, and what they are made of."""

from __future__ import annotations

import pytest

import saddlepoint as sp
from saddlepoint.attacks import get
from saddlepoint.errors import OptionError
from saddlepoint.sets import Neighborhood, kinds
from saddlepoint.testing.case import Case, telling

SETS = [pytest.param(kind, id=name) for name, kind in kinds().items()]


@pytest.mark.parametrize("steps", [1, 7, 150])
@pytest.mark.parametrize("kind", SETS)
def test_auto_asks_no_more_than_its_steps_and_finds_something(kind: type[Neighborhood], steps: int) -> None:
    case = Case.of(get("auto"), {})
    model = sp.wrap(case.network, access="scores")
    found = case.run(telling(kind, 2.0), model=model, steps=steps)
    most = steps + 11 if kind not in (sp.sets.Insertions,) else steps + 32  # the last step of estimates is whole
    assert int(found.forwards.max()) <= most + 3  # the clean input, the first point, one to confirm
    assert steps < 150 or bool(found.met.any())


@pytest.mark.parametrize("kind", SETS)
def test_auto_labels_finds_something_in_every_set(kind: type[Neighborhood]) -> None:
    case = Case.of(get("auto_labels"), {})
    model = sp.wrap(case.network, access="labels")
    found = case.run(telling(kind, 4.0), model=model, steps=8, tries=20, budget=150)
    assert bool(found.met.any())


def test_what_has_no_use_in_a_set_is_refused() -> None:
    with pytest.raises(OptionError, match="in l0 auto searches by the margin: leave objective out"):
        get("auto").attack(sp.L0(3.0), objective="cross-entropy")
    case = Case.of(get("auto_labels"), {})
    with pytest.raises(OptionError, match="to which no perturbation of spatial leads"):
        get("auto_labels").attack(sp.Spatial(1.0), candidates=case.x)
