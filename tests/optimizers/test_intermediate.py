from __future__ import annotations

import dataclasses as dc

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access import GradientAccess, wrap
from saddlepoint.attacks import Anneal
from saddlepoint.core import Problem, untargeted
from saddlepoint.errors import AccessError, OptionError
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import Intermediate
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L2

N, RADIUS = 5, 0.3
X = 0.5 + 0.1 * torch.rand(N, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def problem(model: nn.Module, budget: int | None = None) -> Problem[GradientAccess]:
    access = wrap(model).access(N, budget)
    assert isinstance(access, GradientAccess)
    radii = torch.full((N,), RADIUS, dtype=torch.float64)
    noise = Noise.seeded(0, torch.arange(N))
    return Problem(access, X, untargeted(model(X).argmax(1)), L2(), margin, noise, radii, radii)


def test_a_linear_layer_is_moved_to_the_end_of_the_ball_along_the_way() -> None:
    """F(x) = A x: the projection on w is largest at δ = radius Aᵀw / |Aᵀw|, whatever the start."""
    model = network()
    task = problem(model)
    start = torch.randn(N, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    optimizer = Intermediate(constant(0.5), "0")
    state = optimizer.init(task, 0.1 * start / start.norm(dim=1, keepdim=True))
    for _ in range(30):
        state, trial = optimizer.step(task, state)
    a = model[0].weight.detach()
    way = start @ a.T
    best = way / way.norm(dim=1, keepdim=True) @ a
    best = RADIUS * best / best.norm(dim=1, keepdim=True)
    torch.testing.assert_close(state.delta, best)
    torch.testing.assert_close(trial.value, (best @ a.T * way / way.norm(dim=1, keepdim=True)).sum(1))
    assert task.access.ledger.forwards.tolist() == [32] * N
    assert task.access.ledger.backwards.tolist() == [30] * N


def test_no_layer_is_the_middle_one() -> None:
    torch.manual_seed(0)
    deep = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    task = problem(deep)
    logits, inside = task.access.inside(X, None)
    torch.testing.assert_close(inside, deep[:3](X))
    torch.testing.assert_close(logits, deep(X))


def test_what_the_next_layer_overwrites_is_kept() -> None:
    torch.manual_seed(0)
    deep = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)).double()
    torch.testing.assert_close(problem(deep).access.inside(X, "0")[1], deep[0](X))


def test_where_the_budget_forbids_nothing_is_seen() -> None:
    task = problem(network(), budget=1)
    some = task.rows(torch.tensor([1, 3]))
    some.access.inside(some.x, "0")
    logits, inside = task.access.inside(X, "0")
    assert logits.isnan().any(1).tolist() == [False, True, False, True, False]
    assert (inside == 0).all(1).tolist() == [False, True, False, True, False]


def test_layers_that_cannot_be_seen_are_refused() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.unused = network(), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    task = problem(Flat())
    with pytest.raises(OptionError, match=r"no module 'iner.0' \(did you mean inner.0\?\)"):
        task.access.inside(X, "iner.0")
    with pytest.raises(AccessError, match="module 'unused' answered no tensor"):
        task.access.inside(X, "unused")
    plain = wrap(lambda x: x @ torch.ones(6, 3, dtype=x.dtype), output="logits").access(N)
    assert isinstance(plain, GradientAccess)
    logits, inside = plain.inside(X, None)
    assert torch.equal(logits, inside)
    with pytest.raises(AccessError, match="a function shows nothing inside"):
        plain.inside(X, "0")


def test_the_attack_goes_the_way_of_its_first_half() -> None:
    """What the second half finds lies further along than what the first did."""
    model = sp.zoo.load("fashion-standard")
    data = sp.zoo.data.load("fashion-mnist-1k[:100]")
    threat = sp.Linf(0.05)
    attack = sp.attacks.get("ila").attack(threat)
    assert isinstance(attack, Anneal)
    goal, noise, radius = untargeted(data.y), Noise.seeded(0, data.ids), torch.full((100,), 0.05)
    access = wrap(model).access(100)
    assert isinstance(access, GradientAccess)
    first = attack.attacks[0](access, data.x, goal, noise, radius)
    second = dc.replace(attack.attacks[1], stop_when_met=False)(access, data.x, goal, noise, radius, None, first.delta)  # type: ignore[type-var]
    with torch.no_grad():
        clean, reached, further = (access.inside(x, None)[1] for x in (data.x, first.x_adv, second.x_adv))
    before = (reached - clean).flatten(1).norm(dim=1)
    after = ((further - clean) * (reached - clean)).flatten(1).sum(1) / before
    torch.testing.assert_close(second.value, after, rtol=1e-3, atol=1e-3)
    assert float((after > before).float().mean()) > 0.9
    assert float((after / before).median()) > 1.05


@pytest.mark.parametrize("budget", [3, 11, 12, 13, 20])
def test_a_budget_may_end_at_any_question(budget: int) -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:6]")
    found = sp.attacks.ila(sp.zoo.load("fashion-standard"), data.x, data.y, sp.Linf(0.01), budget=budget)
    assert int(found.forwards.max()) == budget
    assert not bool((found.met & (found.size > 0.01001)).any())


def test_what_the_first_attack_found_is_not_given_up() -> None:
    """Of 60 images the second stage loses six that the first had fooled."""
    data, network = sp.zoo.data.load("fashion-mnist-1k[:60]"), sp.zoo.load("fashion-standard")
    first = sp.attacks.mi_fgsm(network, data.x, data.y, sp.Linf(0.05))
    found = sp.attacks.ila(network, data.x, data.y, sp.Linf(0.05))
    assert int(first.met.sum()) > 40
    assert bool(found.met[first.met].all())
