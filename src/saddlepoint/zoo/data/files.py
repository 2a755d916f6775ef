"""Sets stored as two arrays x and y in one file: ``.npz`` and ``.safetensors``."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.source import Array, Arrays, arrays


def read_npz(path: Path) -> Arrays:
    """The arrays x ``[N, *D]``, y ``[N]`` and, where present, the names ``classes [K]`` of a NumPy archive.

    Pickled objects are never loaded.

    Raises:
        DataError: missing, truncated, pickled or incomplete.
    """
    try:
        # Opened here, because np.load leaves a damaged archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            _require(content, path)
            x, y = content["x"], content["y"]
            names = content.get("classes")
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        pickled = isinstance(error, ValueError) and "pickle" in str(error)
        why = "it is no zip archive, or holds objects that would be unpickled" if pickled else error
        raise DataError(f"{path} is no readable npz of plain arrays ({why}): truncated, or pickled?") from error
    classes = None if names is None else tuple(str(name) for name in names.ravel())
    return arrays(x, y, classes, f"arrays of {path.name}", str(path))


def read_safetensors(path: Path) -> Arrays:
    """The tensors x ``[N, *D]`` and y ``[N]`` of a safetensors file.

    Raises:
        DataError: missing, truncated or incomplete.
    """
    try:
        # Through torch, because NumPy knows no bfloat16; the set is float32 in the end.
        tensors = load_file(path)
        content = {key: (t.float() if t.is_floating_point() else t).numpy() for key, t in tensors.items()}
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no readable safetensors file ({error}): missing or truncated?") from error
    _require(content, path)
    return arrays(content["x"], content["y"], None, f"tensors of {path.name}", str(path))


def _require(content: Mapping[str, Array], path: Path) -> None:
    if missing := [key for key in ("x", "y") if key not in content]:
        found = ", ".join(sorted(content)) or "nothing"
        raise DataError(f"{path} holds {found}, but no {' and no '.join(missing)}: name the arrays x and y")
