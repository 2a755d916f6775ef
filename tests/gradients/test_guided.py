"""A prior for where to look: the best share against a search, its two ends, its costs, and what it is worth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import ScoreAccess
from saddlepoint.core import Problem, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.gradients import RGF, Biased, Joined, PriorGuided, backprop
from saddlepoint.gradients.differences import gaussian
from saddlepoint.gradients.prior_mixes import best_share
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy, margin
from saddlepoint.rows import flat_norm, unit
from saddlepoint.testing.problems import MLP, SHAPE

N, D = 60, 36
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.6 + 0.2
NET = MLP(seed=1)
Y = NET(X).argmax(1)


class Leaning(torch.nn.Module):
    """The network with a part of another: a surrogate whose slopes are nearer the more it weighs."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.net, self.other, self.weight = NET, MLP(seed=7), weight

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * self.net(x) + (1 - self.weight) * self.other(x)


def problem(budget: int | None = None, batch_size: int = 256) -> Problem[ScoreAccess]:
    access = sp.wrap(NET, access="scores", batch_size=batch_size).access(N, budget)
    assert isinstance(access, ScoreAccess)
    radii = torch.full((N,), 0.1, dtype=torch.float64)
    return Problem(access, X, untargeted(Y), sp.Linf(), margin, Noise.seeded(0, torch.arange(N)), radii, radii)


def exact() -> Tensor:
    access = sp.wrap(NET).access(N)
    radii = torch.full((N,), 0.1, dtype=torch.float64)
    noise = Noise.seeded(0, torch.arange(N))
    task = Problem(access, X, untargeted(Y), sp.Linf(), margin, noise, radii, radii)
    return backprop(task, torch.zeros_like(X))[1]  # type: ignore[arg-type]


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1) / (flat_norm(a, 2) * flat_norm(b, 2))


@pytest.mark.parametrize(("d", "draws"), [(100, 50), (784, 50), (36, 5), (3072, 20)])
def test_the_share_is_the_one_a_search_finds(d: int, draws: int) -> None:
    """Of the squared cosine of the estimate with the slope, as a function of λ: section 3 of the paper."""
    grid = np.linspace(0, 1, 20_001)
    for c in np.linspace(0.02, 0.98, 25):
        a = c * c
        once = grid * a + (1 - grid) / (d - 1) * (1 - a)
        twice = grid**2 * a + ((1 - grid) / (d - 1)) ** 2 * (1 - a)
        worth = once**2 / ((1 - 1 / draws) * twice + once / draws)
        share = float(best_share(torch.tensor([c], dtype=torch.float64), d, draws))
        assert 0 <= share <= 1
        assert share == pytest.approx(grid[worth.argmax()], abs=2e-4)


def test_a_better_prior_gets_a_larger_share() -> None:
    shares = best_share(torch.linspace(0, 1, 201, dtype=torch.float64), 400, 30)
    assert (shares.diff() >= -1e-12).all()
    assert (float(shares[0]), float(shares[-1])) == (0.0, 1.0)


def test_the_models_own_slope_is_returned_as_it_is() -> None:
    slope = PriorGuided(sp.wrap(NET), Biased(10), sigma=1e-6)(problem(), torch.zeros_like(X))[1]
    assert float(cosine(slope, exact()).min()) > 1 - 1e-9


def test_a_prior_that_points_the_other_way_is_turned() -> None:
    class Against(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -NET(x)

    # The margin of the surrogate counts other classes: compare where the slopes are opposite.
    slope = PriorGuided(sp.wrap(Against()), Biased(10), sigma=1e-6)(problem(), torch.zeros_like(X))[1]
    assert float((cosine(slope, exact()) > 0).double().mean()) > 0.9


def test_it_points_better_than_the_prior_and_than_no_prior() -> None:
    """Of a surrogate whose slopes have a cosine of 0.44 on average: mean cosine over n = 60 samples, 10 directions."""
    surrogate = Leaning(0.4)
    task, delta, truth = problem(), torch.zeros_like(X), exact()
    access = sp.wrap(surrogate).access(N)
    prior = backprop(
        Problem(access, X, task.goal, task.set, margin, task.noise, task.radius, task.weight),  # type: ignore[arg-type]
        delta,
    )[1]
    guided = PriorGuided(sp.wrap(surrogate), Biased(10), sigma=1e-5)(task, delta)[1]
    plain = RGF(10, 1e-5)(task, delta)[1]
    means = [float(cosine(g, truth).abs().mean()) for g in (guided, prior, plain)]
    assert means[0] > max(means[1:]) + 0.03


def test_costs_are_counted_and_budgets_kept() -> None:
    """Where the prior alone is followed, nothing is asked along other directions."""
    task, surrogate = problem(), Leaning(0.3)
    slope = PriorGuided(sp.wrap(surrogate), Biased(7), probes=4)(task, torch.zeros_like(X))[1]
    asked = task.access.ledger.forwards
    access = sp.wrap(surrogate).access(N)
    own = Problem(access, X, task.goal, task.set, margin, task.noise, task.radius, task.weight)
    prior = backprop(own, torch.zeros_like(X))[1]  # type: ignore[arg-type]
    alone = cosine(slope, prior).abs() > 1 - 1e-9
    assert 0 < int(alone.sum()) < N
    assert torch.equal(asked, torch.where(alone, 1 + 4 + 1, 1 + 4 + 1 + 7))
    tight = problem(budget=12)
    slope = PriorGuided(sp.wrap(Leaning(0.3)), Biased(7), probes=4)(tight, torch.zeros_like(X))[1]
    assert tight.access.ledger.forwards.tolist() == [1] * N
    assert not slope.any()


def test_the_estimate_does_not_depend_on_the_batch_size() -> None:
    guided = PriorGuided(sp.wrap(Leaning(0.3)), Biased(7), probes=4)
    whole = guided(problem(), torch.zeros_like(X))[1]
    torch.testing.assert_close(guided(problem(batch_size=100), torch.zeros_like(X))[1], whole)


def test_a_surrogate_saves_questions() -> None:
    """On the network at hand, with a smoother one as the surrogate: n = 40, 400 questions."""
    data, threat = sp.zoo.data.load("fashion-mnist-1k[:40]"), sp.Linf(0.1)
    net = sp.wrap(sp.zoo.load("fashion-standard"), access="scores")
    surrogate = sp.wrap(sp.zoo.load("fashion-fgsm"))
    attack = sp.attacks.get("p_rgf")
    with_one = attack(net, data.x, data.y, threat, budget=400, surrogate=surrogate, samples=20, probes=5)
    without = attack(net, data.x, data.y, threat, budget=400, samples=26)
    assert int(with_one.met.sum()) > int(without.met.sum())


@pytest.mark.parametrize(("d", "draws", "inside"), [(196, 20, 0.875), (49, 50, 0.22), (2500, 50, 0.1)])
def test_the_share_on_tiles_is_the_one_a_search_finds(d: int, draws: int, inside: float) -> None:
    """With the part of the slope that tiles can see in place of all of it across the prior."""
    grid = np.linspace(0, 1, 20_001)
    for c in np.linspace(0.02, 0.98, 25):
        a = c * c
        once = grid * a + (1 - grid) * inside / d
        twice = grid**2 * a + (1 - grid) ** 2 * inside / d**2
        worth = once**2 / ((1 - 1 / draws) * twice + once / draws)
        share = float(best_share(torch.tensor([c], dtype=torch.float64), 784, draws, (d, inside)))
        assert share == pytest.approx(grid[worth.argmax()], abs=2e-4)


def test_pixels_are_tiles_that_hold_all_of_the_slope_but_the_prior() -> None:
    cosine = torch.linspace(0.01, 0.6, 40, dtype=torch.float64)
    plain = best_share(cosine, 400, 30)
    for c, share in zip(cosine, plain, strict=True):
        assert float(best_share(c[None], 400, 30, (399, 1 - float(c) ** 2))) == pytest.approx(float(share), abs=1e-12)


def test_joined_is_the_projection_of_the_slope_onto_the_plane_of_prior_and_estimate() -> None:
    """Of a linear value, and so of the best cosine any mixture of the two has; with α and β far apart as published."""
    task, delta, truth = problem(), torch.zeros_like(X), exact()
    noise = Noise.seeded(3, torch.arange(N))
    v = unit(truth / flat_norm(truth, 2).view(-1, 1, 1, 1) + noise.normal(SHAPE, dtype=torch.float64))
    v = v * (v * truth).flatten(1).sum(1).sign().view(-1, 1, 1, 1)
    here = task.value(task.access.scores(X), delta)
    rise, step = (v * truth).flatten(1).sum(1), torch.full((N,), 1e-5, dtype=torch.float64)
    mix = Joined(6)
    made = mix(task, delta, here, v, rise, flat_norm(truth, 2), step)
    for k in range(N):
        directions = [unit(gaussian(delta, task.noise.at("draw"), i))[k].flatten() for i in range(6)]
        g = sum(float(u @ truth[k].flatten()) * u for u in directions)
        plane = torch.stack([v[k].flatten(), g], 1)
        best = plane @ torch.linalg.lstsq(plane, truth[k].flatten()[:, None]).solution.squeeze(1)
        torch.testing.assert_close(made[k].flatten(), best, rtol=1e-3, atol=1e-5 * float(best.norm()))


def test_joined_weighs_as_published_where_prior_and_estimate_err_apart() -> None:
    alpha, beta = 0.3, 0.4
    shared = alpha * beta
    weights = (alpha - beta * shared, beta - alpha * shared)
    mu = (1 - beta**2) * alpha / ((1 - beta**2) * alpha + (1 - alpha**2) * beta)
    assert weights[0] / sum(weights) == pytest.approx(mu)


@pytest.mark.parametrize("mix", [Biased(20, tile=2), Joined(20, tile=2)])
def test_tiles_point_better_where_slopes_are_smooth(mix: Biased | Joined) -> None:
    """On a network for pictures: its mean cosine with its own slope, n = 30, 20 directions, a prior worth little."""
    data, net = sp.zoo.data.load("fashion-mnist-1k[:30]"), sp.zoo.load("fashion-pgd-l2")
    guide = sp.wrap(sp.zoo.load("fashion-standard"))
    radii, noise, means = torch.full((30,), 0.1), Noise.seeded(0, torch.arange(30)), []
    with torch.no_grad():
        y = net(data.x).argmax(1)
    task = Problem(sp.wrap(net).access(30), data.x, untargeted(y), sp.Linf(), margin, noise, radii, radii)
    truth = backprop(task, torch.zeros_like(data.x))[1]
    for one in (mix, dataclasses.replace(mix, tile=1)):
        slope = PriorGuided(guide, one, sigma=1e-3)(task, torch.zeros_like(data.x))[1]
        means.append(float(cosine(slope, truth).mean()))
    assert means[0] > means[1] + 0.02


def test_steps_are_doubled_until_rounded_scores_change() -> None:
    """Scores rounded to a hundredth: a step of 1e-6 sees nothing, and says nothing of the slope."""

    class Rounded(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (100 * NET(x)).round() / 100

    means, truth = [], exact()
    for doublings in (0, 20):
        access = sp.wrap(Rounded(), access="scores", output="logits").access(N)
        assert isinstance(access, ScoreAccess)
        radii = torch.full((N,), 0.1, dtype=torch.float64)
        task = Problem(access, X, untargeted(Y), sp.Linf(), margin, Noise.seeded(0, torch.arange(N)), radii, radii)
        guided = PriorGuided(sp.wrap(Leaning(0.4)), Biased(10), sigma=1e-6, doublings=doublings)
        means.append(float(cosine(guided(task, torch.zeros_like(X))[1], truth).nan_to_num(0.0).mean()))
        asked = access.ledger.forwards
    assert means[1] > means[0] + 0.1
    assert int(asked.max()) <= 1 + 10 + 1 + 20 + 10


def test_doublings_keep_to_the_budget() -> None:
    """A model whose scores never change: all doublings are asked for, and what they leave covers no directions."""
    access = sp.wrap(lambda x: x.flatten(1)[:, :4] * 0 + 1, output="logits", access="scores").access(N, 26)
    assert isinstance(access, ScoreAccess)
    radii = torch.full((N,), 0.1, dtype=torch.float64)
    task = Problem(access, X, untargeted(Y), sp.Linf(), margin, Noise.seeded(0, torch.arange(N)), radii, radii)
    guided = PriorGuided(sp.wrap(Leaning(0.4)), Biased(12), probes=4, doublings=9)
    slope = guided(task, torch.zeros_like(X))[1]
    assert access.ledger.forwards.tolist() == [1 + 4 + 1 + 9] * N
    assert bool(slope.isfinite().all())


@pytest.mark.parametrize("name", ["p_rgf", "subspace", "auto"])
def test_a_surrogate_without_slopes_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=r"gives scores only: take a model with gradients"):
        sp.attacks.get(name).build(sp.Linf(0.1), surrogate=sp.wrap(NET, access="scores"))
    with pytest.raises(OptionError, match=r"what sp.wrap\(network\) gives, not of type"):
        sp.attacks.get(name).build(sp.Linf(0.1), surrogate=NET if name != "subspace" else [NET])


@pytest.mark.parametrize("times", [1e4, 1e-4])
def test_a_surrogate_whose_logits_were_multiplied_points_the_same_way(times: float) -> None:
    """In float32, where the cross-entropy of logits that are so far apart has no slope."""

    class Multiplied(torch.nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.net, self.factor = MLP(seed=1).float(), factor

        def forward(self, x: Tensor) -> Tensor:
            return self.factor * self.net(x)

    def prior(factor: float) -> Tensor:
        task = dataclasses.replace(problem(), x=X.float(), objective=cross_entropy)
        return PriorGuided(sp.wrap(Multiplied(factor)))._prior(task, torch.zeros_like(X.float()))

    assert flat_norm(prior(1.0), 2).min() > 0.99
    assert torch.allclose(prior(times), prior(1.0), atol=1e-4)
