"""One perturbation of each input that fools several models at once."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, LabelAccess, Ledger, ScoreAccess
from saddlepoint.access.checks import check_inputs
from saddlepoint.access.ensemble import each, side_by_side
from saddlepoint.access.model import ordinary_gain
from saddlepoint.attacks.batches import in_batches
from saddlepoint.attacks.cascade import restarts as restarted
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipes.pgd import check_steps, objective_named, pgd, relative_step_of
from saddlepoint.attacks.run import Question, ask_clean, check_goal, judged, perturbed, settle
from saddlepoint.core.goal import Goal
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result
from saddlepoint.errors import OptionError
from saddlepoint.initializers import uniform
from saddlepoint.noise import Noise
from saddlepoint.optimizers.min_max import MinMax
from saddlepoint.optimizers.schedules import constant
from saddlepoint.rows import take
from saddlepoint.sets import Neighborhood
from saddlepoint.shapes import Flags

GAMMA = 3.0
"""How strongly the weights of the models are drawn to equality, unless told otherwise."""


@dc.dataclass(frozen=True)
class Jointly(Result):
    """A ``Result`` whose goal is met where all models are fooled; ``fooled`` (bool [N, M]) tells which are."""

    fooled: Flags

    def rows(self, keep: Tensor) -> Jointly:
        """The samples ``keep`` (long [n]) alone."""
        return take(self, keep)


def fool_all(
    models: Sequence[Callable[[Tensor], Any]],
    x: Tensor,
    y: Tensor | Goal,
    threat: Neighborhood,
    *,
    steps: int = 40,
    restarts: int = 1,
    relative_step: float | None = None,
    objective: Literal["cross-entropy", "margin"] = "cross-entropy",
    beta: float = 50.0,
    gamma: float = GAMMA,
    seed: int = 0,
    ids: Tensor | None = None,
) -> Jointly:
    """For each input one perturbation that fools all models, by PGD on the models that still hold.

    maximize min over w in the simplex of Σ_k w_k v_k(δ) + γ/2 |w - 1/M|² over δ in the set, from a random start; the
    weights w of each sample follow its own values v_k, the objective on each model. With an infinite ``gamma`` it is
    the attack on the average, of one model it is ``pgd``. A model may as well be one network behind a transformation:
    then the perturbation survives all of these.

    Args:
        models: M of them, for the same inputs and classes, with gradients: ``nn.Module``, callable or ``sp.wrap``.
        x: inputs [N, *D], float32 or float64.
        y: true labels (long [N]), or a ``Goal``.
        threat: a set that ``pgd`` knows, with its radius.
        steps, restarts, relative_step, objective: as in ``pgd``.
        beta: the inertia of the weights, in units of the objective.
        gamma: how strongly the weights are drawn to equality, in units of the objective; infinity: the average.
        seed, ids: of the random starts.

    Returns:
        a ``Result`` whose ``met`` is recomputed on each model; ``forwards`` counts those of all models as one.

    Raises:
        DataError, ModelError, ThreatError, OptionError: what is wrong, and what to do.

    Source: Wang, Zhang, Liu, Chen, Xu, Fardad, Li, "Adversarial attack generation empowered by min-max optimization",
    NeurIPS 2021.

    >>> import saddlepoint as sp
    >>> nets = [sp.zoo.load("fashion-standard"), sp.zoo.load("fashion-fgsm")]
    >>> data = sp.zoo.data.load("fashion-mnist-1k[:16]")
    >>> found = fool_all(nets, data.x, data.y, sp.Linf(0.2), steps=10)
    >>> found.fooled.shape, bool((found.met == found.fooled.all(1)).all())
    (torch.Size([16, 2]), True)
    """
    if not beta > 0 or not gamma >= 0:
        raise OptionError(f"beta is more than 0 and gamma not negative, got {beta:g} and {gamma:g}")
    check_steps(steps)
    members = len(models)
    joint = side_by_side(models)
    inputs = check_inputs(x, joint.box)
    threat = pgd.check_threat(threat, joint)
    usual = relative_step_of(threat, steps)
    climb = MinMax(constant(usual if relative_step is None else relative_step), members, beta, gamma)
    attack: Attack[Any] = restarted(Iterate(threat, objective_named(objective), climb, uniform, steps), restarts)
    radius = threat.radii(inputs)
    streams = Noise.seeded(seed, torch.arange(len(x), device=x.device) if ids is None else ids.to(x.device))
    with joint.quiet(seed):
        said = each(ask_clean(joint, inputs), members)
        goal = check_goal(y, inputs, said.shape[2])
        access = GradientAccess(joint, Ledger(len(x), None, joint.batch_size, x.device), _gain(said))
        question = Question(inputs, goal, threat, radius, streams)
        fooled = goal.reached(said).T.clone()
        done, margin = fooled.all(1), goal.margin(said).amin(0)

        def judge(found: Result, access: LabelAccess, asked: Question) -> Result:
            x_adv, size = perturbed(found, asked)
            scores = access.lower(ScoreAccess)
            batches = in_batches(lambda rows: scores.view(rows).scores(x_adv[rows]), access, len(x_adv))
            said = each(torch.cat(list(batches)), members)
            fooled[access.rows] = asked.goal.reached(said).T
            return judged(found, x_adv, size, fooled[access.rows].all(1))

        out = settle(attack, access, question, done, margin, judge)
    return Jointly(**{f.name: getattr(out, f.name) for f in dc.fields(Result)}, fooled=fooled)


def _gain(said: Tensor) -> Tensor | None:
    """Factors [N, M · K] that bring the logits [M, N, K] of each model to an ordinary scale; None if none is needed."""
    gain = ordinary_gain(said)
    return None if gain is None else gain.T.repeat_interleave(said.shape[2], 1)
