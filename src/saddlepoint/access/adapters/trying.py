"""A model and samples tried on each other, before anything is run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.access.adapters.wording import first_line
from saddlepoint.access.model import Model
from saddlepoint.access.watching import open_modules
from saddlepoint.errors import ModelError, SaddlepointError

COLORS = {1: "gray", 3: "rgb"}
SIDES = (224, 32, 28, 64, 96, 128, 256, 299, 384, 512)
"""Sizes that classifiers of pictures usually take, tried in this order."""


def check_shape(model: Model, x: Tensor, data: str) -> int:
    """Ask the model for one sample x [1, *D], so that a misfit of model and data is told before anything is run.

    Returns how many classes it answers.

    Raises:
        ModelError: the shape of the samples, and the layer that could not take it.
    """
    layers: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda m, given, name=name: layers.append(_described(name, m, given)))
        for name, module in open_modules(model.network)
        if not list(module.children())
    ]
    try:
        with model.quiet(), torch.no_grad():
            return model(x).shape[1]
    except SaddlepointError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        at = f"; it stopped at {layers[-1]}" if layers else ""
        raise ModelError(
            f"the model cannot take the samples of {data}, which are {list(x.shape[1:])}{at}: {first_line(error)}"
            f"{_remedy(model, x)}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()


def _remedy(model: Model, x: Tensor) -> str:
    """What brings pictures to a shape that the model takes, if one of the usual ones is."""
    if x.ndim != 4 or x.shape[1] not in COLORS or not isinstance(model.network, nn.Module):
        return ""  # a black box is not asked for nothing
    own, other = x.shape[1], 4 - x.shape[1]
    for channels, size in [(other, None), *((c, side) for c in (own, other) for side in SIDES)]:
        height, width = (size, size) if size else x.shape[2:]
        try:
            with model.quiet(), torch.no_grad():
                model(x.new_full((1, channels, height, width), model.box.low))
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError):
            continue
        said = [f"size={size}"] * (size is not None) + [f"color={COLORS[channels]}"] * (channels != own)
        return f"; it takes {[channels, height, width]}: ?{'&'.join(said)} behind the name of images brings them there"
    return ""


def _described(name: str, module: nn.Module, given: tuple[Any, ...]) -> str:
    shape = f" given {list(given[0].shape)}" if given and isinstance(given[0], Tensor) else ""
    return f"its layer {name or '(the model itself)'}, {module}{shape}"
