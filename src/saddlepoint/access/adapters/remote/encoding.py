"""Inputs as JSON takes them, and answers from a path."""

from __future__ import annotations

import base64
import io
import json
import math
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from saddlepoint.access.adapters.remote.description import Description
from saddlepoint.errors import ModelError

NAMES = ("label", "name", "description", "class_name", "class")
NUMBERS = ("score", "confidence", "probability", "prob")
"""Where services write a class and its probability, in the order they are looked for."""


def encoded(x: Tensor, encoding: str, *, channels_last: bool = False, quality: int = 95) -> Any:
    """One input [*D] as it is sent.

    Raises:
        ModelError: no picture, or beyond [0, 1] where levels from 0 to 255 are sent.
    """
    array = x.detach().cpu().float().numpy()
    if encoding not in {"png", "jpeg"} and channels_last and array.ndim == 3:
        array = np.moveaxis(array, 0, 2)
    if encoding == "floats":
        return array.tolist()
    if encoding == "float32":
        return {"shape": list(array.shape), "data": base64.b64encode(array.astype("<f4").tobytes()).decode()}
    if array.min() < -1e-6 or array.max() > 1 + 1e-6:
        raise ModelError(
            f"inputs from {array.min():g} to {array.max():g} (mean and std?) cannot be sent as {encoding}, which takes"
            " 0 to 1: use floats or float32"
        )
    levels = np.round(255 * np.clip(array, 0, 1)).astype(np.uint8)
    return levels.tolist() if encoding == "bytes" else _picture(levels, encoding, quality)


def decoded(sent: Any) -> np.ndarray[Any, Any]:
    """What was sent, as float32 in [0, 1]: the other way round, for servers."""
    if isinstance(sent, dict):
        return np.frombuffer(base64.b64decode(sent["data"]), "<f4").reshape(sent["shape"]).astype(np.float32)
    if isinstance(sent, str):
        return picture(base64.b64decode(sent))
    array = np.asarray(sent)
    return array.astype(np.float32) / np.float32(255) if array.dtype.kind in "iu" else array.astype(np.float32)


def picture(content: bytes) -> np.ndarray[Any, Any]:
    """The pixels of an image file, float32 [1 or 3, H, W] in [0, 1]."""
    levels = np.asarray(Image.open(io.BytesIO(content)))
    levels = levels[None] if levels.ndim == 2 else np.moveaxis(levels, 2, 0)
    return levels.astype(np.float32) / np.float32(255)


def _picture(levels: np.ndarray[Any, Any], encoding: str, quality: int) -> str:
    if levels.ndim != 3 or levels.shape[0] not in {1, 3}:
        raise ModelError(f"inputs of shape {list(levels.shape)} are no pictures [1 or 3, H, W]: use another encoding")
    out = io.BytesIO()
    how = {} if encoding == "png" else {"quality": quality, "subsampling": 0}
    Image.fromarray(levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, 2)).save(out, encoding, **how)
    return base64.b64encode(out.getvalue()).decode()


def answers(of: Description, content: bytes, count: int) -> list[Any]:
    """The answer for each of ``count`` inputs in a response.

    Raises:
        ModelError: no JSON, nothing at the path, another number of answers.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{of.name} answered no JSON: {_said(of, content)}") from error
    try:
        found = _at(found, of.path.split("."))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"{of.name} answered nothing at {of.path!r}: {_said(of, content)}") from error
    found = found if isinstance(found, list) and of.several else [found]
    if len(found) != count:
        raise ModelError(f"{of.name} gave {len(found)} answers to {count} inputs")
    return found


def _at(value: Any, path: list[str]) -> Any:
    for i, key in enumerate(path):
        if key == "*":
            return [_at(one, path[i + 1 :]) for one in value]
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def row(of: Description, answer: Any) -> list[float]:
    """Scores of all classes, or the place of one label, from the answer to one input.

    Raises:
        ModelError: a class that is not known, another number of scores, no numbers.
    """
    if of.kind == "labels":
        return [float(_place(of, answer))]
    try:
        return _scores(of, answer) if of.kind == "scores" else _spread(of, answer)
    except ModelError:
        raise
    except (TypeError, ValueError) as error:
        raise ModelError(f"{of.name} answered {_seen(of, answer)}; {of.kind} were expected") from error


def _place(of: Description, label: Any) -> int:
    if isinstance(label, str) and label in of.classes:
        return of.classes.index(label)
    whole = isinstance(label, int) or (isinstance(label, float) and label.is_integer())
    if whole and not isinstance(label, bool):
        numbers = all(name.isdecimal() for name in of.classes)  # then a number is a name, and no place
        if numbers and str(int(label)) in of.classes:
            return of.classes.index(str(int(label)))
        if not numbers and 0 <= label < len(of.classes):
            return int(label)
    raise ModelError(
        f"{of.name} answered the label {_seen(of, label)}, which is none of its {len(of.classes)} classes: its labels"
        " have changed, or the description lacks some"
    )


def _scores(of: Description, answer: Any) -> list[float]:
    scores = [float(s) for s in answer]
    if len(scores) != len(of.classes) or not all(map(math.isfinite, scores)):
        raise ModelError(
            f"{of.name} answered {len(scores)} scores ({_seen(of, answer)}); {len(of.classes)} finite ones were"
            " expected, one for each class"
        )
    return scores


def _spread(of: Description, answer: Any) -> list[float]:
    """What the likeliest leave of the probability is spread evenly over all others, none likelier than those."""
    named = {_place(of, label): float(p) for label, p in (_pair(of, one) for one in answer)}
    if not named or len(named) < len(answer):
        raise ModelError(f"{of.name} answered {_seen(of, answer)}; one class or more were expected, each of them once")
    if not all(0 <= p <= 1 for p in named.values()):
        raise ModelError(f"{of.name} answered {_seen(of, answer)}; probabilities were expected")
    others = len(of.classes) - len(named)
    rest = min([max(1 - sum(named.values()), 1e-6) / max(others, 1), *named.values()])
    out = [named.get(k, rest) for k in range(len(of.classes))]
    return [p / (sum(out) or 1) for p in out]


def _pair(of: Description, one: Any) -> tuple[Any, Any]:
    """The name and the probability of ["cat", 0.9] or {"label": "cat", "score": 0.9}."""
    if isinstance(one, dict):
        label = next((one[key] for key in NAMES if key in one), None)
        p = next((one[key] for key in NUMBERS if key in one), None)
        if label is None or p is None:
            raise ModelError(
                f"{of.name} answered {_seen(of, one)}; one of {', '.join(NAMES)} and one of"
                f" {', '.join(NUMBERS)} were expected"
            )
        return label, p
    label, p = one
    return label, p


def _said(of: Description, content: bytes) -> str:
    return _seen(of, content.decode(errors="replace"))


def _seen(of: Description, value: Any) -> str:
    """The beginning of what came, without the secrets that were sent."""
    return _short(of.hidden(str(value)))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
