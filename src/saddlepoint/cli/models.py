"""From what is typed for a model to the model: a shipped network, or one that the user's own code builds.

Nothing is ever unpickled: weights are read from safetensors, or from a state dict of plain tensors.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from saddlepoint.access import Model
from saddlepoint.errors import ModelError, SaddlepointError
from saddlepoint.zoo import models as zoo

GRAMMAR = "zoo:NAME, or package.module:callable with a callable that builds an nn.Module"
SHOWN = 3
"""How many differing entries of a state dict an error names."""


def resolve_model(spec: str, weights: Path | None = None) -> nn.Module | Model:
    """The model that ``spec`` names, with the weights of a file if one is given.

    Args:
        spec: ``zoo:NAME``, or ``package.module:callable``, looked up in the working folder first. The callable is an
            ``nn.Module`` (or the answer of ``sp.wrap``), or gives one when called without arguments.
        weights: ``.safetensors``, or ``.pt``/``.pth`` with nothing but tensors in it; must fit exactly.

    Raises:
        ModelError, OptionError: no such module, name or network, weights that do not fit; the message says what to do.

    >>> type(resolve_model("zoo:fashion-standard")).__name__
    'ConvNet'
    """
    place, colon, name = spec.partition(":")
    if not colon or not place or not name:
        raise ModelError(f"{spec!r} is no model: expected {GRAMMAR}{_hint(spec)}")
    made = zoo.load(name) if place == "zoo" else _built(place, name)
    if weights is not None:
        network = made.network if isinstance(made, Model) else made
        if not isinstance(network, nn.Module):
            raise ModelError(f"{spec} is no nn.Module, so it cannot take the weights of {weights}")
        fit(network, read_weights(weights), str(weights))
    return made


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


def check_shape(model: Model, x: Tensor, data: str) -> None:
    """Ask the model for one sample x [1, *D], so that a misfit of model and data is told before anything is run.

    Raises:
        ModelError: the shape of the samples, and the layer that could not take it.
    """
    layers: list[str] = []
    modules = model.network.named_modules() if isinstance(model.network, nn.Module) else ()
    hooks = [
        module.register_forward_pre_hook(lambda m, given, name=name: layers.append(_described(name, m, given)))
        for name, module in modules
        if not list(module.children())
    ]
    try:
        with model.quiet(), torch.no_grad():
            model(x)
    except SaddlepointError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        at = f"; it stopped at {layers[-1]}" if layers else ""
        raise ModelError(
            f"the model cannot take the samples of {data}, which are {list(x.shape[1:])}{at}: {first_line(error)}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__


def _described(name: str, module: nn.Module, given: tuple[Any, ...]) -> str:
    shape = f" given {list(given[0].shape)}" if given and isinstance(given[0], Tensor) else ""
    return f"its layer {name or '(the model itself)'}, {module}{shape}"


def _hint(spec: str) -> str:
    if Path(spec).suffix in {".pt", ".pth", ".safetensors", ".ckpt", ".onnx"}:
        return f" (a file of weights has no architecture: name the code that builds it, and --weights {spec})"
    if spec in zoo.NAMES:
        return f" (did you mean zoo:{spec}?)"
    return " (see: saddlepoint list models)"


def _built(place: str, name: str) -> nn.Module | Model:
    made = _found(_imported(place), place, name)
    if isinstance(made, (nn.Module, Model)):
        return made
    if not callable(made):
        raise ModelError(f"{place}:{name} is a {type(made).__name__}; expected {GRAMMAR}")
    try:
        made = made()
    except Exception as error:  # the user's own code: whatever it raises is told in one line
        raise ModelError(
            f"{place}:{name}() raised {type(error).__name__}: {first_line(error)} (it is called without arguments;"
            " --debug shows where)"
        ) from error
    if not isinstance(made, (nn.Module, Model)):
        raise ModelError(f"{place}:{name}() gave a {type(made).__name__}; expected an nn.Module")
    return made


def _imported(place: str) -> object:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(place)
    except Exception as error:  # the user's own code
        if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            raise ModelError(
                f"no module {error.name!r}; looked in {here} and in the installed packages (expected {GRAMMAR})"
            ) from error
        raise ModelError(
            f"importing {place} raised {type(error).__name__}: {first_line(error)} (--debug shows where)"
        ) from error


def _found(module: object, place: str, name: str) -> Any:
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            near = difflib.get_close_matches(part, [n for n in dir(found) if not n.startswith("_")], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ModelError(f"{place} has no {name!r}{hint}") from error
    return found


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
