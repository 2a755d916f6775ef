"""An attack leaves no trace: not in the network, not in random states, not in what it was given, not after an error."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.model import wrap
from saddlepoint.attacks.recipe import Recipe
from saddlepoint.errors import AccessError
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.testing.case import Case
from saddlepoint.testing.checks.demands import demand, identical, unchanged
from saddlepoint.testing.problems import ConvNet, stochastic
from saddlepoint.testing.snapshot import Snapshot
from saddlepoint.testing.tripwire import FailsAt, Homeless, LabelOnly, ScoresOnly


def leaves_no_trace(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Parameters, their gradients and flags, buffers, modes, random states; inputs, labels, radii, masks: untouched."""
    case = Case.of(recipe, options)
    network, x, y = _delicate(case)
    for kind in case.threats():
        mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) < 0.8
        radius = torch.linspace(0.5, 2.0, len(x)) * kind.radius
        ids = torch.arange(len(x)) * 3
        before = Snapshot.of(network, x, y, mask, radius, ids)
        case.run(dc.replace(kind, radius=radius, mask=mask), model=network, x=x, y=y, ids=ids)
        unchanged(before, Snapshot.of(network, x, y, mask, radius, ids), f"{kind}: ")


def names_every_device(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Every tensor it makes is made on the device of the inputs, not where tensors happen to be made."""
    case = Case.of(recipe, options)
    for threat in [*case.threats(), *case.natural()]:
        with Homeless() as homeless:
            case.run(threat, budget=50)
        demand(not homeless.found, f"{threat}: no device named at {', '.join(sorted(set(homeless.found)))}")


def leaves_a_stochastic_network_alone(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """The randomness of the network itself is seeded, and put back: the same answer twice, no trace."""
    case = Case.of(recipe, options)
    network = stochastic(case.network)
    for threat in case.natural():
        before = Snapshot.of(network, case.x)
        first = case.run(threat, model=network)
        unchanged(before, Snapshot.of(network, case.x), f"{threat}: ")
        torch.rand(3)  # the global state moves on; the answer must not
        identical(first, case.run(threat, model=network), f"{threat}: a stochastic network")


def leaves_no_trace_after_an_error(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """When the network breaks at its k-th call, the error comes through, and everything is put back all the same."""
    case = Case.of(recipe, options)
    for threat in case.natural():
        plain = None
        for call in (1, 3):
            network, x, y = _delicate(case)
            broken = FailsAt(network, call)
            before = Snapshot.of(broken, x, y)
            came_through = _breaks(case, threat, broken, x, y)
            demand(came_through == (broken.calls >= call), f"{threat}: an error of the network was swallowed")
            unchanged(before, Snapshot.of(broken, x, y), f"{threat}: ")
            after = case.run(threat, model=broken, x=x, y=y)
            plain = case.run(threat, model=network, x=x, y=y) if plain is None else plain
            identical(plain, after, f"{threat}: after an error at call {call}")


def asks_no_more_than_it_says(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Works with the poorest access it names, on a network that breaks when more is asked; refuses a poorer one."""
    case = Case.of(recipe, options)
    poorer: dict[str, tuple[Any, ...]] = {"gradients": ("labels", "scores"), "scores": ("labels",), "labels": ()}
    for threat in case.natural():
        plain = case.run(threat)
        if recipe.access.kind == "scores":
            identical(plain, case.run(threat, model=ScoresOnly(case.network)), f"{threat}: scores only")
        if recipe.access.kind == "labels":
            met = case.run(threat, model=LabelOnly(case.network)).met
            demand(torch.equal(plain.met, met), f"{threat}: met {plain.met} with scores at hand, {met} without")
        for access in poorer[recipe.access.kind]:
            try:
                case.run(threat, model=wrap(case.network, access=access))
            except AccessError as error:
                named = recipe.name in str(error) and recipe.access.kind in str(error) and access in str(error)
                demand(named, f"the refusal of {access} does not name both sides: {error}")
            else:
                raise AssertionError(f"{threat}: works with {access} only, but asks for {recipe.access.kind}")


def _delicate(case: Case) -> tuple[ConvNet, Tensor, Tensor]:
    """A network in mixed modes with gradients gathered, a strided view of inputs that want gradients, labels."""
    network = ConvNet(seed=2)
    for i, parameter in enumerate(network.parameters()):
        if i % 2 == 0:
            parameter.grad = torch.full_like(parameter, 0.5)
    x = case.x.float().repeat_interleave(2, 0)[::2].requires_grad_()
    with wrap(network).quiet():
        y = network(x.detach()).argmax(1)
    return network, x, y


def _breaks(case: Case, threat: Neighborhood, network: FailsAt, x: Tensor, y: Tensor) -> bool:
    try:
        case.run(threat, model=network, x=x, y=y)
    except RuntimeError as error:
        demand("the model broke" in str(error), f"{threat}: the network's own error was replaced by: {error}")
        return True
    return False
