"""One piece of a run on disk: the records of some samples under one attack, and the inputs that are their evidence.

``inputs/threat=T/stage=S/part-N.safetensors`` is written first, then ``results/threat=T/stage=S/part-N.parquet``, whose
metadata hold the SHA-256 of the inputs, a digest of the records and the key of the run. So a piece exists when its
records do, and either file is checked when it is read. Inputs are kept of those samples alone for which an attack
claimed success (``x`` and ``x_adv``, side by side): they are what can be verified.
"""

from __future__ import annotations

import dataclasses as dc
import hashlib
import json
import urllib.parse
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from saddlepoint.auditing import atomic

SCHEMA = 3
"""Version of the layout on disk; stands in ``spec.json`` and in every piece."""

COLUMNS = pa.schema(
    [
        ("sample", pa.int64()),
        ("label", pa.int64()),
        ("clean_predicted", pa.int64()),
        ("clean_confidence", pa.float64()),
        ("predicted", pa.int64()),
        ("confidence", pa.float64()),
        ("radius", pa.float64()),
        ("attack", pa.string()),
        ("met", pa.bool_()),
        ("status", pa.string()),
        ("size", pa.float64()),
        ("value", pa.float64()),
        ("forwards", pa.int64()),
        ("backwards", pa.int64()),
        ("steps", pa.int64()),
        ("seconds", pa.float64()),
        ("seed", pa.int64()),
        ("progress", pa.list_(pa.float32())),
    ]
)
"""What is stored for each sample; the folders add ``threat`` and ``stage``."""

_NOTE = b"saddlepoint"


class DamagedError(Exception):
    """A piece that is there but not as it was written; says why."""


@dc.dataclass(frozen=True)
class Address:
    """Which piece: the label of its threat, the name of its stage, its number."""

    threat: str
    stage: str
    part: int

    def records(self, run: Path) -> Path:
        """The file of its records."""
        return self._folder(run / "results") / f"part-{self.part:05d}.parquet"

    def inputs(self, run: Path) -> Path:
        """The file of its inputs."""
        return self._folder(run / "inputs") / f"part-{self.part:05d}.safetensors"

    def _folder(self, root: Path) -> Path:
        return root / f"threat={quoted(self.threat)}" / f"stage={quoted(self.stage)}"


@dc.dataclass(frozen=True)
class Evidence:
    """Inputs of the samples an attack claimed: ``sample`` (long [M]), ``x`` and ``x_adv`` [M, *D].

    ``delta`` [M, *P]: the perturbations, where they are not the difference of the two.
    """

    sample: Tensor
    x: Tensor
    x_adv: Tensor
    delta: Tensor | None = None


@dc.dataclass(frozen=True)
class Piece:
    """The records [n] by column, and the evidence for the claims among them, if there are any."""

    columns: dict[str, list[Any]]
    evidence: Evidence | None = None


def quoted(name: str) -> str:
    """A name as part of a path: percent signs for what a file name or a hive folder cannot hold."""
    return urllib.parse.quote(name, safe=":")


def write(piece: Piece, address: Address, run: Path, key: str) -> None:
    """Store a piece, inputs first.

    Raises:
        RunError: the disk does not take it.
    """
    inputs = None if piece.evidence is None else _bytes(piece.evidence)
    if inputs is not None:
        atomic.write(address.inputs(run), inputs)
    table = pa.table(piece.columns, schema=COLUMNS)
    note = {
        "schema": SCHEMA,
        "key": key,
        **dc.asdict(address),
        "inputs_sha256": None if inputs is None else hashlib.sha256(inputs).hexdigest(),
        "digest": digest(table),
    }
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({_NOTE: json.dumps(note)}), sink)
    atomic.write(address.records(run), sink.getvalue().to_pybytes())


def read(address: Address, run: Path, key: str) -> pa.Table | None:
    """The records of a piece, checked together with its inputs; None if there is no such piece.

    Raises:
        DamagedError: something of it is not as it was written.
    """
    path = address.records(run)
    if not path.exists():
        return None
    try:
        table = pq.read_table(path, partitioning=None)
        note = json.loads((table.schema.metadata or {})[_NOTE])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DamagedError(f"{path} cannot be read ({str(error).splitlines()[0]})") from error
    table = table.replace_schema_metadata(None)
    if note.get("schema") != SCHEMA or note.get("key") != key or Address(**_where(note)) != address:
        raise DamagedError(f"{path} belongs to another run or place")
    if table.schema != COLUMNS or note.get("digest") != digest(table):
        raise DamagedError(f"{path} does not have the content it was written with")
    _check_inputs(address.inputs(run), note.get("inputs_sha256"))
    return table


def set_aside(address: Address, run: Path) -> None:
    """Rename both files of a damaged piece, so that it is computed again and nothing is lost.

    Raises:
        RunError: the disk does not allow it.
    """
    for path in (address.records(run), address.inputs(run)):
        try:
            if path.exists():
                path.replace(path.with_name(f"{path.name}.damaged"))
        except OSError as error:
            raise atomic.explain(error, path) from error


def evidence(address: Address, run: Path) -> Evidence | None:
    """The stored inputs of a piece; None if it has none.

    Raises:
        DamagedError: they cannot be read.
    """
    path = address.inputs(run)
    if not path.exists():
        return None
    try:
        return Evidence(**parse_tensors(path.read_bytes()))
    except (OSError, SafetensorError, TypeError) as error:
        raise DamagedError(f"{path} cannot be read ({error})") from error


def one(address: Address, run: Path, sample: int) -> tuple[Tensor, Tensor]:
    """(x, x_adv) of one sample of a piece, each [*D]; reads no more of the file than that.

    Raises:
        DamagedError: it is not there, or cannot be read.
    """
    path = address.inputs(run)
    try:
        with safe_open(path, framework="pt") as file:
            row = int((file.get_tensor("sample") == sample).nonzero()[0])
            return file.get_slice("x")[row : row + 1][0], file.get_slice("x_adv")[row : row + 1][0]
    except (OSError, SafetensorError, IndexError) as error:
        raise DamagedError(f"{path} does not hold sample {sample} ({error})") from error


def digest(table: pa.Table) -> str:
    """SHA-256 of the rows, whatever way Parquet stores them."""
    return hashlib.sha256(json.dumps(table.to_pydict(), sort_keys=True).encode()).hexdigest()


def _where(note: dict[str, Any]) -> dict[str, Any]:
    return {field.name: note.get(field.name) for field in dc.fields(Address)}


def _bytes(stored: Evidence) -> bytes:
    tensors = {f.name: getattr(stored, f.name) for f in dc.fields(stored)}
    return tensor_bytes({name: t.detach().cpu().contiguous() for name, t in tensors.items() if t is not None})


def _check_inputs(path: Path, expected: str | None) -> None:
    if expected is None:
        return
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror})") from error
    if found != expected:
        raise DamagedError(f"{path} has SHA-256 {found[:12]}…, its records say {expected[:12]}…")
