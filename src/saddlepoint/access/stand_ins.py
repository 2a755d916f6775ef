"""Stand-ins for the backward pass of what has no slope: forward the thing itself, backward something that resembles it.

Source: Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018 (BPDA); the identity
as a stand-in for rounding: Bengio, Léonard, Courville 2013 (straight-through).
"""

from __future__ import annotations

import contextlib
import dataclasses as dc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from saddlepoint.access.watching import no_module, open_modules
from saddlepoint.errors import ModelError, OptionError

Standin = Callable[[Tensor], Tensor]
"""What the backward pass goes through in place of a module: same input, same shape of output."""
ROUNDING = frozenset(
    getattr(place, name) for place in (torch, Tensor) for name in ("round", "floor", "ceil", "trunc", "fix")
)


def identity(x: Tensor) -> Tensor:
    """x itself: the stand-in for what changes its input little."""
    return x


def check_stand_ins(network: object, given: Mapping[str, Standin] | Sequence[str]) -> dict[str, Standin]:
    """Stand-ins by the name of their module; for names alone, the identity.

    Raises:
        OptionError: the network has no module of that name.
    """
    if isinstance(given, str):
        raise OptionError(f"bpda is a list of names, or a mapping from names to stand-ins: write bpda=[{given!r}]")
    table: dict[str, Standin] = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, identity)
    known = [name for name, _ in open_modules(network) if name]
    for name in table:
        if name not in known:
            raise OptionError(f"bpda: {no_module(name, known)}")
    return table


@dc.dataclass(frozen=True)
class Faded:
    """A stand-in that is the module itself, but for slopes that are multiplied by ``factor``."""

    factor: float

    def __call__(self, output: Tensor) -> Tensor:
        """factor · output, of what the module answered."""
        return self.factor * output


@contextlib.contextmanager
def standing_in(network: object, table: Mapping[str, Standin]) -> Iterator[None]:
    """Inside, slopes pass each named module through its stand-in; what it answers stays the same, bit for bit."""
    modules = dict(network.named_modules()) if isinstance(network, nn.Module) else {}
    handles: list[RemovableHandle] = []
    try:
        for name, standin in table.items():
            given = _Given(name, standin)
            handles.append(modules[name].register_forward_pre_hook(given.before))
            handles.append(modules[name].register_forward_hook(given.after))
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Given:
    """What a module was given, kept from a module that overwrites it."""

    def __init__(self, name: str, standin: Standin) -> None:
        self.name, self.standin = name, standin
        self.inputs: list[Tensor] = []

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Remember the input, and hand the module a copy if it works in place."""
        if not torch.is_grad_enabled() or not args or not isinstance(args[0], Tensor):
            return None
        self.inputs.append(args[0])
        return (args[0].clone(), *args[1:]) if getattr(module, "inplace", False) else None

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor | None:
        """The answer, with the slope of the stand-in."""
        if not torch.is_grad_enabled() or not args or not isinstance(args[0], Tensor):
            return None
        x = self.inputs.pop()
        if not isinstance(output, Tensor):
            raise ModelError(f"bpda: module {self.name!r} answers a {type(output).__name__}; a stand-in needs a tensor")
        return passed(output, self.standin(output if isinstance(self.standin, Faded) else x), self.name)


def passed(output: Tensor, through: Tensor, name: str) -> Tensor:
    """``output`` with the slope of ``through``.

    Raises:
        ModelError: their shapes differ.
    """
    if output.shape != through.shape:
        raise ModelError(
            f"bpda: {name!r} answers {list(output.shape)}, its stand-in {list(through.shape)}: they must be of the same"
            " shape"
        )
    return output.detach() + (through - through.detach()).to(output.dtype)


class SmoothRounding(TorchFunctionMode):
    """Inside, slopes pass ``round``, ``floor``, ``ceil`` and ``trunc`` as if nothing were rounded."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The answer of ``func``, with a slope if it rounds."""
        output = func(*args, **(kwargs or {}))
        rounds = func in ROUNDING and bool(args) and isinstance(args[0], Tensor) and args[0].requires_grad
        return passed(output, args[0], "rounding") if rounds and torch.is_grad_enabled() else output
