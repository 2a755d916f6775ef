"""Attacks that know balls as well, in sets that are none: perturbations are not added, or measured by features."""

from __future__ import annotations

import dataclasses as dc

import pytest

import saddlepoint as sp
from saddlepoint.attacks import get
from saddlepoint.errors import OptionError
from saddlepoint.sets import NON_ADDITIVE, Neighborhood
from saddlepoint.testing import check

CHECKS = (
    "is_feasible_and_honest",
    "works_in_other_bounds",
    "counts_are_exact",
    "ignores_the_batch_size",
    "ignores_compaction",
    "does_nothing_at_radius_0",
    "respects_each_radius",
    "respects_masks",
    "takes_any_dtype",
    "survives_zero_gradients",
    "does_not_lose_by_a_larger_radius",
)


OTHERS = (*NON_ADDITIVE, sp.Perceptual)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, id=f"{name}-{kind.name}")
        for name in ("pgd", "fmn", "frank_wolfe", "rgf", "apgd_dlr")
        for kind in OTHERS
        if kind in get(name).sets
    ],
)
def test_conforms(name: str, kind: type[Neighborhood]) -> None:
    whole = name == "pgd" or (name == "fmn" and kind is not sp.Perceptual)  # there each step takes many passes
    for only in CHECKS if whole else CHECKS[:3]:
        check(dc.replace(get(name), sets=(kind,)), only=only)


def test_tiles_need_pixels() -> None:
    with pytest.raises(OptionError, match="spatial has no pixels to put on tiles"):
        get("rgf").attack(sp.Spatial(1.0), tile=2)
    get("rgf").attack(sp.Flow(1.0), tile=2)
