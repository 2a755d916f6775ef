"""The nuclear ball: against singular values, optimality conditions, and the balls around and inside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access.model import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import Nuclear, parse

FORMS = [{}, {"form": "whole"}, {"block": 3}]
N, SHAPE = 6, (2, 7, 5)
forms = pytest.mark.parametrize("form", FORMS, ids=["channels", "whole", "block"])


def drawn(seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(N, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inputs() -> Tensor:
    return torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def matrices(delta: Tensor, form: dict[str, object]) -> list[Tensor]:
    """The matrices of one sample [C, H, W], by slices."""
    if form.get("form") == "whole":
        return [torch.cat(list(delta), 1)]
    if "block" not in form:
        return list(delta)
    return [one[i : i + 3, j : j + 3] for one in delta for i in range(0, 7, 3) for j in range(0, 5, 3)]


@forms
def test_the_size_is_the_sum_of_singular_values(form: dict[str, object]) -> None:
    delta = drawn(0)
    expected = [sum(float(torch.linalg.matrix_norm(m, "nuc")) for m in matrices(one, form)) for one in delta]
    assert Nuclear(**form).size(delta, delta).tolist() == pytest.approx(expected)  # type: ignore[arg-type]


@forms
def test_the_projection_onto_the_ball_is_the_nearest_point(form: dict[str, object]) -> None:
    """No box: <x - Px, z - Px> <= 0 for every z of the ball, and Px keeps its singular directions."""
    ball, x = Nuclear(**form, box=Box(-1e3, 1e3)), torch.zeros(N, *SHAPE).double()  # type: ignore[arg-type]
    radius, delta = torch.full((N,), 2.0).double(), drawn(1)
    found = ball.project(x, delta, radius)
    torch.testing.assert_close(ball.size(x, found), radius)
    for seed in range(2, 40):
        other = ball.sample(x, radius, Noise.seeded(seed, torch.arange(N)))
        gap = ((delta - found) * (other - found)).flatten(1).sum(1)
        assert float(gap.max()) <= 1e-9
    best = ball.lmo(x, delta - found, radius)
    assert float(((delta - found) * (best - found)).flatten(1).sum(1).max()) <= 1e-6


@forms
def test_the_projection_into_the_box_as_well_is_nearly_the_nearest(form: dict[str, object]) -> None:
    ball, x, radius = Nuclear(**form), inputs(), torch.full((N,), 1.0).double()  # type: ignore[arg-type]
    delta = drawn(1, 0.5)
    found = ball.project(x, delta, radius)
    assert float(ball.size(x, found).max()) <= 1 + 1e-9
    assert ((x + found >= 0) & (x + found <= 1)).all()
    for seed in range(2, 40):
        other = ball.project(x, drawn(seed, 0.3), radius)
        gap = ((delta - found) * (other - found)).flatten(1).sum(1) / (delta - found).flatten(1).norm(dim=1)
        assert float(gap.max()) <= 5e-3


@forms
def test_inside_nothing_is_moved_and_twice_is_once(form: dict[str, object]) -> None:
    ball, x = Nuclear(**form), inputs()  # type: ignore[arg-type]
    radius = torch.full((N,), 1.0).double()
    small = ball.project(x, drawn(1, 0.01), torch.full((N,), 50.0).double())
    assert torch.equal(ball.project(x, small, torch.full((N,), 50.0).double()), small)
    once = ball.project(x, drawn(1), radius)
    torch.testing.assert_close(ball.project(x, once, radius), once)


@forms
def test_the_oracle_is_a_matrix_of_rank_one_worth_the_largest_singular_value(form: dict[str, object]) -> None:
    ball, x = Nuclear(**form, box=Box(-1e3, 1e3)), torch.zeros(N, *SHAPE).double()  # type: ignore[arg-type]
    radius, g = torch.full((N,), 0.7).double(), drawn(3)
    vertex = ball.lmo(x, g, radius)
    for one, slope in zip(vertex, g, strict=True):
        ranks = [int(torch.linalg.matrix_rank(m)) for m in matrices(one, form)]
        assert sum(ranks) == 1
        top = max(float(torch.linalg.matrix_norm(m, 2)) for m in matrices(slope, form))
        assert float((one * slope).sum()) == pytest.approx(0.7 * top, rel=2e-2)


def test_what_the_box_cuts_from_a_direction_goes_to_the_next() -> None:
    """<g, d> <= r σ₁(g - M) + Σ |M| / 2 for any M; M = diag(1, 0, 0) makes that 2 + 1/2, and ours reaches it."""
    x = torch.full((1, 1, 3, 3), 0.5, dtype=torch.float64)
    g = torch.diag(torch.tensor([3.0, 2.0, 1.0])).double().view(1, 1, 3, 3)
    best = Nuclear().lmo(x, g, torch.ones(1).double())
    assert float((g * best).sum()) == pytest.approx(2.5, rel=1e-6)
    assert best.diagonal(dim1=2, dim2=3).flatten().tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)


@forms
def test_the_oracle_in_the_box_is_most_of_the_best(form: dict[str, object]) -> None:
    """The best is where projected steps along the slope end; a vertex of the ball alone, clipped, is far from it.

    Pictures are black for the most part, as those of clothes are: a black pixel cannot become darker.
    """
    ball, x, g, radius = Nuclear(**form), inputs(), drawn(3), torch.full((N,), 1.5).double()  # type: ignore[arg-type]
    x = torch.where(x > 0.7, x, 0)
    best = torch.zeros_like(x)
    for _ in range(40):
        best = ball.project(x, best + g / 4, radius)
    found, clipped = ball.lmo(x, g, radius), ball._feasible(x, 1.5 * ball.steepest(x, g), radius)
    mine, plain, most = ((g * d).flatten(1).sum(1) for d in (found, clipped, best))
    assert float((mine / most).min()) > 0.6
    assert float((mine / most).mean()) > float((plain / most).mean()) + 0.05
    assert (mine >= plain - 1e-9).all()
    assert float((mine / most).max()) < 1.01
    assert ((x + found >= 0) & (x + found <= 1)).all()
    assert float(ball.size(x, found).max()) <= 1.5 + 1e-9


@forms
def test_an_oracle_that_begins_at_the_last_vertex_finds_as_much(form: dict[str, object]) -> None:
    ball, x, radius = Nuclear(**form), inputs(), torch.full((N,), 0.7).double()  # type: ignore[arg-type]
    last = ball.lmo(x, drawn(3), radius)
    for slope, share in ((drawn(3) + 0.2 * drawn(5), 0.98), (drawn(6), 0.93)):  # near the last one, and another
        near, anew = (
            (slope * d).flatten(1).sum(1) for d in (ball.lmo_near(x, slope, radius, last), ball.lmo(x, slope, radius))
        )
        assert float((near / anew).min()) > share


def test_frank_wolfe_misleads_as_many_as_projected_steps() -> None:
    """n = 30, at the same number of steps: within a tenth of the pictures, on a network that resists."""
    net, data = sp.zoo.load("fashion-pgd-linf"), sp.zoo.data.load("fashion-mnist-1k[:30]")
    fell = [
        int(sp.attacks.get(name)(net, data.x, data.y, sp.Nuclear(3.0), steps=20).met.sum())
        for name in ("frank_wolfe", "pgd")
    ]
    assert fell[0] >= fell[1] - 3
    assert fell[0] > 12


def test_an_iterate_of_frank_wolfe_has_no_more_directions_than_steps() -> None:
    net, data = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:8]")
    x = 0.5 + 0 * data.x + 0.2 * (data.x - 0.5)
    y = net(x).argmax(1)
    found = sp.attacks.get("frank_wolfe")(net, x, y, sp.Nuclear(0.4), steps=3, momentum=0.0)
    rank = torch.linalg.matrix_rank(found.delta.double(), rtol=1e-4).flatten()
    assert int(rank.max()) <= 3
    assert int(rank.max()) >= 1


def test_it_lies_between_the_balls_of_one_and_two_norms() -> None:
    delta = drawn(4)
    size, two, one = (ball.size(delta, delta) for ball in (Nuclear(form="whole"), sp.L2(), sp.L1()))
    assert (two <= size + 1e-12).all()
    assert (size <= one + 1e-12).all()


def test_a_vector_is_one_row() -> None:
    delta = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Nuclear().size(delta, delta), delta.norm(dim=1))


def test_masks_hold() -> None:
    x = inputs()
    mask = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(2)) > 0.3
    ball, radius = Nuclear(mask=mask), torch.full((N,), 1.0).double()
    noise = Noise.seeded(0, torch.arange(N))
    for delta in (ball.project(x, drawn(1), radius), ball.lmo(x, drawn(1), radius), ball.sample(x, radius, noise)):
        assert not (delta * ~mask).any()
        assert float(ball.size(x, delta).max()) <= 1 + 1e-9


def test_it_is_written_like_the_other_sets() -> None:
    assert str(parse("nuclear:0.5")) == "nuclear:0.5"
    with pytest.raises(ThreatError, match="form is channels or whole, got 'rows'"):
        Nuclear(1.0, form="rows")  # type: ignore[arg-type]
    with pytest.raises(ThreatError, match="a block is a tile of one channel"):
        Nuclear(1.0, form="whole", block=4)


def test_few_directions_fool_a_network_and_an_audit_knows_them() -> None:
    """n = 40: within a nuclear radius of 3, whose L2 ball no random change of that size matters in."""
    net, data = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:40]")
    made = sp.audit(net, data=data, threat=sp.Nuclear(3.0), attacks=["pgd(steps=20)", "frank_wolfe"], curve=None)
    assert made.robust_accuracy < made.clean_accuracy / 2
    noise = torch.randn(data.x.shape, generator=torch.Generator().manual_seed(0))
    noise = 3.0 * noise / noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    with torch.no_grad():
        still = float((net((data.x + noise).clamp(0, 1)).argmax(1) == data.y).float().mean())
    assert still > made.robust_accuracy + 0.2
