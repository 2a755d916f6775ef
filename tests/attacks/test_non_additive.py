"""Attacks that know balls as well, in sets that are none: perturbations are not added, or measured by features."""

from __future__ import annotations

import dataclasses as dc
from typing import Literal

import pytest
import torch

import saddlepoint as sp
from saddlepoint.attacks import get
from saddlepoint.errors import OptionError
from saddlepoint.sets import NON_ADDITIVE, Generator, Mixing, Neighborhood, Waves
from saddlepoint.testing import check
from saddlepoint.testing.case import COSTLY, RADII
from saddlepoint.testing.problems import SHAPE

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
OTHERS = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(3))
MIXING = Mixing("others", Waves(6), Waves(6).encode(OTHERS))


OTHERS = (*NON_ADDITIVE, *COSTLY)


WHOLE = ("pgd", "fmn")
MORE = ("frank_wolfe", "rgf", "bandits", "vni_fgsm", "apgd_dlr", "apgd_t", "zo_adamm", "auto")
"""Of these the first three checks; of some, in a perceptual ball, where each step takes many passes, the first."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, id=f"{name}-{kind.name}")
        for name in (*WHOLE, *MORE)
        for kind in OTHERS
        if kind in get(name).sets
    ],
)
def test_conforms(name: str, kind: type[Neighborhood]) -> None:
    several = 1 if kind is sp.Perceptual and name != "pgd" else 3
    whole = name in WHOLE and kind is not sp.Perceptual
    for only in CHECKS if whole else CHECKS[:several]:
        check(dc.replace(get(name), sets=(kind,)), only=only)


@dc.dataclass(frozen=True)
class Cube(sp.Latent):
    """Slow waves, each of which changes by so much at most."""

    shape: Literal["ball", "cube", "simplex"] = dc.field(default="cube", kw_only=True)


@dc.dataclass(frozen=True)
class Simplex(sp.Latent):
    """Mixtures with three other pictures."""

    generator: Generator | str = dc.field(default=MIXING, kw_only=True)
    shape: Literal["ball", "cube", "simplex"] = dc.field(default="simplex", kw_only=True)


@pytest.mark.parametrize(("kind", "radius"), [(Cube, 0.1), (Simplex, 0.3)])
@pytest.mark.parametrize("name", ["pgd", "fmn", "worst_of"])
def test_conforms_in_other_shapes_of_codes(
    name: str, kind: type[Neighborhood], radius: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RADII, kind, radius)
    for only in CHECKS:
        check(dc.replace(get(name), sets=(kind,)), only=only)


def test_tiles_need_pixels() -> None:
    with pytest.raises(OptionError, match="spatial has no pixels to put on tiles"):
        get("rgf").attack(sp.Spatial(1.0), tile=2)
    get("rgf").attack(sp.Flow(1.0), tile=2)
