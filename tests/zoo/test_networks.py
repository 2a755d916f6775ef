from __future__ import annotations

import pytest
import torch

from saddlepoint.errors import OptionError
from saddlepoint.zoo.networks import ARCHITECTURES, ConvNet, Masked, build


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_maps_images_to_ten_logits(architecture: str, dtype: torch.dtype) -> None:
    network = build(architecture).to(dtype).eval()
    logits = network(torch.rand(3, 1, 28, 28).to(dtype))
    assert (logits.shape, logits.dtype) == ((3, 10), dtype)


def test_in_eval_mode_samples_do_not_interact() -> None:
    network = ConvNet().double().eval()
    x = torch.rand(4, 1, 28, 28, dtype=torch.float64)
    assert torch.allclose(network(x)[2:3], network(x[2:3]), atol=1e-12)


def test_an_unknown_architecture_names_the_known_ones() -> None:
    with pytest.raises(OptionError, match="no architecture 'resnet'; known are conv"):
        build("resnet")


def test_the_masked_network_sees_only_gray_levels() -> None:
    network = ConvNet().double().eval()
    masked = Masked(network, levels=3, sharpness=7.0).eval()
    x = torch.full((1, 1, 28, 28), 0.6, dtype=torch.float64)
    assert torch.equal(masked(x), 7 * network(torch.full_like(x, 0.5)))
    assert torch.equal(masked(x + 0.14), masked(x))
    assert not torch.equal(masked(x + 0.16), masked(x))


def test_the_masked_network_has_no_gradient() -> None:
    x = torch.rand(2, 1, 28, 28, requires_grad=True)
    masked = Masked(ConvNet()).eval()
    torch.nn.functional.cross_entropy(masked(x), torch.tensor([0, 1])).backward()
    assert x.grad is not None
    assert not x.grad.any()


def test_the_logits_are_inflated_after_training_only() -> None:
    masked = Masked(torch.nn.Flatten(), levels=2, sharpness=7.0)
    x = torch.tensor([[[[1.0, 0.0]]]])
    assert masked.train()(x).tolist() == [[1.0, 0.0]]
    assert masked.eval()(x).tolist() == [[7.0, 0.0]]
