from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.zoo import data as zoo_data
from saddlepoint.zoo import models, shipped
from saddlepoint.zoo.networks import build
from saddlepoint.zoo.train import RECIPES, accuracy, harden, robust_accuracy

WITH_GRADIENTS = [name for name in models.NAMES if name != "fashion-masked"]


@pytest.fixture(scope="module")
def thousand() -> zoo_data.Data:
    return zoo_data.load("fashion-mnist-1k")


def test_every_network_has_a_recipe_and_one_line() -> None:
    assert set(models.NAMES) == set(RECIPES)
    for line in models.names().values():
        assert "% clean on fashion-mnist[:1000]" in line
        assert "\n" not in line


@pytest.mark.parametrize("name", models.NAMES)
def test_the_card_says_what_is_shipped(name: str) -> None:
    card, network = models.card(name), models.load(name)
    assert card.name == name
    assert card.recipe == RECIPES[name]
    assert card.sha256 == shipped.checksums()[f"{name}.safetensors"]
    assert card.parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", models.NAMES)
def test_the_clean_accuracy_of_the_card_is_reproduced(name: str, thousand: zoo_data.Data) -> None:
    assert accuracy(models.load(name), thousand.x, thousand.y) == pytest.approx(
        models.card(name).clean.accuracy, abs=0.05
    )


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_the_robustness_of_the_card_holds_on_a_part(name: str) -> None:
    part = zoo_data.load("fashion-mnist-1k[sample:100:0]")
    found = robust_accuracy(models.load(name), part.x, part.y, "linf", 0.1)
    # n = 100 of the same images: three standard deviations at 72 % are 13.5 points.
    assert found == pytest.approx(measured(name, "pgd-20 linf:0.1"), abs=13.5)


@pytest.mark.parametrize("name", models.NAMES)
def test_a_loaded_network_is_in_eval_mode_and_of_the_asked_type(name: str) -> None:
    network = models.load(name, torch.float64)
    assert not any(module.training for module in network.modules())
    assert all(p.dtype == torch.float64 for p in network.parameters())
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(network(x.double()).float(), models.load(name)(x), rtol=1e-3, atol=1e-3)


def test_two_loads_share_nothing() -> None:
    first, second = models.load("fashion-standard"), models.load("fashion-standard")
    with torch.no_grad():
        next(first.parameters()).zero_()
    assert next(second.parameters()).any()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashion-pgd-linv", "did you mean fashion-pgd-linf?"),
        ("resnet50", "no network called 'resnet50'; shipped are fashion-standard"),
    ],
)
def test_an_unknown_name_names_the_known_ones(name: str, message: str) -> None:
    for ask in (models.load, models.card):
        with pytest.raises(OptionError, match=message):
            ask(name)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The assets of one network in a folder of their own, from which the package then reads."""
    for file in ("fashion-standard.json", "fashion-standard.safetensors", shipped.SUMS):
        (tmp_path / file).write_bytes((shipped.FOLDER / file).read_bytes())
    read = shipped.read
    monkeypatch.setattr(shipped, "read", lambda name: read(name, tmp_path))
    yield tmp_path
    shipped.checksums.cache_clear()


def test_weights_with_one_flipped_bit_are_refused(copied: Path) -> None:
    path = copied / "fashion-standard.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"fashion-standard.safetensors has SHA-256 .* damaged or was changed"):
        models.load("fashion-standard")


@pytest.mark.parametrize("content", [b"no weights", save(build("conv-silu").state_dict())])
def test_weights_that_do_not_fit_the_card_are_refused(copied: Path, content: bytes) -> None:
    (copied / "fashion-standard.safetensors").write_bytes(content)
    shipped.seal(copied)
    with pytest.raises(ModelError, match="the weights of fashion-standard do not fit its card"):
        models.load("fashion-standard")


def measured(name: str, what: str) -> float:
    return next(m.accuracy for m in models.card(name).measured if m.what == what)


def test_the_standard_network_is_accurate_and_fragile() -> None:
    assert measured("fashion-standard", "clean") > 91
    assert measured("fashion-standard", "pgd-20 linf:0.1") < 5


def test_adversarial_training_bought_robustness() -> None:
    assert measured("fashion-pgd-linf", "clean") > 84
    assert measured("fashion-pgd-linf", "pgd-20 linf:0.1") > 72


@pytest.mark.parametrize("norm", ["linf:0.1", "l2:1.5"])
def test_a_network_is_most_robust_in_the_norm_it_was_trained_for(norm: str) -> None:
    kind, other = ("linf", "l2") if norm.startswith("linf") else ("l2", "linf")
    assert measured(f"fashion-pgd-{kind}", f"pgd-20 {norm}") > measured(f"fashion-pgd-{other}", f"pgd-20 {norm}") + 5


def test_the_masked_network_resists_gradients_only() -> None:
    """The proof of masking: gradient ascent fails where inputs made for another network succeed."""
    part = zoo_data.load("fashion-mnist-1k[sample:100:0]")
    masked, standard = models.load("fashion-masked"), models.load("fashion-standard")
    attack = RECIPES["fashion-pgd-linf"]
    generator = torch.Generator().manual_seed(0)
    transferred = harden(standard, part.x, part.y, attack, 1.0, generator)
    assert float((transferred - part.x).abs().max()) <= 0.1 + 1e-6
    by_gradient = robust_accuracy(masked, part.x, part.y, "linf", 0.1)
    by_transfer = accuracy(masked.eval(), transferred, part.y)
    assert by_gradient > 80
    assert by_transfer < 5


def test_the_masked_network_falls_to_a_search_without_gradients() -> None:
    """Keep random squares of +-0.1 that lower the margin: 300 queries do what PGD cannot."""
    part = zoo_data.load("fashion-mnist-1k[sample:40:0]")
    masked = models.load("fashion-masked")
    generator = torch.Generator().manual_seed(0)
    best = stripes(part.x, generator)
    margin = margins(masked, best, part.y)
    for side in [14] * 20 + [8] * 60 + [5] * 110 + [3] * 110:
        proposal = with_square(best, part.x, side, generator)
        asked = margins(masked, proposal, part.y)
        better = asked < margin
        best = torch.where(better[:, None, None, None], proposal, best)
        margin = torch.where(better, asked, margin)
    assert float((best - part.x).abs().max()) <= 0.1 + 1e-6
    assert float((margin > 0).float().mean()) < 0.1


def stripes(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    signs = torch.randint(2, (len(x), 1, 1, 28), generator=generator) * 2 - 1
    return (x + 0.1 * signs).clamp(0, 1)


def with_square(best: torch.Tensor, x: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
    corner = torch.randint(29 - side, (2, len(x), 1, 1, 1), generator=generator)
    sign = torch.randint(2, (len(x), 1, 1, 1), generator=generator) * 2 - 1
    rows, columns = torch.arange(28)[:, None] - corner[0], torch.arange(28) - corner[1]
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    return torch.where(inside, (x + 0.1 * sign).clamp(0, 1), best)


@torch.inference_mode()
def margins(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    logits = network(x)
    own = logits.gather(1, y[:, None])[:, 0]
    return own - logits.scatter(1, y[:, None], -torch.inf).amax(1)
