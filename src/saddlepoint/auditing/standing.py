"""Who still stands: for each set the smallest perturbation known for each sample, and what follows from it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from saddlepoint.auditing.diagnosis import Diagnosis
from saddlepoint.auditing.stages import NO_THREAT, Over
from saddlepoint.core.problem import tolerance

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
SENTINELS = 48
"""At most so many samples are asked whether another attack breaks what the usual ones did not, ..."""
EVERY, FEWEST = 8, 16
"""... every eighth of those who stand, but no fewer than this."""
BRITTLE = 20
"""Where no more than one of so many stands, nearly all fell."""
SAMPLED, LEAST, MOST = 36, 12, 48
"""One of so many that are right is attacked once more with other draws: no more than so many, none where these would be
fewer, for they would tell nothing."""
CLOSEST, PRESSED, NEAREST = 24, 20, 64
"""One of so many of those who stand is close; then one of so many, where one of the closest fell or where none did: of
fewer than 64 none is worth thousands of questions."""


def asked(over: Over, standing: int) -> int:
    """How many of those who stand, or are right, a stage over ``over`` asks, if it asks anyone."""
    if over == "sampled":
        some = standing // SAMPLED
        return min(some, MOST) if some >= LEAST else 0
    if over == "sentinels":
        return min(max(standing // EVERY, FEWEST), SENTINELS, standing)
    if over == "nearest":
        return standing // NEAREST
    if over in ("closest", "pressed"):
        return min(max(standing // (CLOSEST if over == "closest" else PRESSED), FEWEST), standing)
    return standing


class Standing:
    """Built from the ``spec`` of a run, fed with its pieces in the order of its stages.

    A perturbation found under one radius counts under every radius of the same set (and mask) that is large enough:
    robust accuracy therefore never rises with the radius. Sizes in different sets are never compared.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.n: int = spec["data"]["n"]
        self.wrong: Flags = np.zeros(self.n, dtype=np.bool_)
        self._dtype: torch.dtype = getattr(torch, spec["data"]["dtype"])
        known = [*spec["threats"], *spec["curves"]]
        self._family = {one["label"]: one["family"] for one in known}
        self._limit = {one["label"]: self.limit_at(one["radius"]) for one in known}
        self.doubted: Counter[str] = Counter()
        """Threats under which sentinels fell, and how many: the usual effort was not enough there."""
        diagnosis = spec.get("diagnosis")
        self.pressed: Counter[str] = Counter()
        """Threats under which some of the closest fell, and how many."""
        known_of = None if diagnosis is None else Diagnosis.from_dict(diagnosis)
        self.misled = known_of is not None and known_of.misleading
        """Whether the slopes themselves are known to mislead: then everyone is in doubt, under every threat."""
        self.flat = known_of is not None and known_of.flat
        """Whether scores say no more than labels do."""
        self._smallest = {family: np.full(self.n, np.inf) for family in self._family.values()}
        self._margin = {label: np.full(self.n, -np.inf) for label in self._family}

    def rows(self, over: Over, label: str) -> Rows:
        """The positions a stage runs on."""
        if over == "all":
            return np.arange(self.n, dtype=np.int64)
        if over in ("right", "brittle", "firm", "sampled"):
            rows = np.flatnonzero(~self.wrong).astype(np.int64)
            if over == "sampled":
                return _spread(rows, asked(over, len(rows)))
            return rows if over == "right" or self._brittle(label) == (over == "brittle") else rows[:0]
        rows = np.flatnonzero(~self.broken(label)).astype(np.int64)
        some = asked(over, len(rows))
        if over == "sentinels":
            return _spread(rows, some)
        doubted = self.misled or self.doubted[label] > 0
        if over in ("nearest", "closest", "pressed"):
            left_out = doubted or (over != "closest" and (over == "pressed") != bool(self.pressed[label]))
            return rows[:0] if left_out else self._near(rows, some, label)
        nobody = (over == "doubted" and not doubted) or (over == "flat" and not self.flat)
        return rows[:0] if nobody else rows

    def _brittle(self, label: str) -> bool:
        """Whether nearly all that were right fell at every finite radius of the set of a threat."""
        radii = [one for one in self._limit if self.akin(one, label) and np.isfinite(self._limit[one]).all()]
        stand = [int((~self.broken(one)).sum()) for one in radii]
        return bool(radii) and max(stand) * BRITTLE <= int((~self.wrong).sum())

    def _near(self, rows: Rows, some: int, label: str) -> Rows:
        """So many of ``rows`` as came closest, in the order of the data."""
        order = np.argsort(-self._margin[label][rows], kind="stable")
        return np.sort(rows[order[:some]])

    def learn(
        self, label: str, rows: Rows, met: Flags, size: Floats, over: Over = "standing", value: Floats | None = None
    ) -> None:
        """Take in what a stage over ``over`` found at the positions ``rows``; ``value``: the best of its objective."""
        if label == NO_THREAT:
            self.wrong[rows] = met
            return
        if over == "sentinels":
            self.doubted[label] += int((met & (size <= self._limit[label][rows])).sum())
        if over == "closest":
            self.pressed[label] += int((met & (size <= self._limit[label][rows])).sum())
        if over == "standing" and value is not None:
            self._margin[label][rows] = np.fmax(self._margin[label][rows], value)
        known = self._smallest[self._family[label]]
        known[rows] = np.minimum(known[rows], np.where(met, size, np.inf))

    def distance(self, label: str) -> Floats:
        """The smallest size known to break each sample in the set of a threat, [N]: 0 where it is wrong already."""
        return np.where(self.wrong, 0.0, self._smallest[self._family[label]])

    def broken(self, label: str) -> Flags:
        """The samples that are broken within the radius of a threat, the wrong ones included: [N]."""
        within: Flags = self.distance(label) <= self._limit[label]
        return within

    def limit(self, label: str) -> Floats:
        """Up to which size a perturbation counts for a threat, [N]: its radius, and the tolerance for rounding."""
        return self._limit[label]

    def limit_at(self, radius: float | list[float] | None) -> Floats:
        """The same for any radius; None is unlimited."""
        radii = torch.as_tensor(torch.inf if radius is None else radius, dtype=self._dtype).expand(self.n)
        limit: Floats = (radii.double() + tolerance(radii, self._dtype).double()).numpy()
        return limit

    def akin(self, one: str, other: str) -> bool:
        """Whether two threats have the same set, so that their sizes can be compared."""
        same: bool = self._family.get(one) == self._family[other]
        return same


def _spread(rows: Rows, some: int) -> Rows:
    """So many of ``rows``, evenly spread over them."""
    return rows[np.linspace(0, max(len(rows) - 1, 0), some).astype(np.int64)]
