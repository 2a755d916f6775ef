"""The margin on planes through a few samples: what attacks had to climb.

Source of the view: Xiao, Zhong, Zheng, "Enhancing adversarial defense by k-winners-take-all", ICLR 2020, figure 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.run import ask_clean
from saddlepoint.auditing.plan import Plan, Threat
from saddlepoint.auditing.probes import slope_of
from saddlepoint.auditing.standing import Standing
from saddlepoint.auditing.subject import Subject
from saddlepoint.auditing.summary import Landscape
from saddlepoint.core.goal import untargeted
from saddlepoint.noise import Noise
from saddlepoint.rows import column
from saddlepoint.sets import L1, L2, Linf

SAMPLES = 3
POINTS = 21
"""So many points along either axis; odd, so that the sample itself is one of them."""
REACH = 1.5
"""The axes go so many radii far."""


@torch.inference_mode(False)
def landscapes(subject: Subject, plan: Plan, standing: Standing, seed: int) -> tuple[Landscape, ...]:
    """For each threat the surroundings of a few samples, if slopes can be had and answers are not random."""
    if not issubclass(subject.model.kind, GradientAccess) or subject.model.draws > 1:
        return ()
    shown = [threat for threat in plan.threats if isinstance(threat.set, (Linf, L2, L1))]
    return tuple(one for threat in shown for one in _around(subject, threat, standing, seed))


def chosen(standing: Standing, label: str) -> list[int]:
    """Positions of the sample that fell with the least change, of one that barely fell, and of one that stands."""
    distance, limit, broken = standing.distance(label), standing.limit(label), standing.broken(label)
    fell, stands = np.flatnonzero(broken & (distance > 0)), np.flatnonzero(~broken)
    ratio = distance / np.maximum(limit, np.finfo(np.float64).tiny)
    picked = [fell[np.argmin(ratio[fell])], fell[np.argmax(ratio[fell])]] if len(fell) else []
    picked += [stands[np.argmin(ratio[stands])]] if len(stands) else []
    return [int(one) for one in dict.fromkeys(picked)][:SAMPLES]


def _around(subject: Subject, threat: Threat, standing: Standing, seed: int) -> list[Landscape]:
    rows = np.array(chosen(standing, threat.label), dtype=np.int64)
    if not len(rows):
        return []
    x, y, ids = subject.rows(rows)
    own = threat.set.rows(torch.from_numpy(rows).to(x.device))
    random = Noise.seeded(seed, ids).at("landscape").normal(tuple(x.shape[1:]), dtype=x.dtype)
    radius = own.radii(x)
    with subject.model.quiet(seed):
        slope, _ = slope_of(subject.model, x, y, own, own.zero(x))
        u, v = (own.steepest(x, way) for way in (slope.nan_to_num(0.0, 0.0, 0.0), random))
        margins = _margins(subject, x, y, (column(radius, u) * u, column(radius, v) * v))
    return [
        Landscape(int(ids[i]), int(y[i]), threat.label, float(radius[i]), REACH * float(radius[i]), margins[i])
        for i in range(len(rows))
    ]


def _margins(
    subject: Subject, x: Tensor, y: Tensor, ways: tuple[Tensor, Tensor]
) -> list[tuple[tuple[float, ...], ...]]:
    """The margins of the true labels on the plane that two perturbations span, as rows and columns for each of x."""
    places = torch.linspace(-REACH, REACH, POINTS, dtype=x.dtype).tolist()
    low, high = subject.model.box.ends
    seen = []
    for b in places:
        points = torch.cat([(x + a * ways[0] + b * ways[1]).clamp(low, high) for a in places])
        margin = -untargeted(y.repeat(POINTS)).margin(ask_clean(subject.model, points))
        seen.append(margin.double().nan_to_num(0.0, 0.0, 0.0).view(POINTS, len(x)))
    grid = torch.stack(seen).permute(2, 0, 1).tolist()
    return [tuple(tuple(round(value, 4) for value in row) for row in one) for one in grid]
