"""Networks of timm and transformers by name, with the preprocessing that their configurations state.

Nothing is downloaded: weights come from a file, a folder, or what those libraries have stored on this machine.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

import torch

from saddlepoint.access.adapters.wording import first_line
from saddlepoint.access.model import Model, wrap
from saddlepoint.errors import ModelError, OptionError

Access = Literal["labels", "scores", "gradients"]
TIMM = "timm models need timm: pip install 'saddlepoint[timm]'"
HF = "models of transformers need it: pip install 'saddlepoint[hf]'"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def open_timm(spec: str, access: Access | None = None) -> Model:
    """``timm:NAME``, to be given weights by ``--weights``; ``timm:NAME@cache``, with those that timm stored on this
    machine; ``timm:NAME@random``, untrained. ``?num_classes=4&in_chans=1`` behind it goes to ``timm.create_model``.

    Takes images in [0, 1]: mean and standard deviation are those of the network's own configuration.

    Raises:
        ModelError: timm is missing, or knows no such name, or has no weights of it here.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    timm = _imported("timm", TIMM)
    place, _, query = spec.partition(":")[2].partition("?")
    name, _, source = place.partition("@")
    options = _whole_numbers(query, spec)
    if source not in {"", "cache", "random"}:
        raise ModelError(f"{spec}: after @ stands cache or random, got {source!r}")
    try:
        network: Any = timm.create_model(name, pretrained=source == "cache", **options)
    except Exception as error:  # it raises whatever the hub does
        if name not in timm.list_models(name):
            why = "has no such model"
        else:
            why = "has no weights of it on this machine" if source == "cache" else "cannot build it so"
        raise ModelError(f"{spec}: timm {why}: {first_line(error)}") from error
    config = network.pretrained_cfg
    network.untrained = not source
    return wrap(network, mean=_three(config["mean"]), std=_three(config["std"]), access=access, name=spec)


def open_hf(spec: str, access: Access | None = None) -> Model:
    """``hf:FOLDER``, as ``save_pretrained`` writes it, or ``hf:NAME`` of a model that is stored on this machine.

    Image classifiers, from safetensors alone, without code of their own. Takes images in [0, 1]; rescaling, mean and
    standard deviation are those of ``preprocessor_config.json``.

    Raises:
        ModelError: transformers is missing, or the model, or it is of another kind.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformers = _imported("transformers", HF)
    place = spec.partition(":")[2]
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _no_bars(transformers):
            network = transformers.AutoModelForImageClassification.from_pretrained(place, use_safetensors=True, **safe)
    except Exception as error:  # it raises whatever it stumbles over
        raise ModelError(
            f"{spec} is no image classifier with weights in safetensors on this machine: {first_line(error)}"
        ) from error
    config = _preprocessing(place, transformers)
    mean, std = _normalization(config)
    model = wrap(network.eval(), mean=mean, std=std, output="logits", access=access, name=spec)
    known = getattr(network.config, "id2label", None)
    model.class_names = [known[k] for k in sorted(known)] if known else None
    return model


def _imported(name: str, hint: str) -> Any:
    """The library, or why it cannot be had.

    Raises:
        ModelError: it is missing, or raises when it is imported (as beside a torch that it was not built for).
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # it raises whatever its own imports do
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise ModelError(hint) from error
        raise ModelError(
            f"{name} is installed, but importing it raised {type(error).__name__}: {first_line(error)} (does its"
            f" torchvision fit torch {torch.__version__}?)"
        ) from error


def _whole_numbers(query: str, spec: str) -> dict[str, int]:
    try:
        return {key: int(value) for key, value in parse_qsl(query, keep_blank_values=True)}
    except ValueError as error:
        raise OptionError(f"{spec}: behind ? stand whole numbers, such as num_classes=4: {error}") from error


@contextlib.contextmanager
def _no_bars(transformers: Any) -> Iterator[None]:
    """Inside, no bar shows how loading goes: what is shown is for whoever asked to say."""
    said = transformers.utils.logging
    shown = said.is_progress_bar_enabled()
    said.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            said.enable_progress_bar()


def _preprocessing(place: str, transformers: Any) -> dict[str, Any]:
    """What ``preprocessor_config.json`` says, nothing if there is none."""
    try:
        file = transformers.utils.cached_file(place, "preprocessor_config.json", local_files_only=True)
        said: dict[str, Any] = json.loads(Path(file).read_text())
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"hf:{place} has no preprocessor_config.json, so it is not known what range of pixels it takes: save it"
            " with the model, or wrap the model in code with sp.wrap(model, mean=..., std=...)"
        ) from error
    return said


def _normalization(config: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation for pixels in [0, 1], from those for 255 x times the factor."""
    factor = 255 * (config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0)
    normal = config.get("do_normalize", True)
    mean, std = config.get("image_mean") if normal else None, config.get("image_std") if normal else None
    mean, std = _three([0.0] if mean is None else mean), _three([1.0] if std is None else std)
    return [m / factor for m in mean], [s / factor for s in std]


def _three(values: float | Sequence[float]) -> list[float]:
    return torch.as_tensor(values, dtype=torch.float64).reshape(-1).tolist()
