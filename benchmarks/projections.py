"""What projections and linear oracles of sets cost, beside a plain way to the same result.

    python benchmarks/projections.py

Each plain way is checked to give the same. Exact distances by POT (pip install --no-deps POT), where it is installed,
say how dear what the Wasserstein ball returns really is. Prints rows for README.md.
"""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Callable

import torch
from measure import provenance, ratio, side_by_side
from torch import Tensor

import saddlepoint as sp

N, ROUNDS, RADIUS = 256, 3, 0.1
Project = Callable[[], Tensor]


def main() -> None:
    torch.set_num_threads(1)
    x = sp.zoo.data.load(f"fashion-mnist-1k[:{N}]").x
    print(provenance(N))
    print("| what | plain way | CPU s: ours | plain | times faster | largest difference |")
    print("|---|---|---|---|---|---|")
    for what, plain, ours, theirs in (*wasserstein(x), *nuclear(x), sparse(x)):
        compared(what, plain, ours, theirs)
    distances(x[:32])


def compared(what: str, plain: str, ours: Project, theirs: Project) -> None:
    apart = float((ours() - theirs()).abs().max())
    seconds = side_by_side({"ours": ours, "plain": theirs}, ROUNDS)
    medians = [statistics.median(seconds[name]) for name in ("ours", "plain")]
    faster = 1 / ratio(seconds, "ours", "plain")
    print(f"| {what} | {plain} | {medians[0]:.3f} | {medians[1]:.3f} | {faster:.1f} | {apart:.1e} |", flush=True)


def steps(x: Tensor, share: float) -> tuple[sp.Wasserstein, Tensor, Tensor]:
    """The ball, a step of ``share`` of the radius along random slopes, and the radius."""
    torch.manual_seed(0)
    ball = sp.Wasserstein()
    slope = torch.randn_like(x)
    gradient = torch.func.vjp(lambda d: ball.apply(x, d), ball.zero(x))[1](slope)[0]
    return ball, share * RADIUS * ball.steepest(x, gradient), torch.full((len(x),), RADIUS)


def wasserstein(x: Tensor) -> list[tuple[str, str, Project, Project]]:
    rows = []
    for share in (0.25, 1.0, 3.0):
        ball, step, radius = steps(x, share)
        rows.append(
            (
                f"Wasserstein projection, a step of {share:g} radii",
                "sort each pixel, 40 bisections",
                lambda ball=ball, step=step, radius=radius: ball.nearest(x, step, radius),
                lambda step=step, radius=radius: sorted_and_bisected(x, step, radius),
            )
        )
    return rows


def sorted_and_bisected(x: Tensor, delta: Tensor, radius: Tensor) -> Tensor:
    """Each pixel onto its simplex by a sort, the price of the way by 40 bisections."""
    share = (x / x.flatten(1).sum(1).view(-1, 1, 1, 1)).unsqueeze(2)
    ball = sp.Wasserstein()
    cost = ball.cost(delta).view(1, 1, -1, 1, 1)
    entries = delta.clone()
    entries[:, :, 12:13] += share
    entries = entries.masked_fill(~ball.open(delta), -1e9)
    low, high = torch.zeros_like(radius), 100 * torch.ones_like(radius)

    def at(price: Tensor) -> Tensor:
        now = entries - cost * price.view(-1, 1, 1, 1, 1)
        falling = now.sort(2, descending=True).values
        count = torch.arange(1, 26).view(1, 1, -1, 1, 1)
        level = (falling.cumsum(2) - share) / count
        last = (falling > level).sum(2, keepdim=True).clamp_min(1) - 1
        return (now - level.gather(2, last)).clamp_min(0)

    free = at(low)
    cheap = (free * cost).flatten(1).sum(1) <= radius
    for _ in range(40):
        middle = (low + high) / 2
        dear = (at(middle) * cost).flatten(1).sum(1) > radius
        low, high = torch.where(dear, middle, low), torch.where(dear, high, middle)
    plan = torch.where(cheap.view(-1, 1, 1, 1, 1), free, at(high))
    plan[:, :, 12:13] -= share
    return plan


def nuclear(x: Tensor) -> list[tuple[str, str, Project, Project]]:
    torch.manual_seed(0)
    ball, slope = sp.Nuclear(), torch.randn_like(x)

    def ours() -> Tensor:
        return (ball.steepest(x, slope) * slope).flatten(1).sum(1) / top

    def decomposed() -> Tensor:
        u, _, vh = torch.linalg.svd(slope, full_matrices=False)
        return (u[..., :1] @ vh[..., :1, :] * slope).flatten(1).sum(1) / top

    top = torch.linalg.svdvals(slope).amax((1, 2))
    return [("steepest direction of the nuclear ball, its rise", "the whole decomposition", ours, decomposed)]


def sparse(x: Tensor) -> tuple[str, str, Project, Project]:
    torch.manual_seed(0)
    ball, step, radius = sp.L1(), 0.3 * torch.randn_like(x), torch.full((len(x),), 8.0)

    def one_by_one() -> Tensor:
        return torch.stack([bisected(a, d, 8.0) for a, d in zip(x, step, strict=True)])

    return (
        "projection onto L1 and box",
        "bisection, picture by picture",
        lambda: ball.project(x, step, radius),
        one_by_one,
    )


def bisected(x: Tensor, delta: Tensor, radius: float) -> Tensor:
    low, high = 0.0, float(delta.abs().max())
    room = torch.where(delta > 0, 1 - x, x)

    def at(shift: float) -> Tensor:
        return torch.minimum((delta.abs() - shift).clamp_min(0), room)

    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if float(at(middle).sum()) > radius else (low, middle)
    return at(high) * delta.sign()


def distances(x: Tensor) -> None:
    """The exact distance between pictures and what the projection makes of them, as a share of the radius."""
    try:
        ot = importlib.import_module("ot")
    except ImportError:
        return
    ball, step, radius = steps(x, 3.0)
    moved = ball.apply(x, ball.project(x, step, radius)).double()
    places = torch.cartesian_prod(torch.arange(28.0), torch.arange(28.0)).double()
    ways = torch.cdist(places, places).numpy()
    shares = [(p.double() / p.double().sum()).flatten().numpy() for pair in zip(x, moved, strict=True) for p in pair]
    exact = [ot.emd2(a, b / b.sum() * a.sum(), ways) / RADIUS for a, b in zip(shares[::2], shares[1::2], strict=True)]
    print(f"\nexact distance of what is returned, in radii, n = {len(x)}: {min(exact):.3f} to {max(exact):.3f}")


if __name__ == "__main__":
    main()
