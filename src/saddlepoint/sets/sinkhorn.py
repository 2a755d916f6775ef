"""Projected Sinkhorn iterations: into a Wasserstein ball by way of entropy."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.rows import column
from saddlepoint.sets.wasserstein import EXACT, Wasserstein

OMEGA = 6
"""Newton steps to w + log w = u: to the last digits from where they begin."""
UNDERFLOW = -30.0
"""Below, w + log w = u is log w = u to the last digit."""
TENTH = 10
"""So often it is asked whether all are close: each time waits for the device."""


@dc.dataclass(frozen=True)
class Sinkhorn:
    """A projection of pictures, not of plans: z nearest to what δ makes of x, with entropy, as Wong et al. have it.

    minimize λ/2 |z - w|² + Σ Π log Π over plans Π from x to z of a cost of at most the radius, w what δ makes of x; in
    shares of all brightness. By ascent of the dual, coordinate after coordinate, all in logarithms:

    α_i = log x_i - log Σ_j exp(-ψ C_ij + β_j),  β_j = λ w_j - W(λ exp(λ w_j) Σ_i exp(α_i - ψ C_ij)),
    ψ by Newton's method; then Π_ij = exp(α_i + β_j - ψ C_ij).

    As ``price`` λ grows it comes near the nearest picture that a plan reaches, in rounds in proportion; where λ is
    small, everything is blurred. A plan that is cheap enough already is left as it is.

    Args:
        price: λ, above 0.
        rounds: at most so many, fewer where the cost meets the radius and z is settled to the share ``close``.

    Source: Wong, Schmidt, Kolter, "Wasserstein adversarial examples via projected Sinkhorn iterations", ICML 2019.

    >>> str(Wasserstein(0.1, projection=Sinkhorn()))
    'wasserstein(projection=sinkhorn):0.1'
    """

    price: float = 1000.0
    rounds: int = 400
    close: float = 1e-5

    def __post_init__(self) -> None:
        if not (self.price > 0 and self.rounds >= 1 and self.close > 0):
            raise ThreatError(f"price, rounds and close are above 0, got {self.price}, {self.rounds}, {self.close}")

    def __str__(self) -> str:
        return "sinkhorn"

    @torch.no_grad()
    def __call__(self, ball: Wasserstein, x: Tensor, delta: Tensor, radius: Tensor) -> Tensor:
        """A plan near δ [N, C, k², H, W] of a cost of at most the radius [N]."""
        rows = (ball.size(x, delta) > radius * (1 + EXACT)).nonzero().squeeze(1)
        if not len(rows):
            return delta
        some = ball.rows(rows)
        plan = self._plan(some, x[rows], delta[rows], radius[rows])
        return delta.index_copy(0, rows, _no_dearer(some, plan, radius[rows]))

    def _plan(self, ball: Wasserstein, x: Tensor, delta: Tensor, radius: Tensor) -> Tensor:
        """The changes that Π makes, [N, C, k², H, W]."""
        share, cost = ball.shares(x), ball.cost(x).view(1, 1, -1, 1, 1)
        wanted = share + ball.arriving(delta.flatten(0, 1)).view_as(x)
        barred = ~ball.open(delta)
        barred[:, :, ball.center] = False  # what may go nowhere stays
        alpha, beta = torch.zeros_like(x), torch.zeros_like(x)
        psi = torch.ones_like(radius)

        def ways(dual: Tensor) -> Tensor:
            """The dual - ψ C of the places around each pixel, [N, C, k², H, W]."""
            return (ball.around(dual) - column(psi, delta) * cost).masked_fill(barred, -torch.inf)

        for i in range(self.rounds):
            alpha = share.log() - ways(beta).logsumexp(2)
            sent = self.price * wanted
            settled = beta
            beta = sent - omega(sent + torch.log(torch.full_like(sent, self.price)) + ways(alpha).logsumexp(2))
            given = ways(beta)
            alpha = share.log() - given.logsumexp(2)
            plan = (alpha.unsqueeze(2) + given).exp()
            spent = (plan * cost).flatten(1).sum(1)
            bent = (plan * cost.square()).flatten(1).sum(1).clamp_min(torch.finfo(plan.dtype).tiny)
            if i % TENTH == TENTH - 1 and self._done(beta - settled, spent, psi, radius, share):
                break
            psi = torch.maximum(psi + (spent - radius) / bent, psi / 2)
        plan[:, :, ball.center] -= share
        return plan

    def _done(self, moved: Tensor, spent: Tensor, psi: Tensor, radius: Tensor, share: Tensor) -> bool:
        near = (spent - radius).abs() <= self.close * 10 * radius
        near |= (spent < radius) & (psi < self.close)
        still = moved.flatten(1).abs().amax(1) / self.price <= self.close * share.flatten(1).amax(1)
        return bool((near & still).all())


def omega(u: Tensor) -> Tensor:
    """w > 0 with w + log w = u: Lambert's W of exp(u), at any u.

    >>> w = omega(torch.tensor([-100.0, 0.0, 1.0, 1e4]))
    >>> bool((w[1:] + w[1:].log() - torch.tensor([0.0, 1.0, 1e4])).abs().max() < 1e-2), round(float(w[1]), 4)
    (True, 0.5671)
    """
    inner = u.clamp_min(UNDERFLOW)
    w = torch.where(inner > 1, inner - inner.clamp_min(1).log(), inner.clamp_max(1).exp())
    for _ in range(OMEGA):
        w = w * (1 + inner - w.log()) / (1 + w)
        w = w.clamp_min(torch.finfo(w.dtype).tiny)
    return torch.where(u < UNDERFLOW, u.exp(), w)


def _no_dearer(ball: Wasserstein, delta: Tensor, radius: Tensor) -> Tensor:
    """The plan brought toward doing nothing where the iterations left it dearer than the radius."""
    spent = (delta * ball.cost(delta).view(-1, 1, 1)).flatten(1).sum(1)
    given = delta * column((radius / spent.clamp_min(torch.finfo(spent.dtype).tiny)).clamp_max(1), delta)
    own = given.sum(2) - given[:, :, ball.center]
    return given.index_copy(2, torch.tensor([ball.center], device=delta.device), -own.unsqueeze(2))
