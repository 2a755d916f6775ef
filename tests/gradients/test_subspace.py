"""Subspace attack: the model's own slope where it is its own surrogate, two questions and a look, and what it saves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.access import GradientAccess
from saddlepoint.attacks import get
from saddlepoint.core import Problem, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.gradients import SubspacePrior, backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import Linf
from saddlepoint.testing.problems import MLP, SHAPE

N = 12
NET, OTHER = MLP(seed=1), MLP(seed=7)
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
with torch.no_grad():
    Y = NET(X).argmax(1)


def problem() -> Problem[GradientAccess]:
    access = sp.wrap(NET).access(N)
    assert isinstance(access, GradientAccess)
    radii = torch.full((N,), 0.05, dtype=torch.float64)
    return Problem(access, X, untargeted(Y), Linf(), margin, Noise.seeded(0, torch.arange(N)), radii, radii)


def test_where_the_surrogate_is_the_model_the_direction_is_its_slope() -> None:
    task, zero = problem(), torch.zeros_like(X)
    u = SubspacePrior((sp.wrap(NET),)).direction(task, zero, NET(X))
    exact = backprop(task, zero)[1]
    length = torch.linalg.vector_norm(exact.flatten(1), dim=1).view(-1, 1, 1, 1)
    torch.testing.assert_close(u, exact / length)


def test_the_first_step_goes_uphill_along_the_surrogates_slope() -> None:
    """Up or down along the direction, as the two questions say, whatever the surrogate believes."""
    task, zero = problem(), torch.zeros_like(X)
    walk = SubspacePrior((sp.wrap(OTHER),), probe=1e-4)
    u, exact = walk.direction(task, zero, NET(X)), backprop(task, zero)[1]
    memory, _, slope = walk(task, zero, walk.begin(task, zero))
    way = (u * exact).flatten(1).sum(1).sign()
    assert set(way.tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(slope, way.view(-1, 1, 1, 1) * u / u.abs().flatten(1).sum(1).view(-1, 1, 1, 1))
    assert torch.equal(memory.prior, slope)


def test_of_several_surrogates_each_sample_is_led_by_one() -> None:
    task, zero = problem(), torch.zeros_like(X)
    one, other, both = (
        SubspacePrior(some).direction(task, zero, NET(X))
        for some in ((sp.wrap(NET),), (sp.wrap(OTHER),), (sp.wrap(NET), sp.wrap(OTHER)))
    )
    first, second = ((both - u).flatten(1).abs().amax(1) < 1e-12 for u in (one, other))
    assert (first ^ second).all()
    assert first.any()
    assert second.any()


def rectified(seed: int) -> nn.Sequential:
    """Activations that are modules."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 40), nn.ReLU(), nn.Linear(40, 4)).double()


def test_one_surrogate_is_a_line_and_with_drop_out_the_span_of_its_active_units() -> None:
    """Ranks of the directions at one point, over 80 steps."""
    task, zero, logits, network = problem(), torch.zeros_like(X), NET(X).detach(), rectified(0)
    active = (network[:2](X) > 0).sum(1)
    walk = SubspacePrior((sp.wrap(network),))
    for rate, rank in ((0.0, torch.ones_like(active)), (0.5, active)):
        directions = torch.stack([walk.direction(task.at(t), zero, logits, rate) for t in range(80)])
        assert torch.equal(torch.linalg.matrix_rank(directions.flatten(2).transpose(0, 1), rtol=1e-6), rank)


def test_what_is_dropped_does_not_depend_on_the_batch() -> None:
    task, zero, logits = problem(), torch.zeros_like(X), NET(X).detach()
    walk, keep = SubspacePrior((sp.wrap(rectified(0)), sp.wrap(rectified(1)))), torch.tensor([7, 2])
    whole = walk.direction(task, zero, logits, 0.4)
    torch.testing.assert_close(walk.direction(task.rows(keep), zero[keep], logits[keep], 0.4), whole[keep])


def test_drop_out_saves_questions_where_slopes_of_one_surrogate_lead_no_further() -> None:
    """On n = 30 images within 0.05, 500 questions each; the same surrogate with and without."""
    data, threat = sp.zoo.data.load("fashion-mnist-1k[:30]"), sp.Linf(0.05)
    net, surrogate = (sp.zoo.load(name) for name in ("fashion-standard", "fashion-fgsm"))
    box = sp.wrap(net, access="scores")
    thinned, whole = (
        get("subspace")(box, data.x, data.y, threat, budget=500, surrogate=sp.wrap(surrogate), dropout=dropout)
        for dropout in (0.5, 0.0)
    )
    assert int(thinned.met.sum()) >= int(whole.met.sum()) + 3


@pytest.mark.parametrize("surrogate", [(), sp.wrap(OTHER), [sp.wrap(NET), sp.wrap(OTHER)]])
def test_three_forwards_a_step_and_never_more_than_the_budget(surrogate: object) -> None:
    found = get("subspace")(NET, X, Y, Linf(1e-6), surrogate=surrogate, steps=4, dropout=0.0)
    assert found.forwards.tolist() == [1 + 3 * 4 + 1 + 1] * N
    tight = get("subspace")(NET, X, Y, Linf(1e-6), surrogate=surrogate, budget=9, dropout=0.0)
    assert tight.forwards.tolist() == [9] * N


def test_a_similar_surrogate_saves_questions() -> None:
    """On n = 30 images within 0.1, 90 questions each, beside a network trained alike."""
    data, threat = sp.zoo.data.load("fashion-mnist-1k[:30]"), sp.Linf(0.1)
    net, surrogate = (sp.zoo.load(name) for name in ("fashion-standard", "fashion-fgsm"))
    box = sp.wrap(net, access="scores")
    led = get("subspace")(box, data.x, data.y, threat, budget=90, surrogate=sp.wrap(surrogate))
    blind = get("bandits")(box, data.x, data.y, threat, budget=90)
    assert int(led.met.sum()) > int(blind.met.sum())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"surrogate": [sp.wrap(NET, access="scores")]}, "with gradients"),
        ({"surrogate": sp.wrap(OTHER)}, "dropout=0"),
        ({"dropout": 1.0}, "in \\[0, 1\\)"),
        ({"probe": 0.0}, "must be positive"),
        ({"steps": 0}, "steps must be at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        get("subspace")(NET, X, Y, Linf(0.1), **options)
