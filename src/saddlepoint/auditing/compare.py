"""Two runs on the same samples: who withstands more, and whether that may be chance."""

from __future__ import annotations

import dataclasses as dc
import math
from pathlib import Path
from typing import Any

from saddlepoint.auditing.records import after
from saddlepoint.auditing.run import read_records, read_spec
from saddlepoint.auditing.spec import Spec
from saddlepoint.auditing.standing import Flags
from saddlepoint.auditing.summary import Estimate
from saddlepoint.auditing.tally import summarize
from saddlepoint.errors import RunError

NORMAL = 1.959963984540054
"""The normal deviate that 2.5 % exceed."""


@dc.dataclass(frozen=True)
class Comparison:
    """What stands in two runs, for one question: ``name`` is a threat, or "clean".

    ``first`` and ``second``: the shares that stand; ``only_first`` and ``only_second``: samples that stand in one of
    the runs alone; ``p``: the chance of a split at least as uneven if these were as likely to fall on either side, by
    the exact test of McNemar (1947); ``difference``, second - first, as a share of all samples, and ``low`` and
    ``high``, its 95 % interval, by Bonett and Price (2012): that of Wald, with a sample more on either side.
    """

    name: str
    first: Estimate
    second: Estimate
    only_first: int
    only_second: int
    p: float
    difference: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON can hold it."""
        return dc.asdict(self)


def compare(first: str | Path, second: str | Path) -> list[Comparison]:
    """The two runs sample by sample: clean, then each threat they share.

    Raises:
        RunError: a folder holds no complete run, the samples differ, or no threat is in both.
    """
    (spec, one), (other_spec, other) = (_stands(Path(path)) for path in (first, second))
    if spec["data"]["sha256"] != other_spec["data"]["sha256"]:
        raise RunError(
            f"{first} is about {spec['data']['name']}, {second} about {other_spec['data']['name']}: to be compared"
            " sample by sample, two audits need the same samples in the same order"
        )
    shared = [name for name in one if name in other]
    if len(shared) < 2:
        known, others = (", ".join(list(stands)[1:]) for stands in (one, other))
        raise RunError(f"no threat is in both runs: {known} in {first}, {others} in {second}")
    return [_paired(name, one[name], other[name]) for name in shared]


def _stands(path: Path) -> tuple[Spec, dict[str, Flags]]:
    spec = read_spec(path)
    records = read_records(path, spec)
    if not summarize(spec, records).complete:
        raise RunError(f"the run in {path} is not complete: issue the command of the audit again")
    standing = after(spec, records)
    return spec, {"clean": ~standing.wrong, **{t["label"]: ~standing.broken(t["label"]) for t in spec["threats"]}}


def _paired(name: str, first: Flags, second: Flags) -> Comparison:
    from scipy.special import bdtr  # scipy.stats takes a second to import

    n, only_first, only_second = len(first), int((first & ~second).sum()), int((second & ~first).sum())
    split = only_first + only_second
    p = min(1.0, 2 * float(bdtr(min(only_first, only_second), split, 0.5))) if split else 1.0
    shares = [Estimate.of(int(stands.sum()), n) for stands in (first, second)]
    return Comparison(name, shares[0], shares[1], only_first, only_second, p, *_difference(only_first, only_second, n))


def _difference(only_first: int, only_second: int, n: int) -> tuple[float, float, float]:
    """(only_second - only_first) / n, and the ends of its interval."""
    lost, won = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    wide = NORMAL * math.sqrt((lost + won - (won - lost) ** 2) / (n + 2))
    return (only_second - only_first) / n, max(won - lost - wide, -1.0), min(won - lost + wide, 1.0)
