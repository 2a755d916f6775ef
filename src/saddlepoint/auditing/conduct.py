"""The loop of an audit: stage after stage, piece after piece; what is on disk already is taken from there."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from saddlepoint.auditing.estimate import passes
from saddlepoint.auditing.listener import Listener
from saddlepoint.auditing.piece import Address, DamagedError
from saddlepoint.auditing.plan import Plan
from saddlepoint.auditing.records import column, joined, placed
from saddlepoint.auditing.run import Run
from saddlepoint.auditing.stages import AttackStage, CleanStage, Over, Stage
from saddlepoint.auditing.standing import Rows, Standing, asked
from saddlepoint.auditing.subject import Subject
from saddlepoint.heap import give_back

SECONDS = 600.0
"""So long a piece takes at most, as told from the clean pass and how often its attack asks at most, which is some three
times what it does: what a kill loses."""
SIZES, UNTOLD = (1024, 256, 64, 16), 256
"""Of how many samples it is, the largest that fits: few sizes, so that two runs on one machine batch alike, and round
alike; and where nothing tells how long it takes."""
NUMBERS = 1 << 26
"""So many numbers its inputs are at most: an attack holds some ten times of them."""


def conduct(
    subject: Subject,
    plan: Plan,
    run: Run,
    piece_size: int | None,
    listener: Listener,
    written: Callable[[], object] = lambda: None,
) -> tuple[pa.Table, tuple[str, ...]]:
    """Do what the plan says and the run does not hold yet: all records, and what a reader must know.

    ``piece_size``: of how many samples pieces are; None: of as many as take some minutes, told from the clean pass.
    ``written`` is called after each new piece is on disk.
    """
    audit = _Conduct(subject, run, piece_size, listener, written)
    listener.begin([f"{stage.label} {stage.name}" for stage in plan.stages], len(subject))
    for notice in plan.notices:
        listener.notice(notice)
    for stage in plan.stages:
        audit.stage(stage)
        if isinstance(stage, CleanStage):
            audit.per_pass = float(np.median(column(joined(audit.tables), "seconds")))
            right = int((~audit.standing.wrong).sum())
            listener.estimate(_estimate(plan, right, audit.per_pass, len(subject.classes)))
    return joined(audit.tables), tuple(audit.notices)


class _Conduct:
    """What the loop knows so far: who stands, the records, the notices, and how many seconds a forward takes."""

    def __init__(
        self, subject: Subject, run: Run, piece_size: int | None, listener: Listener, written: Callable[[], object]
    ) -> None:
        self.subject, self.run, self.piece_size, self.listener = subject, run, piece_size, listener
        self.written = written
        self.standing = Standing(run.spec)
        self.tables: list[pa.Table] = []
        self.notices: list[str] = []
        self.per_pass = math.nan

    def stage(self, stage: Stage) -> None:
        """All pieces of a stage, over the samples that stand when it begins."""
        rows = self.standing.rows(stage.over, stage.label)
        still = rows if isinstance(stage, CleanStage) else self.standing.rows("standing", stage.label)
        self.listener.stage(stage.name, len(rows), len(still))
        before, close = self.standing.doubted[stage.label], self.standing.pressed[stage.label]
        first = part = 0
        while first < len(rows):
            address = Address(stage.label, stage.name, part)
            table, fresh = self._piece(stage, address, rows[first:])
            some = rows[first : first + len(table)]
            first, part = first + len(some), part + 1
            self.tables.append(placed(table, address))
            met = column(table, "met").astype(np.bool_)
            self.standing.learn(stage.label, some, met, column(table, "size"), stage.over, column(table, "value"))
            seconds = float(column(table, "seconds").sum()) if fresh else 0.0
            self.listener.piece(first, len(rows), int(met.sum()), seconds)
            self.listener.asked(int(column(table, "forwards").sum()))
        while (beyond := Address(stage.label, stage.name, part)).records(self.run.path).exists():
            self.run.set_aside(beyond)  # of smaller pieces, one of which was lost
            part += 1
        attack = stage.name.partition("-")[2]
        if fell := self.standing.doubted[stage.label] - before:
            self.listener.notice(f"{fell} of {len(rows)} sentinels fell to {attack}: all samples are in doubt now")
        if fell := self.standing.pressed[stage.label] - close:
            self.listener.notice(f"{fell} of the {len(rows)} closest fell to {attack}: more of them are attacked now")

    def _piece(self, stage: Stage, address: Address, rows: Rows) -> tuple[pa.Table, bool]:
        """The records of a piece, and whether they are new: as many of the first of ``rows`` as it was made of."""
        try:
            table = self.run.read(address)
            if table is not None and column(table, "sample").tolist() != self.subject.ids[rows[: len(table)]].tolist():
                raise DamagedError(f"{address.records(self.run.path)} holds other samples than it should")
        except DamagedError as error:
            self.run.set_aside(address)
            self._notice(f"{error}; it was set aside as *.damaged and is computed again")
            table = None
        if table is not None:
            return table, False
        return self._compute(stage, address, rows[: self._size(stage)]), True

    def _size(self, stage: Stage) -> int:
        """Of how many samples a new piece is."""
        if self.piece_size is not None:
            return self.piece_size
        numbers = max(self.subject.x[0].numel(), 1)
        asked = passes(stage.attack(), len(self.subject.classes)) if isinstance(stage, AttackStage) else math.nan
        one = asked * self.per_pass
        by_time = UNTOLD if math.isnan(one) else next((size for size in SIZES if size * one <= SECONDS), SIZES[-1])
        return max(min(by_time, NUMBERS // numbers), 1)

    def _compute(self, stage: Stage, address: Address, rows: Rows) -> pa.Table:
        batch_size = self.subject.model.batch_size
        self.run.write(stage.work(self.subject, rows), address)
        self.written()
        give_back()
        if self.subject.model.batch_size < batch_size:
            self._notice(f"memory ran out: batches of {self.subject.model.batch_size} samples now, not {batch_size}")
        table = self.run.read(address)
        assert table is not None, "what was just written is there"
        return table

    def _notice(self, text: str) -> None:
        self.notices.append(text)
        self.listener.notice(text)


def _estimate(plan: Plan, right: int, per_pass: float, classes: int) -> float | None:
    """Seconds for all attacks at most, told from the clean pass: as if all that are ``right`` stood until the end, and
    nothing were in doubt.
    """
    attacks = [stage for stage in plan.stages if isinstance(stage, AttackStage)]
    total = sum(passes(stage.attack(), classes) * _expected(stage.over, right) for stage in attacks)
    return None if math.isnan(total) else total * per_pass


def _expected(over: Over, right: int) -> int:
    """How many samples a stage runs on at most; where nothing is in doubt."""
    return 0 if over in ("doubted", "flat", "pressed", "brittle") else asked(over, right)
