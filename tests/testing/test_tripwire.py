from __future__ import annotations

from typing import Any

import pytest
import torch

from saddlepoint.noise import Noise
from saddlepoint.testing.problems import MLP, SHAPE
from saddlepoint.testing.tripwire import (
    CountingModel,
    FailsAt,
    Homeless,
    LabelOnly,
    OutOfMemory,
    Recording,
    ScoresOnly,
    TripwireError,
    drawing,
)

N = 5
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NETWORK = MLP()


def test_counts_forwards_and_backwards_for_each_signed_sample() -> None:
    counting = CountingModel(NETWORK, N)
    x = counting.signed(X).requires_grad_()
    answer = counting(x[[0, 3, 3]])
    counting(x[[4]])
    assert counting.forwards.tolist() == [1, 0, 0, 2, 1]
    assert counting.backwards.tolist() == [0] * N
    torch.autograd.grad(answer.sum(), x, retain_graph=True)
    torch.autograd.grad(answer[:, 0].sum(), x)
    assert counting.backwards.tolist() == [2, 0, 0, 4, 0]


def test_the_network_does_not_see_the_signature() -> None:
    counting = CountingModel(NETWORK, N)
    gray = X.clone()
    gray[:, 0, 0, 0] = 0.5
    assert torch.equal(counting(counting.signed(X)), NETWORK(gray))
    assert counting.mask(X).sum() == X[0].numel() - 1
    plain = CountingModel(NETWORK)
    assert torch.equal(plain(X), NETWORK(X))
    assert int(plain.forwards) == N


def test_scores_only_breaks_when_a_gradient_is_asked() -> None:
    assert torch.equal(ScoresOnly(NETWORK)(X), NETWORK(X))
    assert not ScoresOnly(NETWORK)(X).requires_grad
    with pytest.raises(TripwireError):
        ScoresOnly(NETWORK)(X.clone().requires_grad_())


def test_label_only_says_the_label_and_nothing_else() -> None:
    answers = [LabelOnly(NETWORK)(X) for _ in range(2)]
    for answer in answers:
        assert torch.equal(answer.argmax(1), NETWORK(X).argmax(1))
        assert ((answer > 0).sum(1) == 1).all()
    assert not torch.equal(*answers)
    with pytest.raises(TripwireError):
        LabelOnly(NETWORK)(X.clone().requires_grad_())


def test_fails_once_at_the_given_call() -> None:
    network = FailsAt(NETWORK, 2)
    network(X)
    with pytest.raises(RuntimeError, match="the model broke"):
        network(X)
    assert torch.equal(network(X), NETWORK(X))


def test_out_of_memory_depends_on_the_batch() -> None:
    network = OutOfMemory(NETWORK, 3)
    network(X[:3])
    assert network.largest == 3
    with pytest.raises(RuntimeError, match="out of memory"):
        network(X[:4])


def test_recording_keeps_copies() -> None:
    network, x = Recording(NETWORK), X.clone()
    network(x)
    x.zero_()
    assert torch.equal(network.asked[0], X)


def test_drawing_notes_draws_and_stops_noting() -> None:
    noise = Noise.seeded(0, torch.arange(2))
    with drawing() as draws:
        noise.at("a")
        assert draws == []
        noise.normal((3,), lead=(2,))
    noise.uniform((7,))
    assert draws == [(2, 3)]


MAKES = """import torch
def make(like):
    torch.zeros(2)
    torch.zeros(2, device=like.device)
    torch.tensor(3.0)
    torch.as_tensor(like)
    like.new_zeros(2)
    torch.zeros_like(like)
    return torch.tensor([1, 2])
"""


def test_homeless_tensors_of_the_package_are_noted_with_their_place() -> None:
    places: dict[str, dict[str, Any]] = {"/x/saddlepoint/made_up.py": {}, "/x/saddlepoint/testing/made_up.py": {}}
    for file, names in places.items():
        exec(compile(MAKES, file, "exec"), names)
    with Homeless() as homeless:
        for names in places.values():
            names["make"](X)
        torch.zeros(3)
    assert homeless.found == ["made_up.py:3 zeros", "made_up.py:9 tensor"]
