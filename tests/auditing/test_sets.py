"""Audits in sets that are no balls of entries: stored with the perturbations that are not added, and verified."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import saddlepoint as sp
from saddlepoint.auditing import audit
from saddlepoint.auditing.piece import Evidence
from saddlepoint.auditing.verify import _measured
from saddlepoint.sets import Neighborhood

RADII = {
    sp.Perceptual: 0.5,
    sp.Spatial: 1.0,
    sp.Flow: 0.6,
    sp.Recolor: 0.2,
    sp.Wasserstein: 0.05,
    sp.Latent: 1.0,
    sp.Corruption: 5.0,
    sp.Composed: 1.0,
}
FEW = {sp.Perceptual: 4}
"""Samples where each step costs tens of passes."""


@pytest.mark.parametrize("kind", RADII, ids=lambda kind: kind.name)
def test_an_audit_in_any_set_can_be_verified(kind: type[Neighborhood], tmp_path: Path) -> None:
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{FEW.get(kind, 24)}]")
    one = audit(
        sp.zoo.load("fashion-pgd-linf"), data=data, threat=kind(RADII[kind]), plan="quick", out=tmp_path / "run"
    )
    seen = one.summary()
    assert seen.threats[0].robust.correct < seen.clean.correct
    assert seen.complete
    assert not [doubt for doubt in seen.doubts if doubt.weight != "note"]
    again = one.verify()
    assert again.checked >= seen.clean.correct - seen.threats[0].robust.correct
    assert again.ok
    stored = [load_file(path) for path in (tmp_path / "run" / "inputs").rglob("*.safetensors")]
    assert stored
    assert all(("delta" in tensors) != kind.additive for tensors in stored)


def test_what_the_perturbation_does_not_make_is_a_fault() -> None:
    x = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    threat = sp.Flow(1.0)
    delta = torch.full_like(threat.zero(x), 0.3)
    good = threat.apply(x, delta)
    bad = good.clone()
    bad[1, 0, 2, 2] += 0.01
    size, apart = _measured(threat, Evidence(torch.arange(3), x, bad, delta), x, bad)
    assert apart.tolist() == [False, True, False]
    torch.testing.assert_close(size, torch.full((3,), 0.3 * 2**0.5, dtype=torch.float64))
    size, apart = _measured(threat, Evidence(torch.arange(3), x, good), x, good)
    assert bool(apart.all())
    assert bool(size.isinf().all())
