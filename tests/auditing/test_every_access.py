"""Every set at every access: an audit has a plan, finds what there is to find, and counts each question."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access import GradientAccess, LabelAccess, ScoreAccess
from saddlepoint.auditing import read_spec
from saddlepoint.auditing.plan import make_plan
from saddlepoint.errors import AccessError, ThreatError
from saddlepoint.sets import Neighborhood, kinds
from saddlepoint.testing.case import telling
from saddlepoint.testing.problems import MLP, SHAPE

N, WIDE = 4, 3.0
"""Samples, and how many telling radii: so wide that random draws find something."""
ENOUGH = 400
"""Labels for each sample."""
ACCESS = {"gradients": GradientAccess, "scores": ScoreAccess, "labels": LabelAccess}


class Counting(nn.Module):
    """A network that counts the inputs it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.asked = MLP(seed=1), 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += len(x)
        answer: Tensor = self.inner(x)
        return answer


@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_an_audit_finds_something_whatever_it_may_ask(kind: type[Neighborhood], access: str) -> None:
    x = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    network = Counting()
    with torch.no_grad():
        y = network.inner(x).argmax(1)
    model = sp.wrap(network, access=access)  # type: ignore[arg-type]
    budget = ENOUGH if access == "labels" else None
    done = sp.audit(model, x, y, threat=telling(kind, WIDE), plan="quick", budget=budget)
    assert done.robust_accuracy < 1, "nothing was found"
    forwards = done.records.column("forwards").to_pylist()
    assert budget is None or max(forwards) <= budget
    assert done.run_dir is not None
    probes = read_spec(done.run_dir)["diagnosis"]["forwards"]
    planes = len(done.summary().landscapes) * (21 * 21 + 1)
    assert network.asked == sum(forwards) + 2 + probes + planes


@pytest.mark.parametrize("plan", ["quick", "standard", "thorough"])
@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_nobody_is_left_to_sentinels_alone(kind: type[Neighborhood], access: str, plan: str) -> None:
    """Something runs on all that stand, or looks for the smallest change of all that are right."""
    model = sp.wrap(MLP(), access=access)  # type: ignore[arg-type]
    made = make_plan(model, torch.rand(2, *SHAPE), telling(kind), None, None, "auto", 0, None, plan, proofs=False)
    assert {"standing", "right"} & {stage.over for stage in made.stages[1:]}
    assert all(issubclass(ACCESS[access], stage.recipe.access) for stage in made.stages[1:])  # type: ignore[attr-defined]


def test_what_labels_cannot_do_is_said_with_what_to_do() -> None:
    model = sp.wrap(MLP(), access="labels")
    asked = (["insert"], None, None, 0, None)
    with pytest.raises(AccessError, match="insert: it needs gradients, this model gives labels only; leave it out"):
        make_plan(model, torch.rand(2, *SHAPE), sp.sets.Insertions(3.0), *asked)
    unbounded = sp.wrap(MLP(), access="labels", bounds=(-torch.inf, torch.inf))
    with pytest.raises(ThreatError, match=r"needs bounds: sp.wrap\(model, bounds=\(low, high\)\)"):
        make_plan(unbounded, torch.rand(2, *SHAPE), sp.L0(3.0), None, None, "auto", 0, None)
    with pytest.raises(ThreatError, match=r"no attack of the plan works for l0:3.0 .* name one that does .* pointwise"):
        make_plan(model, torch.rand(2, *SHAPE), sp.L0(3.0), [], None, None, 0, None)


def test_features_of_a_model_that_shows_none_are_refused_with_another_way() -> None:
    """The ball of a network's own features needs the network, whatever its answers are."""
    inner = MLP()
    model = sp.wrap(lambda x: inner(x), access="labels")
    with pytest.raises(AccessError, match=r"give features of another network, sp.Perceptual\(0.5, network=Features"):
        sp.audit(model, torch.rand(2, *SHAPE).double(), torch.zeros(2).long(), threat=sp.Perceptual(0.5))


@pytest.mark.parametrize("access", ACCESS)
def test_who_looks_inside_of_a_black_box_is_told(access: str) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(SHAPE), 8), nn.ReLU(), nn.Linear(8, 3)).double()
    model, x = sp.wrap(network, access=access), torch.rand(2, *SHAPE).double()  # type: ignore[arg-type]
    own, other = sp.Perceptual(0.5), sp.Perceptual(0.5, network=sp.sets.Features(network))
    said = [make_plan(model, x, threat, None, None, "auto", 0, None, "quick").notices for threat in (own, other)]
    assert not any("look inside" in notice for notice in said[1])
    assert any("look inside" in notice for notice in said[0]) == (access != "gradients")
