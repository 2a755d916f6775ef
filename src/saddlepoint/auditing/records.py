"""The records of a run in one table, and the row of each sample's worst case."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from saddlepoint.auditing.piece import COLUMNS, Address
from saddlepoint.auditing.standing import Floats, Rows, Standing

CLEAN = "00-clean"
PLACE = pa.schema([("threat", pa.string()), ("stage", pa.string()), ("part", pa.int64())])
"""The columns that say where a row is stored; they come first."""
SCHEMA = pa.schema([*PLACE, *COLUMNS])


@dc.dataclass(frozen=True)
class StageRows:
    """The rows of one stage: positions of their samples in the data (long [n]), met and size."""

    positions: Rows
    table: pa.Table

    @property
    def met(self) -> npt.NDArray[np.bool_]:
        """Whether the goal is met, bool [n]."""
        return column(self.table, "met").astype(np.bool_)

    @property
    def size(self) -> Floats:
        """The size of the perturbations, [n]."""
        return column(self.table, "size").astype(np.float64)

    @property
    def value(self) -> Floats:
        """The best value of the objective, [n]."""
        return column(self.table, "value").astype(np.float64)


def placed(table: pa.Table, address: Address) -> pa.Table:
    """The records of a piece with the columns that say where it is stored."""
    for i, (name, value) in enumerate(dc.asdict(address).items()):
        table = table.add_column(i, PLACE.field(name), pa.array([value] * len(table), PLACE.field(name).type))
    return table


def joined(tables: list[pa.Table]) -> pa.Table:
    """All records, in the order of the stages."""
    return pa.concat_tables(tables).combine_chunks() if tables else SCHEMA.empty_table()


def column(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column as an array [n]."""
    values: npt.NDArray[Any] = table.column(name).to_numpy()
    return values


def first_stage(spec: dict[str, Any], label: str) -> dict[str, Any] | None:
    """The first attack on whoever stands under the threat ``label``, as specified; None where there is none."""
    return next((one for one in spec["stages"] if one["threat"] == label and one["over"] == "standing"), None)


def stage_rows(records: pa.Table, stage: str) -> StageRows:
    """The rows of the stage of that name."""
    table = records.filter(pc.equal(records.column("stage"), stage))
    return StageRows(positions(records, table), table)


def positions(records: pa.Table, table: pa.Table) -> Rows:
    """Where the samples of ``table`` stand in the data: the clean pass lists them all, in their order."""
    ids = column(records.filter(pc.equal(records.column("stage"), CLEAN)), "sample")
    order = np.argsort(ids, kind="stable")
    found: Rows = order[np.searchsorted(ids, column(table, "sample"), sorter=order)]
    return found


def replay(spec: dict[str, Any], records: pa.Table, standing: Standing) -> Iterator[tuple[dict[str, Any], StageRows]]:
    """Go through the stages of a run in their order, the clean pass first; ``standing`` learns each after its turn."""
    for stage in spec["stages"]:
        rows = stage_rows(records, stage["name"])
        yield stage, rows
        standing.learn(stage["threat"], rows.positions, rows.met, rows.size, stage["over"], rows.value)


def after(spec: dict[str, Any], records: pa.Table) -> Standing:
    """Who stands when everything in ``records`` is known."""
    standing = Standing(spec)
    for _ in replay(spec, records, standing):
        pass
    return standing


def worst_case(records: pa.Table, standing: Standing, label: str) -> dict[int, int]:
    """For each sample that is right unperturbed and broken within the radius of the threat: position -> row.

    The row is that of its smallest perturbation in the set of the threat, the first found where there are several.
    """
    where, size = positions(records, records), column(records, "size")
    kin = np.array([standing.akin(name, label) for name in column(records, "threat")], dtype=np.bool_)
    counts = kin & column(records, "met").astype(np.bool_) & (standing.broken(label) & ~standing.wrong)[where]
    rows = np.flatnonzero(counts)
    rows = rows[np.lexsort((rows, size[rows], where[rows]))]
    first = np.unique(where[rows], return_index=True)
    return {int(position): int(rows[i]) for position, i in zip(*first, strict=True)}


def address(records: pa.Table, row: int) -> Address:
    """Where a row is stored."""
    return Address(*(records.column(name)[row].as_py() for name in PLACE.names))
