"""A run on disk: one folder, held by one process, that is begun once and gone on with until it is complete.

``spec.json`` first, then ``diagnosis.json``, ``known.json`` and pieces (see ``piece``), at the end ``landscapes.json``,
``spread.json`` of a random model, ``votes.json`` where asked for, ``records.parquet`` and ``summary.json``. All files
appear complete or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses as dc
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from saddlepoint.auditing import atomic, lock, piece
from saddlepoint.auditing.diagnosis import Diagnosis
from saddlepoint.auditing.outlay import Outlay
from saddlepoint.auditing.piece import Address, DamagedError, Piece
from saddlepoint.auditing.records import joined, placed
from saddlepoint.auditing.spec import Spec, check_same, key_of
from saddlepoint.auditing.summary import Example, Landscape, Summary, Vote
from saddlepoint.errors import RunError

SPEC, RECORDS, SUMMARY = "spec.json", "records.parquet", "summary.json"
ASIDES = ("diagnosis", "landscapes", "known", "spread", "votes", "outlay")
"""What is known besides the pieces, each in a file of its own: ``diagnosis.json``, ..."""
DEFAULT = "runs/{model}-{data}-{key}"
"""A folder of its own for every audit: the same arguments lead to the same folder."""


@dc.dataclass(frozen=True)
class Run:
    """A run that this process holds; ``spec`` is the one it began with."""

    path: Path
    spec: Spec

    def read(self, address: Address) -> pa.Table | None:
        """The records of a piece, None if it is not there.

        Raises:
            DamagedError: it is there, but not as it was written.
        """
        return piece.read(address, self.path, self.spec["key"])

    def write(self, new: Piece, address: Address) -> None:
        """Store a piece."""
        piece.write(new, address, self.path, self.spec["key"])

    def knowing(self, name: str, find_out: Callable[[], Any]) -> Run:
        """The run with the aside ``name``, found out now unless it was before.

        Raises:
            RunError: the disk does not take it.
        """
        return self if self.spec.get(name) is not None else self.noting(name, find_out())

    def noting(self, name: str, found: Any) -> Run:
        """The run with the aside ``name``, in place of what it was before.

        Raises:
            RunError: the disk does not take it.
        """
        note = {"key": self.spec["key"], name: found}
        atomic.write(self.path / f"{name}.json", (json.dumps(note, allow_nan=False) + "\n").encode())
        return dc.replace(self, spec={**self.spec, name: found})

    def set_aside(self, address: Address) -> None:
        """Put a damaged piece out of the way."""
        piece.set_aside(address, self.path)

    def finish(self, records: pa.Table, summary: Summary) -> None:
        """Store all records in one file, and the summary."""
        sink = pa.BufferOutputStream()
        pq.write_table(records, sink)
        atomic.write(self.path / RECORDS, sink.getvalue().to_pybytes())
        atomic.write(self.path / SUMMARY, summary.to_json().encode())


@contextlib.contextmanager
def opened(path: Path, spec: Spec) -> Iterator[Run]:
    """Begin the run of ``spec`` in a folder, or go on with it.

    Raises:
        RunError: the folder cannot be used: another run or other files, another process, a damaged or unwritable one.
    """
    with lock.held(path):
        atomic.sweep(path)
        if (path / SPEC).exists():
            stored = read_spec(path)
            check_same(stored, spec, path)
            yield Run(path, stored)
            return
        _check_empty(path)
        atomic.write(path / SPEC, (json.dumps(spec, indent=2, allow_nan=False) + "\n").encode())
        yield Run(path, spec)


def read_spec(path: Path) -> Spec:
    """The specification of the run in a folder.

    Raises:
        RunError: there is none, or it is damaged.
    """
    file = path / SPEC
    try:
        spec: Spec = json.loads(file.read_text(encoding="utf-8"))
        whole = spec["key"] == key_of(spec)
    except OSError as error:
        raise RunError(f"{path} holds no run: {file.name} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise RunError(
            f"{file} is damaged, so it cannot be told what the run in {path} is; nothing was changed: put the file back"
            " from a copy, or give another folder"
        )
    return {**spec, **{name: _aside(path, name, spec["key"]) for name in ASIDES}}


def _aside(path: Path, name: str, key: str) -> Any:
    """What was found out; None if nothing was yet, or the file is not as it was written: it is found out again."""
    try:
        note = json.loads((path / f"{name}.json").read_text(encoding="utf-8"))
        return note[name] if note["key"] == key and READ[name](note[name]) is not None else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


READ: Final[Mapping[str, Callable[[Any], object]]] = {
    "diagnosis": Diagnosis.from_dict,
    "landscapes": lambda found: [Landscape.from_dict(one) for one in found],
    "known": lambda found: {label: float(share) for label, share in found.items()},
    "votes": lambda found: [Vote(**one) for one in found],
    "spread": lambda found: {label: [float(share) for share in shares] for label, shares in found.items()},
    "outlay": Outlay.from_dict,
}
"""How an aside is understood; what cannot be is not taken."""


def read_records(path: Path, spec: Spec) -> pa.Table:
    """All records that are there, complete or not.

    Raises:
        RunError: a piece is damaged.
    """
    tables = []
    for stage in spec["stages"]:
        folder = Address(stage["threat"], stage["name"], 0).records(path).parent
        for part in range(sum(1 for _ in folder.glob("part-*.parquet"))):
            address = Address(stage["threat"], stage["name"], part)
            try:
                table = piece.read(address, path, spec["key"])
            except DamagedError as error:
                raise RunError(f"{error}: issue the command of the audit again, it repairs the run") from error
            tables.append(placed(table, address)) if table is not None else None
    return joined(tables)


def read_example(run_dir: str | Path, example: Example) -> tuple[Tensor, Tensor]:
    """(x, x_adv) of an example in a summary, each [*D], as they were stored when the attack succeeded.

    Raises:
        RunError: the run does not hold them (any more).
    """
    try:
        return piece.one(Address(example.found, example.stage, example.part), Path(run_dir), example.sample)
    except DamagedError as error:
        raise RunError(f"{error}: issue the command of the audit again, it repairs the run") from error


def folder_of(out: str | Path, spec: Spec) -> Path:
    """``out`` with {model}, {data} and {key} filled in.

    >>> spec = {"model": {"name": "zoo:A b"}, "data": {"name": "digits[:9]"}, "key": "0123456789ab"}
    >>> print(folder_of(DEFAULT, spec))
    runs/zoo-A-b-digits-9-01234567
    """
    filled = str(out)
    for name, value in {"model": spec["model"]["name"], "data": spec["data"]["name"], "key": spec["key"][:8]}.items():
        filled = filled.replace(f"{{{name}}}", re.sub(r"[^A-Za-z0-9.]+", "-", value).strip("-.") or name)
    return Path(filled).expanduser()


def _check_empty(path: Path) -> None:
    """A folder that holds anything else than the lock is no place for a new run."""
    try:
        others = [entry.name for entry in path.iterdir() if entry.name != lock.NAME]
    except OSError as error:
        raise atomic.explain(error, path) from error
    if others:
        raise RunError(
            f"{path} holds other files ({', '.join(sorted(others)[:3])}) but no {SPEC}: give an empty or new folder"
        )
