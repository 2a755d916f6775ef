"""What attacks promise that are no recipes: one perturbation for all, patches, paintings, substitutes.

>>> import saddlepoint as sp
>>> def made(network, x, seed):
...     return sp.universal(network, x, sp.Linf(0.1), epochs=1, seed=seed)
>>> mind(made, only="seed")
"""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from saddlepoint.access.model import Model
from saddlepoint.errors import SaddlepointError
from saddlepoint.testing.checks.demands import demand, unchanged
from saddlepoint.testing.problems import SHAPE, ConvNet
from saddlepoint.testing.snapshot import Snapshot
from saddlepoint.testing.tripwire import FailsAt, Homeless


class Call(Protocol):
    """An attack with everything chosen but these three."""

    def __call__(self, network: nn.Module, x: Tensor, seed: int) -> Any:
        """The answer: tensors, or dataclasses, sequences and models of them. ``x`` is [N, 1, 6, 6] in [0, 1]."""
        ...


def mind(call: Call, only: str = "") -> None:
    """Run all checks on an attack (those whose name holds ``only``); raise one error that lists all that failed.

    It leaves no trace in network, inputs and random states, after an error of the network neither; the same seed gives
    the same answer; it says where each tensor is made; it keeps the dtype; it refuses inputs that are none.

    Raises:
        AssertionError: one line for each failed check.
    """
    failures = []
    for check in CHECKS:
        if only in check.__name__:
            try:
                check(call)
            except Exception as error:
                failures.append(f"{check.__name__}: {type(error).__name__}: {error}")
    if failures:
        raise AssertionError(f"{len(failures)} checks fail:\n" + "\n".join(failures))


def leaves_no_trace(call: Call) -> None:
    """Parameters, gradients, flags, buffers, modes, random states and inputs are as before."""
    network, x = _scene()
    before = Snapshot.of(network, x)
    call(network, x, 0)
    unchanged(before, Snapshot.of(network, x))


def leaves_no_trace_after_an_error(call: Call) -> None:
    """An error of the network comes through, and all is put back."""
    for k in (1, 3):
        network, x = _scene()
        broken = FailsAt(network, k)
        before = Snapshot.of(broken, x)
        try:
            call(broken, x, 0)
        except Exception as error:
            demand(not isinstance(error, AssertionError), f"the error at call {k} became {error}")
        else:
            demand(broken.calls < k, f"an error at call {k} was swallowed")
        unchanged(before, Snapshot.of(broken, x))


def follows_its_seed(call: Call) -> None:
    """The same seed, the same answer, whatever was drawn meanwhile."""
    network, x = _scene()
    first = list(_tensors(call(network, x, 0)))
    torch.rand(3)
    again = list(_tensors(call(network, x, 0)))
    demand(bool(first), "the answer holds no tensor")
    same = [
        a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(first, again, strict=True)
    ]
    demand(all(same), f"{same.count(False)} of {len(same)} tensors of the answer differ at the same seed")


def names_every_device(call: Call) -> None:
    """Every tensor is made on the device of the inputs."""
    network, x = _scene()
    with Homeless() as homeless:
        call(network, x, 0)
    demand(not homeless.found, f"no device named at {', '.join(sorted(set(homeless.found)))}")


def keeps_the_dtype(call: Call) -> None:
    """Inputs of double precision are answered in it."""
    for dtype in (torch.float32, torch.float64):
        network, x = _scene(dtype)
        kinds = {t.dtype for t in _tensors(call(network, x, 0)) if t.is_floating_point()}
        demand(kinds <= {dtype}, f"inputs of {dtype} are answered in {kinds}")


def refuses_bad_inputs(call: Call) -> None:
    """NaN, and values out of range, are one error of this package."""
    for value in (torch.nan, 7.0):
        network, x = _scene()
        x[0, 0, 0, 0] = value
        try:
            call(network, x, 0)
        except SaddlepointError:
            continue
        raise AssertionError(f"an input that holds {value} is taken")


CHECKS: tuple[Callable[[Call], None], ...] = (
    leaves_no_trace,
    leaves_no_trace_after_an_error,
    follows_its_seed,
    names_every_device,
    keeps_the_dtype,
    refuses_bad_inputs,
)


def _scene(dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    """A network with much to lose (modes, gradients, flags, buffers), and eight inputs."""
    network = ConvNet().to(dtype)
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    x = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return network, x.to(dtype)


def _tensors(answer: Any) -> Iterator[Tensor]:
    """All tensors in an answer."""
    if isinstance(answer, Tensor):
        yield answer.detach()
    elif isinstance(answer, Model):
        yield from _tensors(answer.network)
    elif isinstance(answer, nn.Module):
        yield from (p.detach() for p in answer.parameters())
    elif dc.is_dataclass(answer) and not isinstance(answer, type):
        for field in dc.fields(answer):
            yield from _tensors(getattr(answer, field.name))
    elif isinstance(answer, (list, tuple)):
        for part in answer:
            yield from _tensors(part)
