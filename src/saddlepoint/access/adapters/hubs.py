"""Networks of timm and transformers by name, with the preprocessing that their configurations state.

Nothing is downloaded: weights come from a file, a folder, or what those libraries have stored on this machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from saddlepoint.access.adapters.wording import first_line
from saddlepoint.access.model import Model, wrap
from saddlepoint.errors import ModelError

Access = Literal["labels", "scores", "gradients"]
TIMM = "timm models need timm: pip install 'saddlepoint[timm]'"
HF = "models of transformers need it: pip install 'saddlepoint[hf]'"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def open_timm(spec: str, access: Access | None = None) -> Model:
    """``timm:NAME``, to be given weights by ``--weights``; ``timm:NAME@cache``, with those that timm stored on this
    machine; ``timm:NAME@random``, untrained.

    Takes images in [0, 1]: mean and standard deviation are those of the network's own configuration.

    Raises:
        ModelError: timm is missing, or knows no such name, or has no weights of it here.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import timm
    except ImportError as error:
        raise ModelError(TIMM) from error
    name, _, source = spec.partition(":")[2].partition("@")
    if source not in {"", "cache", "random"}:
        raise ModelError(f"{spec}: after @ stands cache or random, got {source!r}")
    try:
        network: Any = timm.create_model(name, pretrained=source == "cache")
    except Exception as error:  # it raises whatever the hub does
        why = "has no such model" if name not in timm.list_models(name) else "has no weights of it on this machine"
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
    try:
        import transformers
    except ImportError as error:
        raise ModelError(HF) from error
    place = spec.partition(":")[2]
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
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
    mean = _three(config.get("image_mean", [0.0])) if normal else [0.0]
    std = _three(config.get("image_std", [1.0])) if normal else [1.0]
    return [m / factor for m in mean], [s / factor for s in std]


def _three(values: float | Sequence[float]) -> list[float]:
    return torch.as_tensor(values, dtype=torch.float64).reshape(-1).tolist()
