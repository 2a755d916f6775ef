"""The answer for a sample depends on the sample, the seed and the options: on nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from saddlepoint.access.model import wrap
from saddlepoint.attacks.recipe import Recipe
from saddlepoint.core.goal import Goal
from saddlepoint.core.result import concatenate
from saddlepoint.testing.case import Case
from saddlepoint.testing.checks.demands import demand, identical, same, sound
from saddlepoint.testing.problems import saturated, shifted
from saddlepoint.testing.tripwire import Recording, drawing


def ignores_the_batch_size(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Eight samples at once and in batches of 3 are the same eight answers (of 1: see ``ignores_compaction``)."""
    case = Case.of(recipe, options)
    for threat in case.natural():
        parts = case.run(threat, model=wrap(case.network, batch_size=3))
        same(case.run(threat), parts, f"{threat}: in batches of 3")


def ignores_the_order(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Samples in another order, or one call for each, named by their ids, get the same answers."""
    case = Case.of(recipe, options)
    ids = torch.arange(len(case.x)) + 100
    order = torch.tensor([6, 0, 7, 3, 1, 5, 2, 4])
    for threat in case.natural():
        whole = case.run(threat, ids=ids)
        mixed = case.run(threat, x=case.x[order], y=case.y[order], ids=ids[order])
        same(whole.rows(order), mixed, f"{threat}: in another order")
        alone = [case.run(threat, x=case.x[i : i + 1], y=case.y[i : i + 1], ids=ids[i : i + 1]) for i in range(3)]
        same(whole.rows(torch.arange(3)), concatenate(alone), f"{threat}: one call for each sample")


def ignores_compaction(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Whether finished samples are dropped from the batch never, or at once, changes no answer.

    Dropped at once, they also cost the same in any batch.
    """
    case = Case.of(recipe, options)
    never, at_once = case.compacted(0.0), case.compacted(1.0)
    for threat in case.natural():
        first = at_once.run(threat)
        same(never.run(threat), first, f"{threat}: without compaction")
        parts = at_once.run(threat, model=wrap(case.network, batch_size=1))
        same(first, parts, f"{threat}: in batches of 1, finished samples dropped at once", counts=True)


def ignores_those_already_misclassified(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Samples that need no attack do not change the answers of the others."""
    case = Case.of(recipe, options)
    wrong = torch.arange(len(case.y)) % 2 == 0
    y = torch.where(wrong, (case.y + 1) % 4, case.y)
    for threat in case.natural():
        mixed, all_right = case.run(threat, y=y), case.run(threat)
        keep = (~wrong).nonzero().squeeze(1)
        same(all_right.rows(keep), mixed.rows(keep), f"{threat}: beside misclassified samples")


def follows_its_seed(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """The same seed asks the same, whatever the global random state; another seed asks others, if any are drawn."""
    case = Case.of(recipe, options)
    for threat in case.natural():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            first = case.run(threat, seed=3)
            torch.manual_seed(2)
            identical(first, case.run(threat, seed=3), f"{threat}: with the same seed")
        asked = []
        for seed in (3, 4):
            recording = Recording(case.network)
            with drawing() as draws:
                case.run(threat, model=recording, seed=seed)
            asked.append(torch.cat(recording.asked))
        alike = asked[0].shape == asked[1].shape and torch.equal(asked[0], asked[1])
        what = "is ignored" if draws else "matters"
        demand(alike == (not draws), f"{threat}: {len(draws)} draws, but the seed {what}")


def ignores_the_scale_of_logits(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Logits plus or minus 50, or times 1e4 or 1e-4: the same success, at the same sizes."""
    case = Case.of(recipe, options)
    changed = {
        "plus 50": shifted(case.network, 50.0),
        "minus 50": shifted(case.network, -50.0),
        "times 1e4": saturated(case.network, 1e4),
        "times 1e-4": saturated(case.network, 1e-4),
    }
    for threat in case.natural():
        plain = case.run(threat)
        for how, network in changed.items():
            other = case.run(threat, model=network)
            sound(other, case.x, threat, network, Goal(case.y))
            demand(torch.equal(plain.met, other.met), f"{threat}: logits {how}: met {plain.met} becomes {other.met}")
            gone = (plain.size - other.size)[plain.met].abs()
            demand(gone <= 1e-4, f"{threat}: logits {how}: sizes change by {gone.tolist()}")


def ignores_the_mode_of_autograd(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Called under ``no_grad`` or ``inference_mode``, with inputs made there: the same answer."""
    case = Case.of(recipe, options)
    for threat in case.natural():
        plain = case.run(threat)
        for name, mode in (("no_grad", torch.no_grad()), ("inference_mode", torch.inference_mode())):
            with mode:
                result = case.run(threat, x=case.x.clone(), y=case.y.clone())
            identical(plain, result, f"{threat}: under {name}")


def ignores_the_form_of_tensors(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Inputs that are transposed, expanded or strided views, labels that are expanded: the same answers."""
    case = Case.of(recipe, options)
    views = {
        "transposed": (case.x.transpose(2, 3).contiguous().transpose(2, 3), case.y),
        "channels last": (case.x.to(memory_format=torch.channels_last), case.y),
        "strided": (case.x.repeat_interleave(2, 0)[::2], case.y.repeat_interleave(2)[::2]),
    }
    for threat in case.natural():
        plain = case.run(threat)
        for form, (x, y) in views.items():
            same(plain, case.run(threat, x=x, y=y), f"{threat}: {form}")
        one = case.x[:1].expand(4, -1, -1, -1)
        result = case.run(threat, x=one, y=case.y[:1].expand(4))
        sound(result, one, threat, case.network, Goal(case.y[:1].expand(4)))
