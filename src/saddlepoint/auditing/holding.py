"""A random model with its randomness held fixed: is it the draws that withstand an attack, or are slopes at fault?

Source: Carlini et al., "On evaluating adversarial robustness", 2019: attack with the randomness fixed first, then
through the mean over draws.
"""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.access.model import Model
from saddlepoint.attacks.recipes.triage import shrinking
from saddlepoint.attacks.run import ask_clean
from saddlepoint.core.goal import untargeted
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import Neighborhood

STEPS = 20
"""Steps of the attack with the randomness held fixed."""


@dc.dataclass(frozen=True)
class Held:
    """What an attack does while every forward draws the same.

    Attributes: of so many ``samples``, ``right`` are right then; of these ``fell`` within the threat, and ``far`` where
    each may become a gray picture; None in sets whose perturbations are not added to the input.
    """

    samples: int
    right: int
    fell: int
    far: int | None


def can_be_held(model: Model, x: Tensor, seed: int) -> bool:
    """Whether the answers to x [n, *D] are always the same once every forward draws the same."""
    with model.quiet(seed), model.held(seed):
        one, two = ask_clean(model, x), ask_clean(model, x)
    return torch.equal(one, two)


def attack_held(model: Model, x: Tensor, y: Tensor, threat: Neighborhood, noise: Noise, seed: int) -> Held:
    """PGD on the margin of x [n, *D] with one draw, at the radius of the threat and where nothing can withstand."""
    with model.quiet(seed), model.held(seed):
        right = ask_clean(model, x).argmax(1) == y
        fell = _fallen(model, x, y, threat, threat.radii(x), noise.at("near"))
        far = None
        if threat.additive:
            gray = torch.full_like(x, (model.box.low + model.box.high) / 2)
            radius = torch.maximum(threat.size(x, gray - x), threat.radii(x))
            far = int((_fallen(model, x, y, threat, radius, noise.at("far")) & right).sum())
    return Held(len(x), int(right.sum()), int((fell & right).sum()), far)


def _fallen(model: Model, x: Tensor, y: Tensor, threat: Neighborhood, radius: Tensor, noise: Noise) -> Tensor:
    """Whom the attack breaks, bool [n]; nobody is dropped on the way, so that each keeps its draw."""
    attack = dc.replace(shrinking(threat, margin, STEPS), compact_below=0.0)
    access = model.access(len(x), None, ask_clean(model, x), x.device).lower(GradientAccess)
    return attack(access, x, untargeted(y), noise, radius).met
