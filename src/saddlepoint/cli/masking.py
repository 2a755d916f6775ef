"""``--mask FILE``: what may change, from a picture or an array."""

from __future__ import annotations

import dataclasses as dc
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from saddlepoint.errors import OptionError
from saddlepoint.sets import Neighborhood


def masked(threat: Neighborhood, path: Path | None, like: Tensor) -> Neighborhood:
    """The set, in which only what the file marks may change, of inputs such as ``like`` [N, *D].

    A picture marks the pixels that are nearer to white than to black; an array (.npy) those that are not 0. Pictures
    and arrays [H, W] hold for all channels, [C, H, W] or [*D] for all samples, [N, *D] for each its own.

    Raises:
        OptionError: no such file, or one of another shape.
    """
    if path is None:
        return threat
    marks = torch.from_numpy(_read(path) != 0)
    shape = list(like.shape)
    if marks.ndim == 2 and len(shape) == 4 and list(marks.shape) == shape[2:]:
        mask = marks[None, None]
    elif list(marks.shape) == shape[1:]:
        mask = marks[None]
    elif list(marks.shape) == shape:
        mask = marks
    else:
        height_width = f" {shape[2:]}," if len(shape) == 4 else ""
        raise OptionError(
            f"--mask {path}: it has the shape {list(marks.shape)}, the samples are {shape}: give one of"
            f"{height_width} {shape[1:]} or {shape}"
        )
    if not bool(mask.any()):
        raise OptionError(f"--mask {path}: it marks nothing (white, or not 0, is what may change)")
    return dc.replace(threat, mask=mask)


def _read(path: Path) -> np.ndarray:
    try:
        if path.suffix == ".npy":
            array: np.ndarray = np.load(path, allow_pickle=False)
            return array
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L")) >= 128
    except (OSError, ValueError, UnidentifiedImageError) as error:
        raise OptionError(f"--mask {path}: no picture (.png) and no array (.npy): {error}") from error
