"""The vote of a model under Gaussian noise, certified and attacked: another classifier than the model itself."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.access.model import wrap
from saddlepoint.attacks.recipes.triage import shrinking
from saddlepoint.auditing.plan import Threat
from saddlepoint.auditing.subject import Subject
from saddlepoint.auditing.summary import Vote
from saddlepoint.certificates import smoothed
from saddlepoint.core.goal import untargeted
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import L2

COUNTED, ALPHA = 1000, 0.001
"""Draws that are counted for each sample, and the probability that what is said about it is wrong."""
STEPS, DRAWS = 20, 10
"""Steps of the attack on the vote, and noisy answers in the mean that each follows."""


def check_votes(sigma: float | None, threats: Sequence[Threat]) -> None:
    """Refuse a deviation that nothing can be certified with.

    Raises:
        OptionError: it is not above 0, or no threat is in L2.
    """
    if sigma is None:
        return
    if not 0 < sigma < float("inf"):
        raise OptionError(f"sigma must be above 0 and finite, got {sigma}: write for instance sigma=0.25")
    if not any(type(one.set) is L2 and one.set.mask is None for one in threats):
        raise OptionError("votes under noise are certified in L2: add such a threat (l2:0.5), or leave sigma out")


def votes(subject: Subject, threats: Sequence[Threat], sigma: float, seed: int) -> list[dict[str, Any]]:
    """For each threat in L2 what is known of the vote, as JSON can hold it.

    A sample stands unless the vote names another class for what the attack made of it; where it abstains it stands.

    Source: Cohen, Rosenfeld, Kolter, ICML 2019; the attack follows the mean of noisy answers as Salman et al.,
    "Provably robust deep learning via adversarially trained smoothed classifiers", NeurIPS 2019, do.
    """
    x = subject.x.to(subject.model.device or subject.x.device)
    y = subject.y.to(x.device)
    plain = _vote(subject, x, sigma, seed)
    found = []
    for one in threats:
        if type(one.set) is not L2 or one.set.mask is not None:
            continue
        radius = one.set.radii(x).double()
        right = plain.label == y
        again = _vote(subject, _attacked(subject, x, y, one.set, sigma, seed), sigma, seed + 1)
        vote = Vote(
            threat=one.label,
            sigma=sigma,
            n=len(x),
            right=int(right.sum()),
            certified=int((right & (plain.radius > radius)).sum()),
            standing=int((right & ((again.label == y) | (again.label < 0))).sum()),
            counted=COUNTED,
            alpha=ALPHA,
            attack=f"{STEPS} steps of PGD on the mean of {DRAWS} noisy answers",
        )
        found.append(dc.asdict(vote))
    return found


def _vote(subject: Subject, x: Tensor, sigma: float, seed: int) -> Any:
    return smoothed(subject.model, x, sigma=sigma, n=COUNTED, alpha=ALPHA, seed=seed, ids=subject.ids)


def _attacked(subject: Subject, x: Tensor, y: Tensor, threat: L2, sigma: float, seed: int) -> Tensor:
    """What PGD on the mean of noisy answers makes of x [N, *D]: it goes on where one mean is fooled, which is luck."""
    model = subject.model

    def noisy(inputs: Tensor) -> Tensor:
        return model(inputs + sigma * torch.randn_like(inputs))

    mean = wrap(noisy, bounds=model.box.ends, output="logits", draws=DRAWS, batch_size=model.batch_size)
    attack = dc.replace(shrinking(threat, margin, STEPS), stop_when_met=False)
    with model.quiet(seed):
        access = mean.access(len(x), device=x.device).lower(GradientAccess)
        noise = Noise.seeded(seed, subject.ids.to(x.device)).at("vote")
        return attack(access, x, untargeted(y), noise, threat.radii(x)).x_adv
