"""Backward rules by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access import linear_backward, soft_backward
from saddlepoint.attacks.intrinsic import intrinsic
from saddlepoint.auditing.rules import rule, ruled
from saddlepoint.errors import OptionError

SHAPE = (1, 4, 4)
THREAT = sp.Linf(0.1)


class Net(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(8 * (x - 0.5)))


NET, OTHER = Net(0).double(), Net(0).double()
with torch.no_grad():
    for weight in OTHER.parameters():
        weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1), dtype=weight.dtype)
X = torch.rand(60, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
Y = NET(X).argmax(1)
AGREED = OTHER(X).argmax(1) == Y
RULES = {
    "none": lambda: sp.wrap(NET),
    "linear": lambda: sp.wrap(NET, bpda=linear_backward(NET)),
    "linear(after='body.2', keep_norm=True)": lambda: sp.wrap(NET, bpda=linear_backward(NET, "body.2", True)),
    "soft(beta=5)": lambda: sp.wrap(NET, bpda=soft_backward(NET, 5)),
    "intrinsic(betas=[2.0, 9.0])": lambda: intrinsic(NET, X[AGREED], Y[AGREED], betas=(2.0, 9.0)).model,
}


def test_a_table_holds_what_the_rules_do_by_hand() -> None:
    nets = {"net": NET, "other": OTHER}
    made = sp.transfer(nets, X, Y, threat=THREAT, attacks=["fgsm"], sources=["net"], backward=list(RULES))
    assert made.attacks == ("fgsm", *(f"fgsm + {way}" for way in RULES if way != "none"))
    x, y = X[AGREED], Y[AGREED]
    rates = {}
    for way, model in RULES.items():
        x_adv = sp.attacks.fgsm(model(), x, y, THREAT).x_adv
        name = "fgsm" if way == "none" else f"fgsm + {way}"
        rates[way] = [made.rate(name, "net", target).correct for target in nets]
        assert rates[way] == [int((net(x_adv).argmax(1) != y).sum()) for net in nets.values()]
    assert len(set(map(tuple, rates.values()))) > 3  # the rules do something


def test_stand_ins_of_a_source_are_kept() -> None:
    mine = sp.wrap(NET, bpda={"body.2": nn.Softplus(3)})
    both = ruled(mine, rule("linear"), X, Y, 0)
    assert both.stand_ins["body.2"] is mine.stand_ins["body.2"]
    assert set(both.stand_ins) == {"body.2", "body.4"}
    assert set(mine.stand_ins) == {"body.2"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("linera", "no backward rule 'linera' (did you mean linear?): write none, linear"),
        ("linear(", "is no backward rule: write none, linear"),
        ("soft", "soft: beta is missing; the options of soft are beta"),
        ("soft(beta=2, gamma=1)", "gamma is not an option"),
        ("none(beta=2)", "beta is not an option; the options of none are none"),
        ("soft(beta=often)", "soft: "),
        ("soft(beta=-1)", "soft on net: beta"),
        ("linear(after='tail')", "linear on net: the network has no module 'tail'"),
        ("skip(branches='tail.*')", "skip on net: the network has no module 'tail.*'"),
        ("intrinsic(betas=[])", "nothing to try"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(OptionError) as caught:
        sp.transfer({"net": NET, "other": OTHER}, X, Y, threat=THREAT, attacks=["fgsm"], backward=[text])
    assert says in str(caught.value)


def test_functions_have_no_backward_rule() -> None:
    nets = {"f": sp.wrap(lambda x: NET(x), output="logits"), "net": NET}
    with pytest.raises(OptionError, match="linear is for modules, and f is a function: leave it out of the sources"):
        sp.transfer(nets, X, Y, threat=THREAT, attacks=["fgsm"], backward=["linear"])
    assert sp.transfer(nets, X, Y, threat=THREAT, attacks=["fgsm"], sources=["net"], backward=["linear"]).n
