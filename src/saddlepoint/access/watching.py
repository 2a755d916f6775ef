"""What a module inside a network answers on the way to the logits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.errors import AccessError, OptionError, did_you_mean


@contextlib.contextmanager
def watching(network: object, name: str) -> Iterator[list[Tensor]]:
    """Inside, the answers of the module ``name`` are kept in a list, with their graph.

    Raises:
        AccessError: what is asked is not made of modules.
        OptionError: it has no module of that name.
    """
    module = dict(_named(network)).get(name)
    if module is None:
        raise OptionError(no_module(name, [one for one, _ in _named(network)]))
    seen: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            # A copy: the next module may write in place. Where it does, what is kept stays what was answered.
            seen.append(output.clone())

    handle = module.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def middle(network: object) -> str | None:
    """The name of the module in the middle of those with a matrix or a kernel of weights, if there are any."""
    modules = network.named_modules() if isinstance(network, nn.Module) else []
    weighty = [name for name, m in modules if name and getattr(getattr(m, "weight", None), "ndim", 0) > 1]
    return weighty[(len(weighty) - 1) // 2] if weighty else None


def open_modules(network: object) -> list[tuple[str, nn.Module]]:
    """The modules inside a network that take hooks, by name: all but those that TorchScript compiled."""
    modules = network.named_modules() if isinstance(network, nn.Module) else ()
    return [(name, module) for name, module in modules if not isinstance(module, torch.jit.ScriptModule)]


def no_module(name: str, known: Iterable[str]) -> str:
    """What is said of a name that no module of the network has."""
    names = [one for one in known if one]
    return f"the network has no module {name!r}{did_you_mean(name, names)}; it has {', '.join(names[:8]) or 'none'}"


def _named(network: object) -> list[tuple[str, nn.Module]]:
    if not isinstance(network, nn.Module):
        raise AccessError(f"a {type(network).__name__} shows nothing inside: layers can be named of an nn.Module only")
    found = [(name, module) for name, module in open_modules(network) if name]
    if isinstance(network, torch.jit.ScriptModule):
        raise AccessError("a TorchScript archive shows nothing inside: name the code that builds the network")
    return found
