"""Weights from a file: safetensors, or a state dict of plain tensors. Nothing is ever unpickled."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from saddlepoint.errors import ModelError

SHOWN = 3
"""How many differing entries of a state dict an error names."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights by name, on the CPU.

    Raises:
        ModelError: missing, damaged, of another kind, or with more in it than tensors.
    """
    if not path.is_file():
        raise ModelError(f"no file of weights at {path}")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ModelError(f"{path} is no whole safetensors file: {error}") from error
    if path.suffix not in {".pt", ".pth"}:
        raise ModelError(
            f"{path}: weights of the kind {path.suffix or 'without a suffix'} are not read; expected .safetensors, or"
            " .pt or .pth with a state dict of plain tensors"
        )
    return _plain(_load_tensors(path), path)


def fit(network: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Put ``state`` into ``network``; every entry must be there, with its shape, and no other.

    An entry that shares its memory with one that is there (tied weights) may be left out, as safetensors files do.

    Raises:
        ModelError: the first entries that differ.
    """
    own: dict[str, Tensor] = network.state_dict()
    there = {_memory(own[name]) for name in state.keys() & own.keys()}
    differences = [f"{k} is missing in the file" for k in own if k not in state and _memory(own[k]) not in there]
    differences += [f"{k} is in the file only" for k in state if k not in own]
    differences += [
        f"{k} is {list(state[k].shape)} in the file, {list(own[k].shape)} in the model"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    if differences:
        more = len(differences) - SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        raise ModelError(
            f"the weights of {origin} do not fit {type(network).__name__}: {'; '.join(differences[:SHOWN])}{rest}"
        )
    network.load_state_dict(state, strict=False)


def _load_tensors(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} is damaged, or holds more than tensors, which is not read because it could run code; save the"
            " weights alone: safetensors.torch.save_file(net.state_dict(), 'net.safetensors')"
        ) from error


def _plain(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and content and all(isinstance(v, Tensor) for v in content.values()):
        return {str(k): v for k, v in content.items()}
    keys = f" with {', '.join(map(repr, list(content)[:SHOWN]))}" if isinstance(content, Mapping) else ""
    raise ModelError(
        f"{path} holds a {type(content).__name__}{keys}; expected a state dict, tensors by name: save"
        " net.state_dict() alone"
    )


def _memory(t: Tensor) -> tuple[int, torch.Size, tuple[int, ...]]:
    return t.data_ptr(), t.shape, t.stride()
