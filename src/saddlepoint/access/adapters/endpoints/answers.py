"""From the JSON that an endpoint answers to one row of numbers for each input."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from saddlepoint.access.adapters.endpoints.description import Description
from saddlepoint.access.adapters.endpoints.paths import AbsentError, at, described
from saddlepoint.errors import ModelError

Row = npt.NDArray[np.float64]
SHOWN = 8
"""So many names of classes stand in an error."""
SLACK = 1e-3
"""Probabilities may sum to so much more than one, because they were rounded."""


class Reader:
    """Reads answers. A row is [1] with the label, or [K] with the scores ([1] where two classes have one score).

    Of the best classes (top-k) each row [K] are probabilities: the rest of the mass is spread evenly over the classes
    that are not named, none of which gets more than the last one named.
    """

    def __init__(self, of: Description, single: bool) -> None:
        """``single``: the answer is that to one input, not a list of answers."""
        assert of.kind is not None, "completed before it is used"
        self.of, self.single, self.kind = of, single, of.kind
        self.path = of.answer.path if of.answer.path is not None else of.kind
        names = of.classes if isinstance(of.classes, tuple) else ()
        self.place = {name: i for i, name in enumerate(names)}
        self._read: Callable[[Any], Row] = {"labels": self._label, "scores": self._scores, "top": self._top}[of.kind]

    def rows(self, answer: Any, n: int) -> list[Row]:
        """The rows of the answer to ``n`` inputs.

        Raises:
            ModelError: what was answered, and what was expected.
        """
        try:
            found = at(answer, self.path)
        except AbsentError as error:
            raise self._wrong(f"an answer with {error}", f"{self.kind} at {self.path!r}") from None
        found = [found] if self.single else found
        if not isinstance(found, list):
            raise self._wrong(described(found), f"a list of {n} {self.kind}")
        if len(found) != n:
            raise self._wrong(f"{len(found)} answers", f"one for each of {n} inputs")
        return [self._read(one) for one in found]

    def fits(self, row: Row) -> bool:
        """Whether a row that was stored could have been read."""
        if not np.isfinite(row).all():
            return False
        if self.kind == "labels":
            return len(row) == 1 and float(row[0]) in range(self.of.count)
        return len(row) == self.of.count or (self.kind == "scores" and len(row) == 1 and self.of.count == 2)

    def _label(self, said: Any) -> Row:
        return np.array([self._class(said)], np.float64)

    def _scores(self, said: Any) -> Row:
        if isinstance(said, dict):
            row = np.full(self.of.count, np.nan)
            for name, score in said.items():
                row[self._class(name)] = self._number(score)
            if np.isnan(row).any():
                raise self._wrong(f"scores for {len(said)} classes", f"one for each of {self.of.count}")
            return row
        if isinstance(said, (int, float)) and self.of.count == 2:
            said = [said]
        if not isinstance(said, list):
            raise self._wrong(described(said), f"a list of {self.of.count} scores")
        if len(said) != self.of.count and (len(said), self.of.count) != (1, 2):
            raise self._wrong(f"{len(said)} scores for an input", f"one for each of {self.of.count} classes")
        return np.array([self._number(score) for score in said], np.float64)

    def _top(self, said: Any) -> Row:
        named = self._named(said)
        row = np.full(self.of.count, np.nan)
        for place, probability in named:
            if not np.isnan(row[place]):
                raise self._wrong(f"the class {self._called(place)} twice in one answer", "each class once")
            row[place] = probability
        total, last = float(np.nansum(row)), min(p for _, p in named)
        if last < 0 or total > 1 + SLACK:
            raise self._wrong(
                f"numbers from {last:g} that sum to {total:g}", "probabilities: not below 0, and at most 1 in sum"
            )
        left = np.isnan(row)
        if left.any():
            row[left] = min(max(1 - total, 0) / left.sum(), last)
        return row

    def _named(self, said: Any) -> list[tuple[int, float]]:
        if not isinstance(said, list) or not said:
            raise self._wrong(described(said), 'the best classes, [["cat", 0.9], ...], at least one')
        return [self._pair(one) for one in said]

    def _pair(self, said: Any) -> tuple[int, float]:
        keys = self.of.answer
        if isinstance(said, dict) and keys.name in said and keys.score in said:
            said = [said[keys.name], said[keys.score]]
        if not isinstance(said, list) or len(said) != 2:
            expected = f'["cat", 0.9] or {{"{keys.name}": "cat", "{keys.score}": 0.9}}'
            raise self._wrong(f"{described(said)} for one of the best classes", expected)
        return self._class(said[0]), self._number(said[1])

    def _class(self, said: Any) -> int:
        if isinstance(said, str) and said in self.place:
            return self.place[said]
        if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < self.of.count:
            return said
        known = self._known()
        raise self._wrong(
            f"the class {described(said)}", f"{known}: its classes have changed, or the description lacks one"
        )

    def _number(self, said: Any) -> float:
        if isinstance(said, bool) or not isinstance(said, (int, float)) or not math.isfinite(said):
            raise self._wrong(f"{described(said)} for a score", "a finite number")
        return float(said)

    def _called(self, place: int) -> str:
        return repr(next((name for name, i in self.place.items() if i == place), place))

    def _known(self) -> str:
        if not self.place:
            return f"a number from 0 to {self.of.count - 1}"
        names = list(self.place)
        more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"one of {', '.join(names[:SHOWN])}{more}"

    def _wrong(self, got: str, expected: str) -> ModelError:
        return ModelError(f"{self.of.name} answered {got}; expected was {expected}")


def stacked(rows: Sequence[Row], name: str) -> npt.NDArray[np.float64]:
    """The rows below each other.

    Raises:
        ModelError: they differ in length.
    """
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ModelError(f"{name} answered {' and '.join(map(str, lengths))} scores to different inputs")
    return np.stack(rows)
