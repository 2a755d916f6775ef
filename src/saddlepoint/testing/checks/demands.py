"""What every answer of every attack must fulfil, whatever was asked."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.model import Box, Model, wrap
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import tolerance
from saddlepoint.core.result import Result, Status
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.testing.snapshot import Snapshot

SUCCESS = (Status.FOOLED, Status.CLEAN)


def demand(condition: bool | Tensor, complaint: str) -> None:
    """Raise AssertionError with the complaint unless the condition (all of it) holds."""
    if not bool(torch.as_tensor(condition).all()):
        raise AssertionError(complaint)


def unchanged(before: Snapshot, after: Snapshot, where: str = "") -> None:
    """Nothing is other than before; ``where``, a word for the message."""
    changed = before.differences(after)
    demand(not changed, f"{where}changed {', '.join(changed)}")


def feasible(result: Result, x: Tensor, threat: Neighborhood, box: Box = Box()) -> None:
    """In the ball, in the box, off the mask, free of NaN, of the form of the inputs; sizes as recomputed.

    A size may exceed the radius by ``tolerance(radius, dtype)``: 1e-6 of it in float64, 8e-6 in float32.
    """
    threat = dc.replace(threat, box=box)
    x_adv, delta = result.x_adv, result.delta
    demand(x_adv.shape == x.shape and x_adv.dtype == x.dtype, f"{threat}: x_adv is {x_adv.dtype} {list(x_adv.shape)}")
    demand(x_adv.isfinite(), f"{threat}: x_adv holds NaN or infinity")
    demand((x_adv >= box.low) & (x_adv <= box.high), f"{threat}: x_adv leaves the box {box}")
    size = threat.size(x.double(), x_adv.double() - x.double() if threat.additive else delta.double())
    radius = threat.radii(x)
    slack = tolerance(radius, x.dtype)
    rounding = 64 * torch.finfo(x.dtype).eps
    demand(size <= radius + slack + (rounding if threat.name != "l0" else 0), f"{threat}: sizes {size.tolist()}")
    demand(torch.equal(threat.apply(x, delta), x_adv), f"{threat}: delta and x_adv do not belong together")
    recomputed = threat.size(x.double(), delta.double()).to(x.dtype)
    demand(torch.equal(result.size, recomputed), f"{threat}: reports sizes {result.size.tolist()}, not {recomputed}")
    if threat.mask is not None:
        demand(((x_adv == x) | threat.mask), f"{threat}: changed what the mask protects")


def honest(result: Result, model: torch.nn.Module | Model, goal: Goal) -> None:
    """``met`` is what a fresh forward on ``x_adv`` says; status, size and counts agree with it."""
    wrapped = model if isinstance(model, Model) else wrap(model)
    with wrapped.quiet():
        logits = wrapped(result.x_adv).detach()
    reached = goal.reached(logits)
    demand(torch.equal(result.met, reached), f"met is {result.met.tolist()}, a fresh forward says {reached.tolist()}")
    named = torch.zeros_like(result.met)
    for status in SUCCESS:
        named |= result.status == status
    demand(torch.equal(named, result.met), f"status {result.status.tolist()} does not fit met {result.met.tolist()}")
    clean = result.status == Status.CLEAN
    demand(result.size[clean] == 0, "a sample of status CLEAN has a size other than 0")
    demand(result.forwards >= 1, "a sample was answered without asking the model")
    demand((result.backwards >= 0) & (result.steps >= 0), "negative counts")
    for name in (f.name for f in dc.fields(Result)):
        value = getattr(result, name)
        demand(len(value) == len(result.met), f"{name} has {len(value)} rows, not {len(result.met)}")
        demand(not value.requires_grad and not value.is_inference(), f"{name} still belongs to a graph")


def sound(result: Result, x: Tensor, threat: Neighborhood, model: torch.nn.Module | Model, goal: Goal) -> None:
    """Feasible and honest."""
    feasible(result, x, threat, model.box if isinstance(model, Model) else Box())
    honest(result, model, goal)


def same(a: Result, b: Result, what: str, *, counts: bool = False) -> None:
    """The same answer twice: met, status and steps exactly, inputs and sizes to 1e-6 of their range.

    Of two steps whose values differ in the last digits alone either may be the best of a sample that is not fooled.
    """
    tied = ~a.met & ~b.met & ((a.value - b.value).abs() <= 1e-12)
    for name in ("met", "status", *(("forwards", "backwards") if counts else ())):
        first, second = getattr(a, name), getattr(b, name)
        demand(torch.equal(first, second), f"{what}: {name} {first.tolist()} and {second.tolist()}")
    demand((a.steps == b.steps) | tied, f"{what}: steps {a.steps.tolist()} and {b.steps.tolist()}")
    apart = (a.x_adv - b.x_adv).abs().flatten(1).amax(1)
    demand(apart <= 1e-6, f"{what}: x_adv differs by {apart.tolist()}")
    demand(torch.allclose(a.size, b.size, rtol=1e-6, atol=1e-6), f"{what}: sizes {a.size.tolist()}, {b.size.tolist()}")


def identical(a: Result, b: Result, what: str) -> None:
    """The same answer twice, to the last bit, counts included."""
    for name in (f.name for f in dc.fields(Result)):
        first, second = getattr(a, name), getattr(b, name)
        demand(torch.equal(first.nan_to_num(), second.nan_to_num()), f"{what}: {name} differs")
