"""Every registered attack against every check of the public suite."""

from __future__ import annotations

import dataclasses as dc

import pytest

from saddlepoint.attacks import Recipe, catalog
from saddlepoint.testing import checks
from saddlepoint.testing.case import Case, Check

ANYWHERE = {
    "asks_no_more_than_it_says",
    "follows_its_seed",
    "handles_few_classes",
    "ignores_the_form_of_tensors",
    "ignores_the_mode_of_autograd",
    "ignores_the_order",
    "ignores_the_scale_of_logits",
    "ignores_those_already_misclassified",
    "knows_what_counts",
    "leaves_a_stochastic_network_alone",
    "leaves_no_trace",
    "leaves_no_trace_after_an_error",
    "names_every_device",
    "survives_not_a_number",
    "survives_running_out_of_memory",
    "works_with_the_least_effort",
}
"""What has nothing to do with the geometry of a set: looked at in one of an attack's sets, another for other checks."""

SEVERAL = 3
"""In so many of its sets an attack is looked at by all other checks; which, differs from check to check."""


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.__name__)
@pytest.mark.parametrize("recipe", catalog().values(), ids=lambda recipe: recipe.name)
def test_conforms(recipe: Recipe, check: Check) -> None:
    kinds = Case.of(recipe).kinds
    first, many = len(check.__name__) + len(recipe.name), 1 if check.__name__ in ANYWHERE else min(SEVERAL, len(kinds))
    check(dc.replace(recipe, sets=tuple(kinds[(first + i) % len(kinds)] for i in range(many))), None)


def test_all_of_these_are_checks() -> None:
    assert {check.__name__ for check in checks()} > ANYWHERE
