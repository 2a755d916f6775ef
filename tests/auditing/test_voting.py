from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing import audit
from saddlepoint.errors import OptionError
from saddlepoint.report.voting import vote_words

Make = Callable[..., Any]


class Half(nn.Module):
    """Says 1 where the first entry is above a half: the vote under noise is the model, and distances are known."""

    def forward(self, x: Tensor) -> Tensor:
        side = x.flatten(1)[:, 0] - 0.5
        return torch.stack([-side, side], 1)


X = torch.full((30, 1, 1, 3), 0.5, dtype=torch.float64)
X[:, 0, 0, 0] = torch.linspace(0.51, 0.95, 30, dtype=torch.float64)
Y = torch.ones(30, dtype=torch.long)


def test_the_bracket_of_a_half_space_holds_the_truth(run: Path) -> None:
    """Within r of the boundary everything falls, and the rest stands: certificate and attack meet there."""
    done = audit(
        Half(), X, Y, threat=[sp.L2(0.2), sp.Linf(0.2)], attacks=["pgd(steps=5)"], curve=None, sigma=0.25, out=run
    )
    (vote,) = done.summary().votes
    truth = int((X[:, 0, 0, 0] - 0.5 > 0.2).sum())
    assert (vote.threat, vote.sigma, vote.n) == ("l2:0.2", 0.25, 30)
    assert vote.certified <= truth <= vote.standing <= vote.right <= 30
    assert truth - vote.certified <= 3
    assert vote.standing - truth <= 4
    assert done.by_threat["l2:0.2"].certified is None, "nothing is proved of the model itself"
    assert json.loads((run / "votes.json").read_text())["votes"][0]["certified"] == vote.certified
    words = vote_words(vote, done.summary())
    assert "another classifier" in words
    assert "L2 0.2" in words


def test_another_deviation_in_the_same_run_is_counted_anew(run: Path) -> None:
    how: dict[str, Any] = {"threat": sp.L2(0.2), "attacks": ["pgd(steps=2)"], "curve": None, "out": run}
    found = [audit(Half(), X[:6], Y[:6], sigma=sigma, **how).summary().votes[0].sigma for sigma in (0.25, 0.5)]
    assert found == [0.25, 0.5]


@pytest.mark.parametrize(
    ("sigma", "threat", "says"), [(0.25, sp.Linf(0.1), "certified in L2"), (0.0, sp.L2(1), "above 0")]
)
def test_what_cannot_be_certified_is_refused(sigma: float, threat: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        audit(Half(), X, Y, threat=threat, sigma=sigma)


def test_what_is_proved_under_each_threat_is_counted_under_all(network: Make, samples: Make) -> None:
    x, y = samples()
    net = nn.Sequential(nn.Flatten(), nn.Linear(18, 4)).double()
    with torch.no_grad():
        y = net(x).argmax(1)
    threats = [sp.Linf(0.01), sp.L2(0.05)]
    done = audit(net, x, y, threat=threats, attacks=["pgd(steps=5)"], curve=None, proofs=True)
    summary = done.summary()
    assert summary.certified is not None
    assert summary.certified <= min(one.certified for one in summary.threats if one.certified is not None)
    assert 0 < summary.certified <= summary.union.correct
    part = audit(net, x, y, threat=threats, attacks=["pgd(steps=5)"], curve=None).summary()
    assert part.certified is None
