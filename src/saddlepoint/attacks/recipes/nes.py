"""Ascent along slopes estimated from scores, from the scores of the likeliest classes, and from labels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from saddlepoint.access.asking import LabelAccess, ScoreAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.estimated import climb_of, step_of, width_of
from saddlepoint.attacks.recipes.hop_skip_jump import begin_outside
from saddlepoint.attacks.recipes.pgd import at_least_one, objective_named
from saddlepoint.attacks.recipes.square import AT_ONCE
from saddlepoint.core.protocols import Attack
from saddlepoint.errors import OptionError
from saddlepoint.gradients.differences import NES
from saddlepoint.gradients.voted import Voted
from saddlepoint.objectives import margin
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.inward_walk import InwardWalk, by_label, in_top
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import GRADUAL, STEEP, Neighborhood

PAPER = "Ilyas, Engstrom, Athalye, Lin: Black-box adversarial attacks with limited queries and information, 2018"


@recipe(access=ScoreAccess, sets=STEEP, paper=PAPER)
def nes(
    threat: Neighborhood,
    steps: int = 100,
    pairs: int = 25,
    sigma: float = 1e-3,
    relative_step: float = 0.2,
    momentum: float = 0.9,
    plateau: int = 5,
    objective: Literal["cross-entropy", "margin"] = "cross-entropy",
) -> Attack[ScoreAccess]:
    """Momentum ascent from the clean input, its slopes estimated by pairs of opposite random steps.

    Each step costs 2 · ``pairs`` + 1 forwards: 51 by default, 5100 in all. ``sigma``, the length of the random steps,
    is in units of the range of the input, ``relative_step`` in units of the radius: 0.2 is the paper's 0.01 at a
    radius of 0.05. Where the value fell over ``plateau`` steps, they are halved; 0 never halves them.
    """
    at_least_one(steps=steps, pairs=pairs)
    if plateau < 0 or plateau == 1:
        raise OptionError(f"plateau is a number of steps over which a value can fall, 2 or more, or 0; got {plateau}")
    climb = Ascent(NES(pairs, step_of(threat, sigma)), constant(relative_step), momentum, plateau)
    return climb_of(threat, objective, climb, steps)


@recipe(access=ScoreAccess, sets=STEEP, paper=PAPER)
def nes_partial(
    threat: Neighborhood,
    steps: int = 400,
    pairs: int = 25,
    sigma: float = 1e-3,
    relative_step: float = 0.2,
    momentum: float = 0.9,
    objective: Literal["cross-entropy", "margin"] = "cross-entropy",
    candidates: Tensor | None = None,
    tries: int = 100,
) -> Attack[ScoreAccess]:
    """From an input of the target class to x, as long as the answer names the target: for answers of a few classes.

    A model that answers with its k likeliest classes (``sp.wrap(network, top=k)``, an endpoint of that kind) says
    nothing of a target that is none of them. So the walk begins at an input that meets the goal, the nearest of
    ``candidates`` [M, *D] or one of ``tries`` random ones, and draws nearer as fast as the answers allow. To
    reach a label, give some inputs of that label: noise rarely has it.

    A step costs 2 · ``pairs`` forwards and one to twelve to see how far it may go; ``relative_step`` is in units of the
    distance that is left. The rest is as for ``nes``.
    """
    at_least_one(steps=steps, pairs=pairs, tries=tries)
    slopes = NES(pairs, step_of(threat, sigma))
    walk = InwardWalk(slopes, in_top, relative_step, momentum=momentum)
    begin = begin_outside(threat, candidates, tries)
    return Iterate(threat, objective_named(objective), walk, begin, steps, compact_below=AT_ONCE)


@recipe(access=LabelAccess, sets=GRADUAL, paper=PAPER)
def nes_labels(
    threat: Neighborhood,
    steps: int = 100,
    pairs: int = 100,
    samples: int = 1,
    sigma: float = 0.03,
    blur: float = 0.03,
    relative_step: float = 0.2,
    momentum: float = 0.9,
    candidates: Tensor | None = None,
    tries: int = 100,
) -> Attack[LabelAccess]:
    """As ``nes_partial``, from labels alone: a score is the share of noisy copies whose label meets the goal.

    Each step costs 2 · ``pairs`` · ``samples`` forwards, and one to twelve more. ``sigma`` and ``blur``, the length of
    the random steps and of the noise of the copies, are in units of the range of the input: where all copies have the
    same label, nothing is learned. The paper's 0.001 and 0.002 are for pictures of 299 x 299 pixels; of its 50 to 100
    copies (``samples``) one is taken, for more directions at the same price.
    """
    at_least_one(steps=steps, pairs=pairs, samples=samples, tries=tries)
    if not blur >= 0:
        raise OptionError(f"blur is the length of the noise of the copies, 0 or more; got {blur:g}")
    slopes = Voted(NES(pairs, step_of(threat, sigma)), samples, blur * width_of(threat))
    walk = InwardWalk(slopes, by_label, relative_step, momentum=momentum)
    begin = begin_outside(threat, candidates, tries)
    return Iterate(threat, margin, walk, begin, steps, compact_below=AT_ONCE)
