"""Whatever opens as a table of arrow: CSV, Parquet, datasets of Hugging Face. Features in columns, or images."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.cells import image_columns, pictures
from saddlepoint.zoo.data.source import Source
from saddlepoint.zoo.data.tables import features

HF = "hf:"
INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls the numbers of rows that it writes beside the columns."""
SAVED, SPLITS = "state.json", "dataset_dict.json"
HINT = "datasets by name need their library: pip install 'saddlepoint[datasets]'"


def read_table(path: Path, query: str) -> Source:
    """The samples of a CSV or Parquet file: see ``features`` and ``pictures`` for the ``query``.

    Raises:
        DataError: unreadable, damaged, or anything those two refuse.
    """
    import pyarrow as pa

    try:
        if path.suffix == ".csv":
            from pyarrow import csv

            content = csv.read_csv(path)
            if any(pa.types.is_binary(kind) for kind in content.schema.types):
                raise pa.ArrowInvalid("columns of bytes")
        else:
            from pyarrow import parquet

            content = parquet.read_table(path)
            content = content.drop_columns([name for name in content.column_names if INDEX.fullmatch(name)])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no readable table ({' '.join(str(error).split())}): {_ill(path)}") from error
    return samples(content, query, str(path), f"table {path.name}")


def _ill(path: Path) -> str:
    """What may be wrong with a table that cannot be read."""
    if path.suffix == ".csv" and path.is_file():
        with path.open("rb") as file:
            first = file.readline(1 << 16)
        if mark := next((mark for mark in (";", "\t", "|") if first.count(mark.encode()) > first.count(b",")), None):
            return f"columns are separated by {mark!r}; commas are expected, and points in numbers"
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return "its text is not UTF-8: save it so"
    return "truncated or damaged?"


def is_saved(path: Path) -> bool:
    """Whether a folder was written by ``save_to_disk``."""
    return (path / SAVED).is_file() or (path / SPLITS).is_file()


def read_saved(path: Path, query: str) -> Source:
    """The samples of a folder written by ``save_to_disk``, mapped into memory and not read whole.

    Args:
        path: the folder.
        query: as for a table, and ``split=test`` where it holds several.

    Raises:
        DataError: damaged, no such split, or anything ``features`` and ``pictures`` refuse.
    """
    import pyarrow as pa

    split, query = _take(query, "split")
    note = f"dataset {path.name}"
    if (path / SPLITS).is_file():
        path = path / _one_of(split, _plain(path / SPLITS, "splits"), str(path))
    try:
        files = [path / part for part in _plain(path / SAVED, "_data_files")]
        content = pa.concat_tables([pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no readable dataset ({' '.join(str(error).split())}): damaged?") from error
    return samples(content, query, str(path), note)


def read_named(spec: str, query: str) -> Source:
    """The samples of ``hf:NAME``, a dataset that Hugging Face's library has stored on this machine.

    Args:
        spec: ``hf:NAME`` or ``hf:OWNER/NAME``, or ``hf:FOLDER`` as ``read_saved`` takes it.
        query: as for a table, and ``split=test``, ``config=NAME``.

    Raises:
        DataError: the library is missing, or the set, or the split.
    """
    place = spec.removeprefix(HF)
    if is_saved(Path(place).expanduser()):
        return read_saved(Path(place).expanduser(), query)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import datasets
    except ImportError as error:
        raise DataError(f"{spec}: {HINT}; a folder that save_to_disk wrote needs nothing") from error
    config, query = _take(query, "config")
    split, query = _take(query, "split")
    try:
        found = datasets.load_dataset(place, config)
    except Exception as error:  # it raises whatever it stumbles over
        raise DataError(f"{spec} is not stored on this machine: {' '.join(str(error).split())}") from error
    one = found[_one_of(split, list(found), spec)]
    return samples(one.with_format("arrow")[:], query, spec, f"dataset {place}")


def samples(content: Any, query: str, origin: str, note: str) -> Source:
    """Images where a column of a ``pyarrow.Table`` holds some, else features.

    Raises:
        DataError: no rows, two columns of one name.
    """
    if not content.num_rows:
        raise DataError(f"{origin}: no samples (N = 0)")
    names = content.column_names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{origin} has two columns called {twice!r}")
    return (pictures if image_columns(content) else features)(content, query, origin, note)


def _take(query: str, name: str) -> tuple[str | None, str]:
    said = dict(parse_qsl(query, keep_blank_values=True))
    return said.pop(name, None), urlencode(said)


def _one_of(split: str | None, known: list[str], origin: str) -> str:
    if split is None and len(known) == 1:
        return known[0]
    if split not in known:
        raise DataError(f"{origin} holds {', '.join(known)}: say which with ?split={known[-1] if known else 'NAME'}")
    return split


def _plain(file: Path, key: str) -> list[str]:
    """Names of files or folders beside ``file``, never elsewhere."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))[key]
        names = [one["filename"] if isinstance(one, dict) else one for one in said]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is no readable list of the parts of a dataset: damaged?") from error
    if odd := next((name for name in names if not isinstance(name, str) or Path(name).name != name), None):
        raise DataError(f"{file} names {odd!r}, expected parts beside it")
    return names
