from __future__ import annotations

import dataclasses as dc

import torch

import saddlepoint as sp
from saddlepoint.attacks import Cascade, EachTarget, Iterate, SearchWeight
from saddlepoint.attacks.narrow import narrowed
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.optimizers import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import Linf
from saddlepoint.testing.problems import MLP, SHAPE

KEEP = torch.tensor([2, 0])
MASK = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)) < 0.5


def one(threat: Linf) -> Iterate[object]:  # type: ignore[type-var]
    return Iterate(threat, margin, Ascent(backprop, constant(0.3)), zero, 3)  # type: ignore[type-var, arg-type]


def test_reaches_the_sets_of_nested_attacks() -> None:
    nested = Cascade([one(Linf(mask=MASK)), EachTarget(SearchWeight(one(Linf(mask=MASK))))])  # type: ignore[type-var]
    first, second = narrowed(nested, KEEP).attacks
    deep = second.attack.attack  # type: ignore[attr-defined]
    for attack in (first, deep):
        assert torch.equal(attack.set.mask, MASK[KEEP])


def test_what_holds_nothing_of_single_samples_stays_the_same_object() -> None:
    for threat in (Linf(0.1), Linf(0.1, mask=MASK[:1])):
        attack = Cascade([one(threat)])  # type: ignore[type-var]
        assert narrowed(attack, KEEP) is attack


def test_radii_of_single_samples_are_narrowed_too() -> None:
    attack = narrowed(one(Linf(torch.arange(4.0))), KEEP)
    assert dc.asdict(attack)["set"]["radius"].tolist() == [2, 0]


def test_a_mask_for_each_sample_stays_with_its_sample_through_stages_and_targets() -> None:
    """Survivors of a stage, and samples beside misclassified ones, once met the mask of another sample."""
    network = MLP(seed=1)
    x = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    with torch.no_grad():
        y = network(x).argmax(1)
    y[1] = (y[1] + 1) % 4
    for name, options in (("pgd", {"restarts": 3, "steps": 3}), ("apgd_t", {"steps": 3, "k": 3})):
        result = sp.attacks.get(name)(network, x, y, sp.Linf(0.01, mask=MASK), **options)
        assert torch.equal((result.x_adv != x) & ~MASK, torch.zeros_like(MASK))
        assert bool(((result.x_adv != x) & MASK)[[0, 2, 3]].flatten(1).any(1).all())
