"""A detector as a classifier: the smallest change is known where scores are linear; on a trained network it hides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.errors import ModelError
from saddlepoint.tasks.detection import FOUND, NOTHING, AnyFound

PLACES = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0]], dtype=torch.float64)
"""Two places, each of which sees two of four entries."""


def linear(threshold: float) -> sp.Model:
    return sp.wrap(AnyFound(lambda x: x @ PLACES.T, threshold), output="logits")


def test_all_places_must_fall_and_no_less_than_the_surest_asks_for() -> None:
    """Scores 1.2 and 1.5, threshold 1: in Linf the first asks for 0.2 / 2, the second for 0.5 / 3, which is more."""
    x, y = torch.tensor([[0.6, 0.6, 0.5, 0.5]], dtype=torch.float64), torch.tensor([FOUND])
    for radius, hidden in ((0.16, False), (0.17, True)):
        found = sp.attacks.pgd(linear(1.0), x, y, sp.Linf(radius), steps=60)
        assert bool(found.met) is hidden
    smallest = sp.attacks.fmn(linear(1.0), x, y, sp.Linf(), steps=300)
    assert float(smallest.size) == pytest.approx(0.5 / 3, abs=5e-3)


def test_one_place_is_enough_to_conjure() -> None:
    x, y = torch.full((1, 4), 0.2, dtype=torch.float64), torch.tensor([NOTHING])
    for radius, conjured in ((0.13, False), (0.14, True)):  # (1 - 0.6) / 3
        assert bool(sp.attacks.fgsm(linear(1.0), x, y, sp.Linf(radius)).met) is conjured


class Looks(nn.Module):
    """The logit that a window of 28 x 28 pixels shows a bag, at four windows of a picture [N, 1, 56, 56]."""

    def __init__(self) -> None:
        super().__init__()
        self.network = sp.zoo.load("fashion-standard")

    def forward(self, x: Tensor) -> Tensor:
        windows = x.unfold(2, 28, 28).unfold(3, 28, 28).reshape(len(x) * 4, 1, 28, 28)
        z = self.network(windows)
        others = torch.cat([z[:, :8], z[:, 9:]], 1).amax(1)
        return (z[:, 8] - others).view(len(x), 4)


def scene(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Four pictures [N, 1, 28, 28] as one, two by two: [N, 1, 56, 56]."""
    return torch.cat([torch.cat([a, b], 3), torch.cat([c, d], 3)], 2)


def test_bags_are_hidden_and_conjured_among_other_things() -> None:
    """On a trained network that looks at four places of each of 12 pictures; a patch beside the bag hides nothing."""
    data = sp.zoo.data.load("fashion-mnist-1k[:400]")
    bags, others = data.x[data.y == 8][:12], data.x[data.y < 4][:36].view(12, 3, 28, 28).split(1, 1)
    with_bag, without = (scene(first, *others) for first in (bags, others[2]))
    model = sp.wrap(AnyFound(Looks()), output="logits")
    pictures, labels = torch.cat([with_bag, without]), torch.tensor([FOUND] * 12 + [NOTHING] * 12)
    with torch.no_grad():
        assert float(((model(pictures).argmax(1)) == labels).double().mean()) > 0.9
    found = sp.attacks.pgd(model, pictures, labels, sp.Linf(0.1), steps=10)
    assert float(found.met[:12].double().mean()) > 0.8
    assert float(found.met[12:].double().mean()) > 0.8
    elsewhere = torch.zeros(1, 1, 56, 56, dtype=torch.bool)
    elsewhere[:, :, 28:, 28:] = True
    kept = sp.attacks.pgd(model, with_bag, labels[:12], sp.Linf(0.5, mask=elsewhere), steps=10)
    assert int((kept.met & (kept.status != sp.Status.CLEAN)).sum()) == 0


def test_one_sticker_hides_bags_it_was_not_made_from() -> None:
    """n = 40 bags in unseen views, an eighth of each covered: 35 % hidden, 2 % by a gray sticker."""
    data = sp.zoo.data.load("fashion-mnist-1k")
    bags, others = data.x[data.y == 8][:80], data.x[data.y < 4][:240].view(3, 80, 1, 28, 28)
    pictures = scene(bags, *others)
    mask = torch.zeros(1, 1, 56, 56, dtype=torch.bool)
    mask[:, :, 9:19, 9:19] = True
    model = sp.wrap(AnyFound(Looks()), output="logits")
    views = sp.Views(turn=10, zoom=1.1, shift=2)
    found = sp.patch(model, pictures[:40], mask=mask, target=NOTHING, views=views, epochs=20)
    hidden, gray = (float(found.fools(model, pictures[40:], blank=b).double().mean()) for b in (False, True))
    assert hidden > gray + 0.15


@pytest.mark.parametrize("said", [lambda x: x[0], lambda x: x.flatten(1)[:, :0], lambda x: (x, x)])
def test_what_is_no_score_of_each_picture_is_refused(said: object) -> None:
    with pytest.raises(ModelError, match="scores \\[N, \\*S\\] of at least one place for 2 pictures"):
        AnyFound(said)(torch.zeros(2, 1, 4, 4))  # type: ignore[arg-type]
