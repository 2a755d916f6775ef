"""What projections and linear oracles of sets cost, beside a plain way to the same result.

    python benchmarks/projections.py [--device cuda]

Each plain way is checked to give the same. Exact distances by POT (pip install --no-deps POT), where it is installed,
say how dear what the Wasserstein ball returns really is. Prints rows for README.md.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable

import torch
from measure import provenance, ratio, side_by_side
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import Box
from saddlepoint.sets import Sinkhorn

N, FEW, ROUNDS, RADIUS = 256, 32, 3, 0.1
Project = Callable[[], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    x = sp.zoo.data.load(f"fashion-mnist-1k[:{N}]").x.to(asked.device)
    torch.set_default_device(asked.device)  # for what the plain ways make
    where = torch.cuda.get_device_name() if asked.device == "cuda" else "CPU"
    print(provenance(N), f"on {where}")
    unit = "CPU s" if where == "CPU" else "s"
    print(f"| what | plain way | {unit}: ours | plain | times faster | largest difference |")
    print("|---|---|---|---|---|---|")
    for what, plain, ours, theirs in (*wasserstein(x), *nuclear(x), sparse(x)):
        compared(what, plain, ours, theirs)
    entropic(x[:FEW])
    distances(x[:32].cpu())


def seconds_of(contenders: dict[str, Project]) -> dict[str, list[float]]:
    """CPU seconds; on another device those until it is done."""
    if torch.get_default_device().type == "cpu":
        return side_by_side(contenders, ROUNDS)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(ROUNDS + 1):
        for name, run in contenders.items():
            torch.cuda.synchronize()
            began = time.perf_counter()
            run()
            torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def entropic(x: Tensor) -> None:
    """Projected Sinkhorn beside the exact projection of plans: what each costs, and how near it comes."""
    print(f"\nn = {len(x)}\n")
    print("| projection of a step of 3 radii | s | from the wanted picture | from the wanted plan | size, in radii |")
    print("|---|---|---|---|---|")
    ball, step, radius = steps(x, 3.0)
    share = ball.shares(x)
    wanted = share + ball.arriving(step.flatten(0, 1)).view_as(x)
    ways = {"exact, of plans": ball.projection}
    ways |= {f"Sinkhorn, λ = {p:g}, {r} rounds": Sinkhorn(p, r) for p, r in ((1e3, 50), (1e3, 200), (1e4, 200))}
    for name, projection in ways.items():
        plan = projection(ball, x, step, radius)
        picture = share + ball.arriving(plan.flatten(0, 1)).view_as(x)
        took = seconds_of({"it": lambda one=projection: one(ball, x, step, radius)})["it"]
        apart = ((picture - wanted).flatten(1).norm(dim=1).mean(), (plan - step).flatten(1).norm(dim=1).mean())
        size = float((ball.size(x, plan) / radius).mean())
        print(f"| {name} | {statistics.median(took):.2f} | {apart[0]:.4f} | {apart[1]:.4f} | {size:.3f} |", flush=True)


def compared(what: str, plain: str, ours: Project, theirs: Project) -> None:
    apart = float((ours() - theirs()).abs().max())
    seconds = seconds_of({"ours": ours, "plain": theirs})
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
    radius = torch.full((len(x),), 0.1)
    free = sp.Nuclear(box=Box(-1e3, 1e3))
    near = free.lmo(x, slope + 0.2 * torch.randn_like(x), radius)

    def worth(vertex: Tensor) -> Tensor:
        return (vertex * slope).flatten(1).sum(1) / (radius * top)

    return [
        ("steepest direction of the nuclear ball, its rise", "the whole decomposition", ours, decomposed),
        (
            "nuclear oracle from the last vertex, its rise",
            "from the longest row",
            lambda: worth(free.lmo_near(x, slope, radius, near)),
            lambda: worth(free.lmo(x, slope, radius)),
        ),
    ]


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
