from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from saddlepoint.zoo import cards
from saddlepoint.zoo import data as zoo_data
from saddlepoint.zoo import train as training
from saddlepoint.zoo.cards import Recipe
from saddlepoint.zoo.networks import build
from saddlepoint.zoo.train import RECIPES, accuracy, augment, harden, robust_accuracy, train

QUICK = Recipe("conv", "", epochs=2, batch_size=25)


@pytest.fixture(scope="module")
def images() -> zoo_data.Data:
    return zoo_data.load("fashion-mnist-1k[:300]")


@pytest.fixture(scope="module")
def few() -> zoo_data.Data:
    return zoo_data.load("fashion-mnist-1k[:100]")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def silent(line: str) -> None:
    del line


def test_training_depends_on_the_seed_and_on_nothing_else(few: zoo_data.Data) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = train(QUICK, few.x, few.y, silent)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again = train(QUICK, few.x, few.y, silent)
    other = train(replace(QUICK, seed=1), few.x, few.y, silent)
    assert torch.equal(weights(first), weights(again))
    assert not torch.allclose(weights(first), weights(other), atol=1e-3)


def test_training_learns(images: zoo_data.Data) -> None:
    lines: list[str] = []
    recipe = replace(QUICK, epochs=6, ema=0.8)
    network = train(recipe, images.x, images.y, lines.append)
    assert not network.training
    # Chance is 10 %.
    assert accuracy(network, images.x, images.y) > 60
    assert len(lines) == 6
    assert "epoch 6/6  loss " in lines[-1]


def test_adversarial_training_buys_robustness(images: zoo_data.Data) -> None:
    plain = replace(QUICK, epochs=5, ema=0.8)
    hardened = replace(plain, norm="linf", radius=0.1, steps=3, step_size=0.05, warmup=1.0)
    scores = [
        robust_accuracy(train(recipe, images.x, images.y, silent), images.x, images.y, "linf", 0.1, steps=5)
        for recipe in (plain, hardened)
    ]
    assert scores[1] > scores[0] + 25


def test_augmentation_moves_the_batch_and_mirrors_half(images: zoo_data.Data) -> None:
    x = torch.rand(400, 1, 6, 6)
    assert augment(x, 0, generator()) is x
    moved = augment(x, 1, generator(3))
    candidates = [
        (mirrored, moved_by)
        for mirrored in (False, True)
        for moved_by in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1))
    ]
    found = {(mirrored, by): matches(x, moved, mirrored, by) for mirrored, by in candidates}
    hits = {key: int(rows.sum()) for key, rows in found.items() if rows.any()}
    assert sum(hits.values()) == 400
    assert sorted(mirrored for mirrored, _ in hits) == [False, True]
    assert min(hits.values()) > 150


def matches(x: Tensor, moved: Tensor, mirrored: bool, by: tuple[int, int]) -> Tensor:
    """Which images equal their original moved by whole pixels (borders black), then maybe mirrored."""
    expected = torch.zeros_like(x)
    rows, columns = ((slice(max(d, 0), 6 + min(d, 0)), slice(max(-d, 0), 6 + min(-d, 0))) for d in by)
    expected[:, :, rows[0], columns[0]] = x[:, :, rows[1], columns[1]]
    return (moved == (expected.flip(3) if mirrored else expected)).flatten(1).all(1)


class Linear(nn.Module):
    """Two classes; the logit of class 1 is a linear function of the image."""

    def __init__(self, direction: Tensor) -> None:
        super().__init__()
        self.direction = direction

    def forward(self, x: Tensor) -> Tensor:
        logit = (x * self.direction).flatten(1).sum(1)
        return torch.stack([torch.zeros_like(logit), logit], 1)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.1), ("l2", 0.5)])
def test_the_inner_maximum_of_a_linear_model_is_the_known_one(norm: str, radius: float) -> None:
    direction = torch.randn(1, 5, 5, generator=generator(1))
    x = torch.full((6, 1, 5, 5), 0.5)
    recipe = Recipe("", "", norm, radius, steps=40, step_size=radius / 4)
    moved = harden(Linear(direction), x, torch.zeros(6, dtype=torch.int64), recipe, 1.0, generator())
    unit = direction.sign() if norm == "linf" else direction / direction.norm()
    assert torch.allclose(moved, x + radius * unit, atol=1e-3)


@pytest.mark.parametrize(("norm", "order"), [("linf", torch.inf), ("l2", 2)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_hardened_inputs_stay_in_ball_and_box(images: zoo_data.Data, norm: str, order: float, share: float) -> None:
    recipe = Recipe("", "", norm, 0.3, steps=3, step_size=0.2)
    network = build("conv")
    x, y = images.x[:20], images.y[:20]
    moved = harden(network, x, y, recipe, share, generator())
    sizes = torch.linalg.vector_norm((moved - x).flatten(1), ord=order, dim=1)
    assert (sizes <= share * 0.3 + 1e-5).all()
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    assert network.training
    assert all(p.grad is None for p in network.parameters())


def test_without_a_norm_inputs_pass_unchanged(images: zoo_data.Data) -> None:
    assert harden(build("conv"), images.x, images.y, QUICK, 1.0, generator()) is images.x


def test_accuracy_is_a_percentage_over_all_chunks() -> None:
    x = torch.rand(501, 1, 2, 2)
    y = (x.flatten(1).sum(1) > 2).long()
    assert accuracy(Linear(torch.ones(1, 2, 2)), x, torch.ones_like(y)) == 100.0
    y = torch.ones_like(y)
    y[:5] = 0
    assert accuracy(Linear(torch.ones(1, 2, 2)), x, y) == round(100 * 496 / 501, 2)


def test_the_command_writes_weights_and_a_card_that_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], few: zoo_data.Data
) -> None:
    monkeypatch.setattr(zoo_data, "load", lambda spec: few)
    monkeypatch.setitem(RECIPES, "fashion-standard", QUICK)
    threads = torch.get_num_threads()
    training.main(["fashion-standard", "--out", str(tmp_path), "--threads", str(threads)])
    card = cards.loads((tmp_path / "fashion-standard.json").read_text())
    network = build("conv").eval()
    network.load_state_dict(load_file(tmp_path / "fashion-standard.safetensors"))
    assert card.recipe == QUICK
    assert card.clean.accuracy == accuracy(network, few.x, few.y)
    assert [one.what for one in card.measured] == ["clean", "clean", "pgd-20 linf:0.1", "pgd-20 l2:1.5"]
    assert card.parameters == sum(p.numel() for p in network.parameters())
    assert "epoch 2/2" in capsys.readouterr().out


def test_an_unknown_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        training.main(["fashion-best", "--out", str(tmp_path)])
    assert "fashion-pgd-linf" in capsys.readouterr().err
