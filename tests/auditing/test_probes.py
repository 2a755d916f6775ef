from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing.probes import Answers, Slopes, answers, slopes
from saddlepoint.noise import Noise
from saddlepoint.testing.problems import MLP, SHAPE, not_a_number, saturated, stochastic, zero_gradient

X = torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = MLP(seed=0)(X).argmax(1)


def asked(network: nn.Module) -> Answers:
    model = sp.wrap(network)
    with model.quiet(0):
        return answers(model, X)


def measured(network: nn.Module, threat: sp.Linf | sp.L2 | sp.L1 | sp.L0) -> Slopes:
    model = sp.wrap(network)
    with model.quiet(0):
        return slopes(model, X, Y, threat, Noise.seeded(0, torch.arange(len(X))))


def test_nothing_is_found_where_nothing_is() -> None:
    seen = asked(MLP(seed=0))
    assert (seen.samples, seen.gap, seen.flips, seen.company, seen.nan, seen.certain) == (16, 0, 0, 0, 0, 0)
    assert not seen.optimizes
    assert not seen.remembers


def test_random_answers_have_a_gap() -> None:
    seen = asked(stochastic(MLP(seed=0)))
    assert seen.gap > 0.01
    assert seen.company == 0, "what differs from forward to forward cannot be laid at the batch's door"


class Centered(nn.Module):
    """Subtracts the mean over the batch: a label depends on who else is asked about."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits - logits.mean(0)


class Counting(nn.Module):
    """Counts its questions in a buffer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        logits: Tensor = self.network(x)
        return logits


class Descending(nn.Module):
    """Takes a step of gradient descent before it answers."""

    def __init__(self, network: nn.Module, how: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.how = network, how

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            step = self.how(y.square().sum(), y)
        logits: Tensor = self.network(x - 0.01 * step)
        return logits


def by_backward(total: Tensor, y: Tensor) -> Tensor:
    total.backward()
    assert y.grad is not None
    return y.grad


def test_company_matters_where_the_batch_is_looked_at() -> None:
    assert asked(Centered(MLP(seed=0))).company > 0


def test_a_model_that_takes_no_single_sample_depends_on_company() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(X[0].numel()), nn.Linear(X[0].numel(), 4)).double().train()
    model = sp.wrap(network, mode="as is")
    with model.quiet(0):
        seen = answers(model, X)
    assert seen.company == len(X)
    assert seen.remembers


def test_what_changes_while_it_answers_is_seen_and_put_back() -> None:
    network = Counting(MLP(seed=0))
    assert asked(network).remembers
    assert float(network.count) == 0


@pytest.mark.parametrize("how", [lambda total, y: torch.autograd.grad(total, y)[0], by_backward])
def test_optimizing_while_answering_is_seen(how: Callable[[Tensor, Tensor], Tensor]) -> None:
    before = torch.autograd.grad, torch.autograd.backward, Tensor.backward
    assert asked(Descending(MLP(seed=0), how)).optimizes
    assert (torch.autograd.grad, torch.autograd.backward, Tensor.backward) == before


def test_answers_that_are_none_and_answers_without_doubt_are_counted() -> None:
    assert asked(not_a_number()).nan == 16
    assert asked(saturated(MLP(seed=0), 1e5)).certain == 16
    assert asked(saturated(MLP(seed=0), 1.0)).certain == 0


@pytest.mark.parametrize("threat", [sp.Linf(0.1), sp.L2(0.5), sp.L1(2.0), sp.L0(3)])
def test_slopes_of_a_smooth_network_tell_everything(threat: sp.Linf) -> None:
    seen = measured(MLP(seed=0), threat)
    assert seen.useless == 0
    assert 0.99 < seen.told <= 1


def test_slopes_that_are_zero_or_absent_or_wild_are_counted() -> None:
    assert measured(zero_gradient(MLP(seed=0)), sp.Linf(0.1)).zero == 16
    assert measured(nn.Sequential(Detached(), MLP(seed=0)), sp.Linf(0.1)).absent == 16
    assert measured(nn.Sequential(Wild(), MLP(seed=0)), sp.Linf(0.1)).wild == 16


class Detached(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


class Wild(nn.Module):
    """x, with a slope of infinity."""

    def forward(self, x: Tensor) -> Tensor:
        return x + (x - x.detach()) * math.inf if x.requires_grad else x


class Backward(nn.Module):
    """x, with a slope of the wrong sign."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x.detach() - x


def test_slopes_of_the_wrong_sign_tell_less_than_nothing() -> None:
    assert measured(nn.Sequential(Backward(), MLP(seed=0)), sp.Linf(0.1)).told < -1


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = x + self.inner(x)
        return answer


class Tokens(nn.Module):
    """[N, C, H, W] -> [N, H * W / 4, 4 C]: patches of 2 by 2."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.unfold(x, 2, stride=2).transpose(1, 2)


class First(nn.Module):
    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        return x[0][:, -1]


def kinds() -> dict[str, nn.Module]:
    """Networks of many kinds for inputs [N, 1, 16, 16]."""
    torch.manual_seed(0)
    c, tail = 8, nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
    block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
    made: dict[str, nn.Module] = {
        name: nn.Sequential(
            nn.Conv2d(1, c, 3), kind(), nn.Conv2d(c, c, 3), kind(), nn.Flatten(), nn.Linear(c * 144, 10)
        )
        for name, kind in {
            "relu": nn.ReLU,
            "gelu": nn.GELU,
            "tanh": nn.Tanh,
            "elu": nn.ELU,
            "hardswish": nn.Hardswish,
        }.items()
    }
    convolve = nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1))
    made["residual"] = nn.Sequential(nn.Conv2d(1, c, 3, padding=1), *(Residual(convolve) for _ in range(3)), tail)
    made["pooled"] = nn.Sequential(nn.Conv2d(1, c, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(c * 49, 10))
    made["transformer"] = nn.Sequential(Tokens(), nn.Linear(4, 16), block, nn.Flatten(), nn.Linear(16 * 64, 10))
    made["recurrent"] = nn.Sequential(nn.Flatten(1, 2), nn.GRU(16, 12, batch_first=True), First(), nn.Linear(12, 10))
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", kinds())
def test_networks_of_any_kind_and_type_raise_no_doubt(kind: str, dtype: torch.dtype) -> None:
    network = kinds()[kind].eval()
    x = torch.rand(16, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    network(x)
    network = network.to(dtype)
    model = sp.wrap(network)
    with model.quiet(0):
        y = model(x).argmax(1)
        answered = answers(model, x)
        found = slopes(model, x, y, sp.Linf(0.03), Noise.seeded(0, torch.arange(16)))
    assert answered.gap == answered.flips == answered.company == answered.certain == 0
    assert found.useless == 0
    assert found.told > (0.7 if dtype == torch.bfloat16 else 0.95)
