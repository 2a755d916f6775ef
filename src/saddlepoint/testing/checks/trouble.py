"""Networks and inputs that are easily stumbled over: no slope, no decision, corners of the box, few classes, dtypes."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from saddlepoint.access.model import wrap
from saddlepoint.attacks.recipe import Recipe
from saddlepoint.core.goal import Goal
from saddlepoint.core.result import Status
from saddlepoint.testing.case import SPARSE, Case
from saddlepoint.testing.checks.demands import demand, feasible, sound
from saddlepoint.testing.problems import MLP, Constant, not_a_number, single_sigmoid, undecided, zero_gradient


def takes_any_dtype(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Inputs in float32 and float64, networks in float32, float64 and bfloat16."""
    case = Case.of(recipe, options)
    for inputs in (torch.float32, torch.float64):
        x = case.x.to(inputs)
        for weights in (torch.float32, torch.float64, torch.bfloat16):
            model = wrap(MLP(seed=1, dtype=weights))
            with torch.no_grad():
                goal = Goal(model(x).argmax(1))
            for threat in case.natural():
                sound(case.run(threat, model=model, x=x, y=goal.label), x, threat, model, goal)


def survives_zero_gradients(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """A network with no slope anywhere, and one that always says the same: an honest end, no NaN."""
    case = Case.of(recipe, options)
    masked, constant = zero_gradient(case.network), Constant()
    with torch.no_grad():
        y = masked(case.x).argmax(1)
    for threat in [*case.threats(), *case.natural()]:
        sound(case.run(threat, model=masked, y=y), case.x, threat, masked, Goal(y))
        always = torch.zeros_like(y)
        result = case.run(threat, model=constant, y=always)
        sound(result, case.x, threat, constant, Goal(always))
        demand(~result.met, f"{threat}: a network that always says 0 cannot be fooled")


def survives_not_a_number(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """A network that answers NaN is never counted as fooled, and makes no NaN inputs."""
    case = Case.of(recipe, options)
    for threat in case.threats():
        result = case.run(threat, model=not_a_number())
        feasible(result, case.x, threat)
        demand(~result.met & (result.status == Status.HELD), f"{threat}: NaN taken for {result.status.tolist()}")


def leaves_the_misclassified_alone(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Where every label is wrong already: status CLEAN, size 0, the input itself, one forward, no backward."""
    case = Case.of(recipe, options)
    y = (case.y + 1) % 4
    for threat in case.natural():
        result = case.run(threat, y=y)
        sound(result, case.x, threat, case.network, Goal(y))
        demand(result.status == Status.CLEAN, f"{threat}: status {result.status.tolist()}, not CLEAN")
        demand(torch.equal(result.x_adv, case.x), f"{threat}: a misclassified input was changed")
        demand((result.forwards == 1) & (result.backwards == 0), f"{threat}: a misclassified input was attacked")


def does_nothing_at_radius_0(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """A ball of radius 0 holds the input alone."""
    case = Case.of(recipe, options)
    for threat in case.threats(0.0):
        result = case.run(threat)
        sound(result, case.x, threat, case.network, Goal(case.y))
        demand(torch.equal(result.x_adv, case.x) and not bool(result.met.any()), f"{threat}: changed the input")


def respects_each_radius(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """A radius for each sample, 0 among them: none is exceeded, and each answer is that of its own radius alone."""
    case = Case.of(recipe, options)
    factors = torch.tensor([0.0, 0.3, 1.0, 3.0, 1.0, 0.1, 2.0, 0.6], dtype=case.x.dtype)
    for threat in case.threats():
        radii = factors * threat.radius
        each = dc.replace(threat, radius=radii)
        result = case.run(each)
        sound(result, case.x, each, case.network, Goal(case.y))
        for i in (2, 3, 7):
            one, row = dc.replace(threat, radius=float(radii[i])), torch.tensor([i])
            own = case.run(one, x=case.x[row], y=case.y[row], ids=row)
            demand(torch.equal(own.met, result.met[row]), f"{threat}: sample {i} ends otherwise at its radius alone")


def respects_masks(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Entries outside a mask, one for all samples or one for each, are never touched."""
    case = Case.of(recipe, options)
    generator = torch.Generator().manual_seed(9)
    masks = [torch.rand(n, *case.x.shape[1:], generator=generator) < 0.5 for n in (1, len(case.x))]
    for mask in masks:
        for threat in case.natural(mask=mask):
            sound(case.run(threat), case.x, threat, case.network, Goal(case.y))
    for threat in case.natural(mask=torch.zeros_like(masks[0])):
        demand(~case.run(threat).met, f"{threat}: succeeded where nothing may change")


def handles_few_classes(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Two, three, four classes, and two as a single column of probabilities."""
    case = Case.of(recipe, options)
    networks: list[nn.Module] = [MLP(k, seed=3) for k in (2, 3, 4)]
    for network in [*networks, single_sigmoid(3)]:
        model = wrap(network)
        with torch.no_grad():
            y = model(case.x).argmax(1)
        for threat in case.natural():
            sound(case.run(threat, model=model, y=y), case.x, threat, model, Goal(y))


def solves_the_obvious(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Linear problems a hair from the boundary, gray and at corners of the box: every sample falls.

    Where perturbations are not added to the input, some may be out of reach: nothing is promised.
    In sparse balls a quarter: the steepest direction there is a single entry, which may be at its bound already.
    """
    case = Case.of(recipe, options)
    for classes in (2, 3, 4):
        for corners in (False, True):
            network, x, y = undecided(classes, corners=corners)
            for threat in (one for one in case.threats(2.0) if one.additive):
                result = case.run(threat, model=network, x=x, y=y)
                sound(result, x, threat, network, Goal(y))
                where = "at corners of the box" if corners else "inside the box"
                needed = len(x) // 4 if threat.name in SPARSE else len(x)
                enough = int(result.met.sum()) >= needed
                demand(enough, f"{threat}: {classes} classes, {where}: met only {result.met.tolist()}")


def takes_a_single_sample(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """One sample; one of flat inputs [1, D], where the set is not one of pictures."""
    case = Case.of(recipe, options)
    flat = nn.Sequential(nn.Unflatten(1, (1, 6, 6)), case.network)
    x, y = case.x[:1], case.y[:1]
    for threat in case.natural():
        sound(case.run(threat, x=x, y=y), x, threat, case.network, Goal(y))
        if threat.additive:
            sound(case.run(threat, model=flat, x=x.flatten(1), y=y), x.flatten(1), threat, flat, Goal(y))


def works_with_the_least_effort(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Every whole-numbered option at 1, alone and all together."""
    case = Case.of(recipe, options)
    counts = [name for name in case.options if isinstance(case.options[name], int)]
    for chosen in [*([name] for name in counts), counts]:
        least = dc.replace(case, options={**case.options, **dict.fromkeys(chosen, 1)})
        for threat in case.threats():
            result = least.run(threat)
            sound(result, case.x, threat, case.network, Goal(case.y))
