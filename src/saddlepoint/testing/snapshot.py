"""What an attack must leave as it found it."""

from __future__ import annotations

import dataclasses as dc
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn


@dc.dataclass(frozen=True)
class Snapshot:
    """Everything that is no business of an attack: taken by ``Snapshot.of``, compared by ``differences``."""

    facts: dict[str, object]

    @staticmethod
    def of(network: nn.Module, *tensors: Tensor) -> Snapshot:
        """Parameters, their gradients and flags, buffers, modes, hooks, all random states, and the given tensors."""
        return Snapshot(dict([*_of_network(network), *_of_randomness(), *_of_tensors(tensors)]))

    def differences(self, other: Snapshot) -> list[str]:
        """The names of what is not the same in both, to the last bit."""
        names = [*self.facts, *(name for name in other.facts if name not in self.facts)]
        return [name for name in names if not _same(self.facts.get(name), other.facts.get(name))]


def _of_network(network: nn.Module) -> Iterator[tuple[str, object]]:
    for name, parameter in network.named_parameters():
        yield f"parameter {name}", parameter.detach().clone()
        yield f"requires_grad of {name}", parameter.requires_grad
        yield f".grad of {name}", None if parameter.grad is None else parameter.grad.clone()
    for name, buffer in network.named_buffers():
        yield f"buffer {name}", buffer.clone()
    for name, module in network.named_modules():
        yield f"training flag of {name or 'the model'}", module.training
        yield f"hooks of {name or 'the model'}", (len(module._forward_hooks), len(module._forward_pre_hooks))


def _of_randomness() -> Iterator[tuple[str, object]]:
    yield "torch's random state", torch.get_rng_state()
    yield "numpy's random state", repr(np.random.get_state(legacy=False))
    yield "Python's random state", random.getstate()
    yield "autograd's mode", (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    yield "deterministic algorithms", torch.are_deterministic_algorithms_enabled()
    yield "default dtype", torch.get_default_dtype()


def _of_tensors(tensors: tuple[Tensor, ...]) -> Iterator[tuple[str, object]]:
    for i, tensor in enumerate(tensors):
        yield f"input {i}", tensor.detach().clone()
        ungraded = not tensor.is_leaf or tensor.grad is None
        yield f"form of input {i}", (tensor.shape, tensor.stride(), tensor.requires_grad, ungraded)


def _same(a: object, b: object) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.nan_to_num(), b.nan_to_num())
    return a == b
