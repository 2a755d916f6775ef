"""Backward rules for transfer: the answer stays, the slope is the rule's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.access import linear_backward, skip_backward, wrap
from saddlepoint.errors import OptionError

X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(self.act(self.first(x)))


def layered(inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace), nn.Linear(8, 8), nn.ReLU(inplace), nn.Linear(8, 3))
    return layers.double()


def jacobian(network: nn.Module, bpda: object) -> tuple[Tensor, Tensor]:
    """(answers [N, K], their slopes [N, K, D])."""
    model = wrap(network, bounds=(-9, 9), bpda=bpda)  # type: ignore[arg-type]
    with model.quiet():
        x = X.clone().requires_grad_()
        out = model(x)
        rows = [torch.autograd.grad(out[:, k].sum(), x, retain_graph=True)[0] for k in range(out.shape[1])]
    return out.detach(), torch.stack(rows, 1)


@pytest.mark.parametrize("inplace", [False, True])
def test_linear_backward_multiplies_the_weights(inplace: bool) -> None:
    network = layered(inplace)
    out, slopes = jacobian(network, linear_backward(network))
    with torch.no_grad():
        assert torch.equal(out, network(X))
    product = network[4].weight @ network[2].weight @ network[0].weight
    torch.testing.assert_close(slopes, product.expand_as(slopes).detach())


@pytest.mark.parametrize("inplace", [False, True])
def test_linear_backward_begins_behind_a_layer(inplace: bool) -> None:
    network = layered(inplace)
    _, slopes = jacobian(network, linear_backward(network, after="2"))
    on = (network[0](X) > 0).double()
    product = (network[4].weight @ network[2].weight) @ (on.unsqueeze(2) * network[0].weight)
    torch.testing.assert_close(slopes, product.detach())


def test_linear_backward_can_keep_the_norm_of_the_slope() -> None:
    network = nn.Sequential(nn.ReLU(), nn.Linear(6, 2)).double()
    _, plain = jacobian(network, [])
    _, linear = jacobian(network, linear_backward(network))
    _, kept = jacobian(network, linear_backward(network, keep_norm=True))
    torch.testing.assert_close(kept.norm(dim=2), plain.norm(dim=2))
    torch.testing.assert_close(kept / kept.norm(dim=2, keepdim=True), linear / linear.norm(dim=2, keepdim=True))


def test_skip_backward_weighs_the_branches() -> None:
    network = nn.Sequential(Block(), Block()).double()
    out, slopes = jacobian(network, skip_backward(network, "*.last", 0.25))
    with torch.no_grad():
        assert torch.equal(out, network(X))
    product, z = torch.eye(6, dtype=torch.float64).expand(5, 6, 6), X
    for block in network:
        on = (block.first(z) > 0).double()
        branch = block.last.weight @ (on.unsqueeze(2) * block.first.weight)
        product, z = (torch.eye(6, dtype=torch.float64) + 0.25 * branch) @ product, block(z)
    torch.testing.assert_close(slopes, product.detach())


def test_a_decay_of_one_changes_nothing() -> None:
    network = nn.Sequential(Block(), Block()).double()
    torch.testing.assert_close(jacobian(network, skip_backward(network, "*.last", 1.0)), jacobian(network, []))


def test_what_fits_nothing_is_refused() -> None:
    network = layered()
    with pytest.raises(OptionError, match=r"no module 'features'; it has 0, 1"):
        linear_backward(network, after="features")
    with pytest.raises(OptionError, match="no activation behind '4' is a module"):
        linear_backward(network, after="4")
    with pytest.raises(OptionError, match=r"no module 'layer\*.bn3'"):
        skip_backward(network, "layer*.bn3")
    with pytest.raises(OptionError, match=r"decay must be in \(0, 1\], got 0"):
        skip_backward(network, "*", 0)
