"""From what is typed for a model to the model: shipped, built by the user's own code, or read from where it lies.

Nothing is ever unpickled. What needs a library beyond this package's own imports it when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from torch import nn

from saddlepoint.access.adapters import code
from saddlepoint.access.adapters.weights import fit, read_weights
from saddlepoint.access.model import Model
from saddlepoint.errors import ModelError
from saddlepoint.zoo import models

Access = Literal["labels", "scores", "gradients"]
Opener = Callable[[str, Access | None], nn.Module | Model]
"""What was typed, and the access that was asked for, if any -> the model."""

_REMOTE = "saddlepoint.access.adapters.remote.opening:open_endpoint"
PLACES: dict[str, str] = {
    **dict.fromkeys(("http", "https"), _REMOTE),
    "timm": "saddlepoint.access.adapters.hubs:open_timm",
    "hf": "saddlepoint.access.adapters.hubs:open_hf",
}
"""Words before a colon, and the module:function that opens what comes after it."""
_PROGRAM = "saddlepoint.access.adapters.programs:open_program"
_REFUSED = "saddlepoint.access.adapters.programs:refuse"
SUFFIXES: dict[str, str] = {
    ".onnx": "saddlepoint.access.adapters.onnx.opening:open_onnx",
    ".toml": _REMOTE,
    **dict.fromkeys((".pt", ".pth", ".ts", ".pt2"), _PROGRAM),
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".skops", ".h5", ".keras", ".tflite"), _REFUSED),
}
"""Kinds of files, and the module:function that opens one; options may follow after a question mark."""
FORMS: dict[str, str] = {
    "PACKAGE.MODULE:CALLABLE": "what your code builds: an nn.Module (with --weights FILE), the answer of sp.wrap, a"
    " fitted estimator of scikit-learn",
    "FILE.onnx": "an ONNX graph with slopes; with --access scores or labels, as onnxruntime runs it",
    "FILE.pt": "a TorchScript archive (.ts as well)",
    "FILE.pt2": "a torch.export program",
    "timm:NAME": "an architecture of timm, with --weights; timm:NAME@cache with those stored on this machine;"
    " timm:NAME?num_classes=4 for one that was trained anew",
    "hf:FOLDER": "an image classifier of transformers; or hf:NAME, stored on this machine",
    "http://HOST/PATH": "a model behind HTTP that speaks the plain protocol (https:// as well)",
    "ENDPOINT.toml": "a model behind HTTP, described in a file",
}
"""What else than zoo:NAME may be typed for a model, and one line about it."""
GRAMMAR = (
    "zoo:NAME, FILE.onnx, FILE.pt2, a TorchScript archive, http(s)://..., ENDPOINT.toml, timm:NAME, hf:FOLDER,"
    f" or {code.GRAMMAR}"
)


def open_model(spec: str, weights: Path | None = None, access: Access | None = None) -> nn.Module | Model:
    """The model that ``spec`` names, with the weights of a file if one is given.

    Args:
        spec: ``zoo:NAME``; ``FILE.onnx``, with ``?output=NAME`` and the like (see ``access.adapters.onnx``); a
            TorchScript archive or a ``torch.export`` program (``.pt``, ``.ts``, ``.pt2``); a URL
            or ``ENDPOINT.toml``; ``timm:NAME``, ``hf:NAME`` or ``hf:FOLDER``; or
            ``package.module:callable``, looked up in the working folder first. The callable is an ``nn.Module`` (or
            the answer of ``sp.wrap``), or gives one when called without arguments.
        weights: ``.safetensors``, or ``.pt``/``.pth`` with nothing but tensors in it; must fit exactly.
        access: what will be asked of it; a model that can be run in several ways is opened in the fitting one.

    Raises:
        ModelError, OptionError: no such module, name or network, weights that do not fit; the message says what to do.

    >>> type(open_model("zoo:fashion-standard")).__name__
    'ConvNet'
    """
    made = _opened(spec, access)
    if weights is not None:
        network = made.network if isinstance(made, Model) else made
        if not isinstance(network, nn.Module):
            raise ModelError(f"{spec} is no nn.Module, so it cannot take the weights of {weights}")
        fit(network, read_weights(weights), str(weights))
    elif getattr(made.network if isinstance(made, Model) else made, "untrained", False):
        name, mark, query = spec.partition("?")
        cached, random = (f"{name}@{source}{mark}{query}" for source in ("cache", "random"))
        raise ModelError(
            f"{spec} has no weights: give --weights FILE.safetensors, or say {cached} for those stored on this machine,"
            f" {random} for none"
        )
    return made


def _opened(spec: str, access: Access | None) -> nn.Module | Model:
    place, colon, name = spec.partition(":")
    suffix = Path(spec.partition("?")[0]).suffix.lower()
    if place in PLACES and colon and name:
        return _opener(PLACES[place])(spec, access)
    if suffix in SUFFIXES:
        return _opener(SUFFIXES[suffix])(spec, access)
    if not colon or not place or not name:
        raise ModelError(f"{spec!r} is no model: expected {GRAMMAR}{_hint(spec)}")
    return models.load(name) if place == "zoo" else code.built(place, name)


def _opener(where: str) -> Opener:
    module, _, name = where.partition(":")
    opener: Opener = getattr(importlib.import_module(module), name)
    return opener


def _hint(spec: str) -> str:
    if Path(spec).suffix in {".pt", ".pth", ".safetensors", ".ckpt"}:
        return f" (a file of weights has no architecture: name the code that builds it, and --weights {spec})"
    if spec in models.NAMES:
        return f" (did you mean zoo:{spec}?)"
    return " (see: saddlepoint list models)"
