"""Stand-ins for the backward pass of what has no slope: forward the thing itself, backward something that resembles it.

Source: Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018 (BPDA); the identity
as a stand-in for rounding: Bengio, Léonard, Courville 2013 (straight-through).
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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
    known = [name for name, _ in network.named_modules() if name] if isinstance(network, nn.Module) else []
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known[:8]) or 'none'}"
            raise OptionError(f"bpda: the network has no module {name!r}; {hint}")
    return table


@contextlib.contextmanager
def standing_in(network: object, table: Mapping[str, Standin]) -> Iterator[None]:
    """Inside, slopes pass each named module through its stand-in; what it answers stays the same, bit for bit."""
    modules = dict(network.named_modules()) if isinstance(network, nn.Module) else {}
    handles = [modules[name].register_forward_hook(_hook(name, g)) for name, g in table.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(name: str, standin: Standin) -> Callable[[nn.Module, tuple[Any, ...], Any], Tensor | None]:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor | None:
        if not torch.is_grad_enabled() or not args or not isinstance(args[0], Tensor):
            return None
        if not isinstance(output, Tensor):
            raise ModelError(f"bpda: module {name!r} answers a {type(output).__name__}; a stand-in needs a tensor")
        return passed(output, standin(args[0]), name)

    return hook


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
