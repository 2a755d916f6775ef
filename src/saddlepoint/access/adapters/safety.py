"""Whether a program on disk may be opened: only what computes with tensors is.

A **TorchScript** archive holds source that its own interpreter runs; it cannot reach Python, but some of its operators
read and write files. An archive whose source names one of them is refused.

A **torch.export** archive holds a graph in JSON and tensors as bytes. Reading one with ``torch.export.load`` can run
code in five ways, and each is closed here before it is called:

- weights and constants may be pickles, which torch reads without restraint: refused; sample inputs are pickles, and
  must pass ``torch.load(weights_only=True)``, which refuses all but tensors;
- custom and opaque objects are pickles by design: refused, as are compiled libraries;
- sizes are expressions that SymPy evaluates as Python: only names of symbols and arithmetic may stand in them;
- targets of nodes are looked up by name inside of ``torch`` and ``math``, and through these in any module they import:
  only tensor operators, arithmetic and comparisons may be named;
- guards are compiled as Python: they are not used.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from saddlepoint.errors import ModelError

FILES = re.compile(r"\b(save|load|from_file|_save|_load|open)\s*\(")
"""Functions of TorchScript that reach files."""
ARITHMETIC = {
    "add", "sub", "mul", "floordiv", "truediv", "mod", "pow", "neg", "pos", "eq", "ne", "lt", "le", "gt", "ge",
    "and_", "or_", "not_", "getitem",
}  # fmt: skip
TARGET = re.compile(r"torch\.ops\.(aten|prims)\.\w+(\.\w+)?|torch\.sym_\w+|math\.\w+")
SYMBOLS = {
    "Symbol", "Integer", "Rational", "Float", "Mul", "Add", "Pow", "Max", "Min", "Mod", "PythonMod", "FloorDiv",
    "CleanDiv", "CeilDiv", "CeilToInt", "FloorToInt", "TruncToInt", "IntTrueDiv", "FloatTrueDiv", "ModularIndexing",
    "PowByNatural", "FloatPow", "ToFloat", "Where", "Equality", "Unequality", "LessThan", "GreaterThan",
    "StrictLessThan", "StrictGreaterThan", "And", "Or", "Not", "integer", "positive", "nonnegative", "real", "true",
    "false", "True", "False", "precision", "Identity",
}  # fmt: skip
"""What SymPy may be given to evaluate, beside the symbols' own names (s0, u1, ...)."""


def check_script(path: Path) -> None:
    """Refuse a TorchScript archive whose source reaches files.

    Raises:
        ModelError: which function it names, and where.
    """
    for name, content in _contents(path):
        if "/code/" in name and name.endswith(".py"):
            found = FILES.search(content.decode(errors="replace"))
            if found:
                raise ModelError(f"{path} calls {found[1]}(...) in {name}, which reaches files, so it is not opened")


def check_export(path: Path) -> None:
    """Refuse a ``torch.export`` archive that could run code when it is read (see above).

    Raises:
        ModelError: what is in it that is no plain tensor and no tensor operator.
    """
    names = [name for name, _ in _contents(path)]
    if not any(name.endswith("/archive_format") for name in names):
        raise ModelError(f"{path} is no torch.export archive of today's format: save it again with torch.export.save")
    for name, content in _contents(path):
        if any(part in name for part in ("custom_obj", "opaque", "aotinductor", "executorch")):
            raise ModelError(f"{path} holds a custom object or a library ({name}), not read because it could run code")
        if name.endswith(".json"):
            _check_json(path, name, content)
        elif "sample_inputs" in name:
            _check_tensors(path, name, content)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ModelError(f"{path} is no whole archive: {error}") from error


def _check_tensors(path: Path, name: str, content: bytes) -> None:
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{path} holds more than tensors ({name}), not read because it could run code") from error


def _check_json(path: Path, name: str, content: bytes) -> None:
    try:
        entries = list(_entries(json.loads(content)))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: {name} is no whole JSON") from error
    for key, value in entries:
        if key == "use_pickle" and value:
            raise ModelError(f"{path} holds pickled tensors ({name}), not read because it could run code")
        if key in {"target", "as_operator"} and isinstance(value, str) and not _computes(value):
            raise ModelError(f"{path} calls {value!r}, which is no tensor operator, so it is not opened")
        if key == "expr_str" and not _plain(value):
            raise ModelError(f"{path} holds the size {value!r}, which is more than arithmetic, so it is not opened")
        if key in {"as_custom_obj", "as_opaque"} and value:
            raise ModelError(f"{path} uses a custom object, not read because it could run code")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys of all mappings inside, with what stands there."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _computes(target: str) -> bool:
    place, _, name = target.partition(".")
    if place == "_operator":
        return name in ARITHMETIC
    return (
        TARGET.fullmatch(target) is not None and not FILES.search(f"{target.split('.')[-1]}(") and "file" not in target
    )


def _plain(expression: Any) -> bool:
    if not isinstance(expression, str) or not re.fullmatch(r"[\w\s+\-*/(),.=<>']*", expression):
        return False
    words = re.findall(r"[^\W\d]\w*", expression)
    return all(word in SYMBOLS or re.fullmatch(r"[a-z]{1,3}\d+", word) for word in words)
