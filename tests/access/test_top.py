"""Answers of the likeliest classes: which they are, what is said of the others, and who may not ask for more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import saddlepoint as sp
from saddlepoint.access.top import likeliest, named
from saddlepoint.errors import AccessError, OptionError
from saddlepoint.testing import MLP

LOGITS = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4


@pytest.mark.parametrize("k", [1, 2, 5, 6, 9])
def test_the_likeliest_keep_their_probability_and_the_others_share_what_is_left(k: int) -> None:
    p, said = LOGITS.softmax(1), likeliest(LOGITS, k).exp()
    for row, answer in zip(p, said, strict=True):
        order = row.argsort(descending=True)
        torch.testing.assert_close(answer[order[:k]], row[order[:k]])
        others = answer[order[k:]]
        assert bool((others == others[:1]).all())
        torch.testing.assert_close(answer.sum(), torch.tensor(1.0).double())
    assert torch.equal(said.argmax(1), p.argmax(1))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_classes_are_named_where_they_are_among_the_likeliest(k: int) -> None:
    said = likeliest(LOGITS, k)
    ranks = LOGITS.argsort(1, descending=True).argsort(1)
    for c in range(6):
        assert torch.equal(named(said, torch.full((50,), c)), ranks[:, c] < k)


def test_the_last_class_is_known_by_what_the_others_leave() -> None:
    for k in (5, 6):
        assert bool(named(likeliest(LOGITS, k), LOGITS.argmin(1)).all())


def test_the_digits_of_a_sure_answer_are_kept() -> None:
    """In float32 the probabilities of the others round to 0 and their sum with the first to 1."""
    said = likeliest(torch.tensor([[300.0, 100.0, 50.0, 50.0]]), 2)
    torch.testing.assert_close(said, torch.tensor([[0.0, -200.0, -250.0, -250.0]]))


def test_a_tie_with_what_is_not_named_and_an_answer_of_nothing_are_not_named() -> None:
    assert not bool(named(likeliest(torch.zeros(1, 4), 2), torch.tensor([0])).any())
    assert not bool(named(torch.full((1, 4), torch.nan), torch.tensor([0])).any())


def test_a_model_wrapped_so_gives_scores_and_no_slopes() -> None:
    network = MLP()
    model = sp.wrap(network, top=2)
    x = torch.rand(5, 1, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(model(x), likeliest(network(x), 2))
    assert model.kind.kind == "scores"
    assert sp.wrap(network, top=2, access="labels").kind.kind == "labels"
    with pytest.raises(AccessError, match="pgd needs gradients; this model gives scores only"):
        sp.attacks.pgd(model, x, network(x).argmax(1), sp.Linf(0.1))


def test_the_answers_of_a_random_model_are_the_mean_of_what_is_named() -> None:
    seen = iter([LOGITS[:1], LOGITS[1:2]])
    both = sp.wrap(lambda x: next(seen), top=1, draws=2, output="logits")(torch.zeros(1, 2, dtype=torch.float64))
    torch.testing.assert_close(both, (likeliest(LOGITS[:1], 1) + likeliest(LOGITS[1:2], 1)) / 2)


@pytest.mark.parametrize("how", [{"top": 0}, {"top": 2, "output": "labels"}, {"top": 2, "access": "gradients"}])
def test_what_cannot_be_is_refused(how: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="top"):
        sp.wrap(MLP(), **how)


def test_an_audit_tells_such_models_apart(tmp_path: Path) -> None:
    """The same network, of which more or less is seen, is another run; of a model that says all, nothing is noted."""
    x = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    network = MLP(dtype=torch.float32)
    y = network(x).argmax(1)
    noted = []
    for k in (1, 2, None):
        where = tmp_path / str(k)
        sp.audit(sp.wrap(network, top=k), x, y, threat=sp.Linf(0.05), attacks=["square(steps=3)"], out=where)
        noted.append(json.loads((where / "spec.json").read_text())["model"].get("top"))
    assert noted == [1, 2, None]
