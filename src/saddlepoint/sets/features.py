"""What a network makes of an input on the way: features in which inputs can be compared as people compare them."""

from __future__ import annotations

import contextlib
import copy
import dataclasses as dc
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from saddlepoint.access.model import Model, wrap
from saddlepoint.access.watching import watching
from saddlepoint.errors import AccessError, OptionError
from saddlepoint.shapes import Inputs

ZERO = 1e-10
"""Added to every length, so that channels which are all 0 stay so."""
_NO_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)


@dc.dataclass(frozen=True, eq=False)
class Features:
    """φ(x): the answers of layers, at each place of unit length over the channels, divided by √places; one row.

    |φ(x) - φ(x')|² is then the distance of LPIPS. Whatever is found in the network (modes, buffers, flags, hooks) is
    left so; its own randomness, if it has any, is the same for every input.

    Args:
        network: any ``nn.Module``, for inputs as the attacked model takes them, or what ``sp.wrap`` gives.
        layers: names of its modules, each with answers [N, C, *places]; by default its activations, or where none is a
            module, all that have a matrix or a kernel of weights but the last.
        heads: weights of the channels, at least 0, by the name of their layer, or a ``.safetensors`` file of them. The
            others weigh 1.
        name: what it is called in reports; by default the name of its class.

    Raises:
        AccessError: the network shows no layers. OptionError: unknown layers, heads that do not fit.

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual
    metric", CVPR 2018.

    >>> looks = Features(nn.Sequential(nn.Identity(), nn.Identity()), layers=["0"])
    >>> looks(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    network: nn.Module | Model
    layers: Sequence[str] | None = None
    heads: Mapping[str, Tensor] | Path | str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        for layer, head in self._weights.items():
            if layer not in self._layers:
                raise OptionError(f"there are heads for {layer!r}, the layers are {', '.join(self._layers)}")
            if not bool((head >= 0).all()):
                raise OptionError(f"the head of {layer!r} has a weight below 0: a distance has none")

    def __str__(self) -> str:
        return self.name or type(self._model.network).__name__.lower()

    def __call__(self, x: Inputs) -> Tensor:
        """φ of x [N, *D], differentiable: [N, F]."""
        model = copy.copy(self._model)  # its count of questions stays as it is
        with model.quiet(), contextlib.ExitStack() as open_ones:
            seen = {name: open_ones.enter_context(watching(model.network, name)) for name in self._layers}
            model.raw(x)
            rows = [self._row(name, one, len(x)) for name in self._layers for one in seen[name]]
        if not rows:
            raise AccessError(f"none of {', '.join(self._layers)} answered with a tensor: name other layers")
        return torch.cat(rows, 1).to(device=x.device, dtype=x.dtype)

    @property
    def rounding(self) -> float:
        """The spacing of the network's numbers at 1."""
        dtype = self._model.dtype
        return torch.finfo(dtype).eps if dtype is not None else 0.0

    def _row(self, name: str, answer: Tensor, n: int) -> Tensor:
        if answer.ndim < 2 or len(answer) != n:
            raise AccessError(
                f"{name!r} answers {list(answer.shape)} to {n} inputs: name layers of [N, channels, *places]"
            )
        channels = answer.flatten(2) if answer.ndim > 2 else answer.unsqueeze(2)
        length = torch.linalg.vector_norm(channels, dim=1, keepdim=True) + ZERO
        unit: Tensor = channels / (length * math.sqrt(channels.shape[2]))
        if name in self._weights:
            head = self._weights[name].to(unit)
            if head.numel() != unit.shape[1]:
                raise OptionError(f"the head of {name!r} has {head.numel()} weights for {unit.shape[1]} channels")
            unit = unit * head.sqrt().view(1, -1, 1)
        return unit.flatten(1)

    @cached_property
    def _model(self) -> Model:
        return self.network if isinstance(self.network, Model) else wrap(self.network)

    @cached_property
    def _layers(self) -> tuple[str, ...]:
        return tuple(usual_layers(self._model.network) if self.layers is None else self.layers)

    @cached_property
    def _weights(self) -> dict[str, Tensor]:
        if self.heads is None:
            return {}
        found = self.heads if isinstance(self.heads, Mapping) else _read(Path(self.heads))
        return {name: head.detach().flatten() for name, head in found.items()}


def usual_layers(network: object) -> list[str]:
    """The activations of a network; where none is a module, what has a matrix or kernel of weights, but the last.

    Raises:
        AccessError: there are neither.
    """
    named = list(network.named_modules()) if isinstance(network, nn.Module) else []
    active = [name for name, m in named if name and _is_activation(m)]
    weighty = [name for name, m in named if name and getattr(getattr(m, "weight", None), "ndim", 0) > 1]
    if not (active or weighty[:-1]):
        raise AccessError(
            f"a {type(network).__name__} shows no layers to compare inputs by: give features of another network,"
            " sp.Perceptual(0.5, network=Features(...))"
        )
    return active or weighty[:-1]


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == nn.ReLU.__module__ and not isinstance(module, _NO_ACTIVATIONS)


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        raise OptionError(f"heads come from a .safetensors file, got {path}")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise OptionError(f"{path} cannot be read: {error}") from error
