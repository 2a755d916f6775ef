"""Every registered attack against every check of the public suite."""

from __future__ import annotations

import pytest

from saddlepoint.attacks import Recipe, catalog
from saddlepoint.testing import checks
from saddlepoint.testing.case import Check


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.__name__)
@pytest.mark.parametrize("recipe", catalog().values(), ids=lambda recipe: recipe.name)
def test_conforms(recipe: Recipe, check: Check) -> None:
    check(recipe, None)
