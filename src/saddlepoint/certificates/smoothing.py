"""Randomized smoothing: a certificate for the vote of any classifier under Gaussian noise, with a stated confidence."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor, nn

from saddlepoint.access.asking import predict
from saddlepoint.access.checks import check_inputs
from saddlepoint.access.model import Model, wrap
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise
from saddlepoint.rows import batches
from saddlepoint.shapes import Counts, Flags, Inputs, Labels, PerSample


@dc.dataclass(frozen=True)
class Smoothed:
    """What is known, each with probability 1 - ``alpha``, about the smoothed classifier at each of N inputs.

    Attributes:
        label: its answer, long [N]; -1 where it abstains: no class is sure to have more than half of the votes.
        radius: no change of the input of a smaller L2 length changes the answer, double [N]; 0 where it abstains.
        share: at most the probability of the answer under the noise (Clopper-Pearson), double [N].
        votes: for the label among the ``n`` draws, long [N].
        sigma, n, alpha: what was asked for.
    """

    label: Labels
    radius: PerSample
    share: PerSample
    votes: Counts
    sigma: float
    n: int
    alpha: float

    def __len__(self) -> int:
        return len(self.label)

    def certified(self, y: Labels, radius: float) -> Flags:
        """Where the answer is y (long [N]) and stays so within ``radius`` in L2: bool [N]."""
        return (self.label == y.to(self.label.device)) & (self.radius > radius)


def smoothed(
    model: nn.Module | Model,
    x: Inputs,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 1000,
    alpha: float = 0.001,
    seed: int = 0,
    batch_size: int | None = None,
    ids: Tensor | None = None,
) -> Smoothed:
    """Certify the smoothed classifier g(x) = argmax_c P(f(x + ε) = c), ε normal with deviation ``sigma``, at x.

    radius = sigma · Φ⁻¹(p), with p the exact lower confidence bound of the share of the likeliest class, chosen by
    ``n0`` draws and counted in ``n`` others. It is a certificate for g, not for f: an attack on f may well succeed
    within the radius, and whoever wants the guarantee must answer by vote. The model may be anything, also one that
    answers labels only. The noise is not clipped to the bounds of the model: clipping is left to the model.

    Args:
        model: an ``nn.Module`` or a wrapped model, asked n0 + n times for each sample.
        x: inputs [N, *D] within the bounds of the model.
        sigma: standard deviation of the noise, in units of the input.
        n0, n: draws that choose the class, and that count its votes.
        alpha: probability, for each sample by itself, that what is said about it is wrong.
        seed: the draws depend on the seed and the name of the sample only, not on the batch.
        batch_size: inputs in one forward; default: that of the model.
        ids: names the samples for the randomness, long [N]; default 0..N-1.

    Returns:
        ``Smoothed``.

    Raises:
        OptionError: an option out of range. DataError: inputs that cannot be used.

    >>> one = smoothed(lambda x: torch.cat([x, -x], 1), torch.tensor([[0.5]]), sigma=0.25)
    >>> one.label.tolist(), 0.35 < float(one.radius) < 0.5
    ([0], True)

    Source: Cohen, Rosenfeld and Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019.
    """
    _check_options(sigma, n0, n, alpha, batch_size)
    subject = model if isinstance(model, Model) else wrap(model)
    x = check_inputs(x, subject.box)
    size = batch_size or subject.batch_size
    parts = []
    with subject.quiet(seed), torch.no_grad():
        for rows in batches(len(x), size, x.device):
            noise = Noise.seeded(seed, rows if ids is None else ids.to(x.device)[rows])
            chosen = _votes(subject, x[rows], sigma, n0, noise.at("choose"), size).argmax(1)
            counted = _votes(subject, x[rows], sigma, n, noise.at("count"), size)
            parts.append((chosen, counted.gather(1, chosen[:, None]).squeeze(1)))
    chosen, votes = (torch.cat(column) for column in zip(*parts, strict=True))
    share = clopper_pearson(votes, n, alpha)
    sure = share > 0.5
    radius = sigma * torch.special.ndtri(torch.where(sure, share, 0.5))
    return Smoothed(torch.where(sure, chosen, -1), radius, share, votes, sigma, n, alpha)


def clopper_pearson(votes: Counts, n: int, alpha: float) -> PerSample:
    """The exact lower confidence bound of a probability seen ``votes`` [N] times in n: double [N].

    The p at which that many votes or more have probability alpha. Source: Clopper and Pearson, Biometrika 1934.

    >>> round(float(clopper_pearson(torch.tensor([100]), 100, 0.001)), 4) == round(0.001 ** 0.01, 4)
    True
    """
    from scipy.special import betaincinv  # takes half a second to import

    seen = votes.cpu().numpy()
    bound = betaincinv(seen.clip(min=1), n - seen + 1, alpha)
    found = torch.as_tensor(bound, dtype=torch.float64, device=votes.device)
    return torch.where(votes > 0, found, 0.0)


def _votes(model: Model, x: Tensor, sigma: float, draws: int, noise: Noise, size: int) -> Tensor:
    """How often each class is the answer, long [N, K]; an answer of NaN is no vote."""
    at_once, counts = max(1, size // len(x)), torch.zeros(len(x), 1, dtype=torch.long, device=x.device)
    for first in range(0, draws, at_once):
        some = range(first, min(first + at_once, draws))
        moved = torch.stack([x + sigma * noise.at(draw).normal(tuple(x.shape[1:]), dtype=x.dtype) for draw in some])
        logits = model(moved.flatten(0, 1))
        labels = predict(logits).view(len(some), len(x))
        each = nn.functional.one_hot(labels + 1, logits.shape[1] + 1).sum(0)[:, 1:]
        counts = counts + each
    return counts


def _check_options(sigma: float, n0: int, n: int, alpha: float, batch_size: int | None) -> None:
    if not (0 < sigma < math.inf):
        raise OptionError(f"sigma must be above 0 and finite, got {sigma}: write for instance sigma=0.25")
    if min(n0, n) < 1 or (batch_size is not None and batch_size < 1):
        raise OptionError(f"n0, n and batch_size must be at least 1, got {n0}, {n} and {batch_size}")
    if not 0 < alpha < 1:
        raise OptionError(f"alpha is a probability between 0 and 1, got {alpha}")
