"""A source whose slopes point away from the data: softened and faded until they do."""

from __future__ import annotations

import copy
import dataclasses as dc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.access.asking import GradientAccess, require
from saddlepoint.access.backward import skip_backward, soft_backward
from saddlepoint.access.checks import check_inputs
from saddlepoint.access.model import Model, wrap
from saddlepoint.attacks.batches import in_batches
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.run import ask_clean, check_goal
from saddlepoint.core.slope import slope
from saddlepoint.errors import DataError, OptionError
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy
from saddlepoint.rows import unit

BETAS = (2.0, 5.0, 10.0, 20.0, 50.0)
DECAYS = (0.2, 0.4, 0.6, 0.8, 1.0)


def alignment(
    model: Callable[[Tensor], Any], x: Tensor, y: Tensor, *, width: float = 0.1, draws: int = 4, seed: int = 0
) -> float:
    """How far the slopes of a model lead away from the data of the same class.

    E <g / |g|₂, -∇ log p(x|y)> over inputs with noise of the ``width`` on them, g = ∇ cross-entropy. No density is
    needed: for x̃ = x + width · v with normal v, the expectation over v of a field times -∇ log p is that of the field
    times v / width (denoising score matching), here over pairs v, -v.

    Args:
        model: with gradients; an ``nn.Module``, callable or ``sp.wrap``.
        x, y: inputs [N, *D] and their labels (long [N]).
        width: of the noise, in the units of the inputs.
        draws: of the noise, for each input; twice as many slopes.
        seed: of the noise.

    Raises:
        DataError, ModelError, OptionError, AccessError: what is wrong, and what to do.

    Source: Zhu, Sun, Li, "Rethinking adversarial transferability from a data distribution perspective", ICLR 2022
    (the score, there by sliced score matching); Vincent, "A connection between score matching and denoising
    autoencoders", 2011.

    >>> away = nn.Linear(2, 2)  # the slope is the same everywhere, as if it knew nothing of the data
    >>> abs(alignment(away, torch.rand(50, 2), torch.zeros(50, dtype=torch.long))) < 1e-3
    True
    """
    at_least_one(draws=draws)
    if not width > 0:
        raise OptionError(f"width must be more than 0, got {width:g}")
    if not len(x):
        raise DataError("there are no inputs to see slopes at")
    wrapped = model if isinstance(model, Model) else wrap(model)
    inputs = check_inputs(x, wrapped.box)
    streams = Noise.seeded(seed, torch.arange(len(x), device=x.device))
    with wrapped.quiet(seed):
        clean = ask_clean(wrapped, inputs)
        goal = check_goal(y, inputs, clean.shape[1])
        access = require(wrapped.access(len(x), None, clean, x.device), GradientAccess, "alignment", "take a surrogate")

        def along(rows: Tensor) -> Tensor:
            total = inputs.new_zeros(len(rows))
            for k in range(draws):
                v = streams.rows(rows).at(k).normal(tuple(inputs.shape[1:]), dtype=inputs.dtype)
                for way in (v, -v):
                    at = (inputs[rows] + width * way).requires_grad_()
                    logits = access.view(rows).logits(at)
                    g = unit(slope(cross_entropy(logits, goal.rows(rows)).sum(), at))
                    total = total + (g * way).flatten(1).sum(1)
            return total / (2 * draws * width)

        return float(torch.cat(list(in_batches(along, access, len(x)))).mean())


@dc.dataclass(frozen=True)
class Intrinsic:
    """A model with the backward rule that leads farthest from the data, and how it was found.

    ``model`` answers as before; ``beta`` of the softplus, ``decays`` of each stage, and the ``alignment`` before any
    rule and with the rule that was found.
    """

    model: Model
    beta: float
    decays: Mapping[str, float]
    before: float
    alignment: float


def intrinsic(
    model: Callable[[Tensor], Any],
    x: Tensor,
    y: Tensor,
    *,
    stages: Sequence[str] = (),
    betas: Sequence[float] = BETAS,
    decays: Sequence[float] = DECAYS,
    width: float = 0.1,
    draws: int = 4,
    seed: int = 0,
) -> Intrinsic:
    """The same model with slopes that align with -∇ log p(x|y), to craft on for others (IAA).

    Slopes pass every ReLU as if it were a softplus, and those through residual branches are faded, each stage by its
    own factor. First ``betas`` are tried, then the ``decays`` of one stage after the other, and each time that of the
    largest ``alignment`` is kept. The paper tunes all at once by Bayesian optimization.

    Args:
        model: a module, or ``sp.wrap`` of one; its own stand-ins are kept.
        x, y: inputs [N, *D] and their labels, a hundred or so.
        stages: patterns of the names of the branches of each stage, as in ``skip_backward``: ``"layer1.*.bn3"``.
        betas, decays: what is tried.
        width, draws, seed: as in ``alignment``.

    Raises:
        DataError, ModelError, OptionError, AccessError: what is wrong, and what to do.

    Source: Zhu, Sun, Li, "Rethinking adversarial transferability from a data distribution perspective", ICLR 2022.

    >>> import saddlepoint as sp
    >>> data = sp.zoo.data.load("fashion-mnist-1k[:20]")
    >>> found = intrinsic(sp.zoo.load("fashion-standard"), data.x, data.y, betas=(2.0, 20.0))
    >>> found.alignment > found.before
    True
    """
    wrapped = model if isinstance(model, Model) else wrap(model)
    if not isinstance(wrapped.network, nn.Module):
        raise OptionError("a backward rule is for modules: give the nn.Module, not a function of it")
    if not len(betas) or not len(decays):
        raise OptionError("nothing to try: give betas and decays")
    network = wrapped.network

    def ruled(beta: float, faded: Mapping[str, float]) -> tuple[float, Model]:
        one = copy.copy(wrapped)
        branches = [skip_backward(network, stage, decay) for stage, decay in faded.items()]
        rules = [*branches, soft_backward(network, beta), wrapped.stand_ins]
        one.stand_ins = {name: standin for rule in rules for name, standin in rule.items()}
        return alignment(one, x, y, width=width, draws=draws, seed=seed), one

    tried = [(*ruled(beta, {}), beta) for beta in betas]
    best, made, beta = max(tried, key=lambda one: one[0])
    faded: dict[str, float] = {}
    for stage in stages:
        found = [(*ruled(beta, {**faded, stage: decay}), decay) for decay in decays]
        best, made, faded[stage] = max(found, key=lambda one: one[0])
    return Intrinsic(made, beta, faded, alignment(wrapped, x, y, width=width, draws=draws, seed=seed), best)
