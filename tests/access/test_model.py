from __future__ import annotations

import dataclasses as dc
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint.access import Box, GradientAccess, LabelAccess, ScoreAccess, wrap
from saddlepoint.access.model import ordinary_gain
from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.testing import ConvNet, Snapshot
from saddlepoint.testing.problems import MLP, SHAPE, stochastic

X = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NET = MLP(seed=0)
LOGITS = NET(X).detach()


@dc.dataclass
class Output:
    logits: Tensor


@pytest.mark.parametrize(
    "answer",
    [
        lambda z: z,
        lambda z: (z, "features"),
        lambda z: [z, None],
        lambda z: {"loss": None, "logits": z},
        lambda z: Output(z),
    ],
)
def test_logits_are_found_in_whatever_a_model_answers(answer: Any) -> None:
    assert torch.equal(wrap(lambda x: answer(NET(x)))(X), NET(X))


@pytest.mark.parametrize("answer", ["text", {"scores": LOGITS}, (), (1, 2), None])
def test_an_answer_without_logits_is_refused(answer: object) -> None:
    with pytest.raises(ModelError, match=f"answered a {type(answer).__name__}"):
        wrap(lambda x: answer)(X)


@pytest.mark.parametrize("shape", [(4, 3), (5, 3, 2), (3,), ()])
def test_an_answer_of_another_form_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"to 5 inputs; logits \[5, classes\]"):
        wrap(lambda x: torch.zeros(shape))(X)


def test_scores_of_a_picture_that_is_one_pixel_are_taken() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(wrap(lambda x: logits.view(5, 3, 1, 1))(X), logits)


def same_odds(logits: Tensor, expected: Tensor) -> bool:
    return torch.allclose(logits.log_softmax(1), expected.log_softmax(1))


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (lambda z: z, "logits"),
        (lambda z: z.log_softmax(1), "log-probabilities"),
        (lambda z: z.softmax(1), "probabilities"),
        (lambda z: -z.abs() - 1, "logits"),
    ],
)
def test_the_kind_of_output_is_found_out(output: Any, found: str) -> None:
    model = wrap(lambda x: output(NET(x)))
    assert model.output == "auto"
    assert same_odds(model(X), LOGITS if found != "logits" else output(LOGITS))
    assert model.output == found


def test_sigmoids_of_several_classes_are_taken_back_to_their_logits_where_that_is_said() -> None:
    squashing = lambda x: NET(x).sigmoid()  # noqa: E731
    assert torch.allclose(wrap(squashing, output="sigmoid")(X), LOGITS, atol=1e-4)
    guessed = wrap(squashing)
    assert torch.equal(guessed(X), LOGITS.sigmoid())
    assert guessed.output == "logits"


def test_what_rounds_to_0_and_1_keeps_its_order_and_stays_finite() -> None:
    seen = torch.tensor([[1.0, 0.0, 1 - 1e-7, 1e-9]])
    logits = wrap(lambda x: seen, output="sigmoid")(torch.zeros(1, 2))
    assert logits.isfinite().all()
    assert logits.argsort().tolist() == seen.argsort().tolist()
    logits = wrap(lambda x: torch.tensor([[0.0, -torch.inf, -90.0]]))(torch.zeros(1, 2))
    assert logits.isfinite().all()
    assert int(logits.argmax()) == 0


def test_a_single_column_of_either_kind_is_two_classes() -> None:
    two = MLP(2, seed=1)
    odds = lambda x: (lambda z: z[:, 1:] - z[:, :1])(two(x))  # noqa: E731
    for form in (lambda z: z, lambda z: z.squeeze(1)):
        plain = wrap(lambda x, form=form: 10 * form(odds(x)))
        assert same_odds(plain(X), 10 * two(X))
        assert plain.output == "logits"
        sigmoid = wrap(lambda x, form=form: form(odds(x)).sigmoid())
        assert same_odds(sigmoid(X), two(X))
        assert sigmoid.output == "probabilities"


def test_probabilities_that_round_to_0_and_1_stay_finite() -> None:
    for columns in ([[1.0, 0.0]], [[0.0]], [[1.0]]):
        model = wrap(lambda x, columns=columns: torch.tensor(columns), output="probabilities")
        logits = model(torch.zeros(1, 2))
        assert logits.shape == (1, 2)
        assert logits.isfinite().all()
        assert int(logits.argmax()) == int(columns in ([[1.0]],))


def test_labels_become_one_hot_rows() -> None:
    model = wrap(lambda x: NET(x).argmax(1), output="labels", classes=4)
    assert model.kind is LabelAccess
    assert torch.equal(model(X).argmax(1), LOGITS.argmax(1))
    with pytest.raises(ModelError, match="classes=K"):
        wrap(lambda x: NET(x).argmax(1), output="labels")(X)
    with pytest.raises(ModelError, match=r"labels \[5\] were expected"):
        wrap(NET, output="labels", classes=4)(X)


@pytest.mark.parametrize(("label", "told"), [(0.7, "0.7"), (3, "3"), (-1, "-1")])
def test_labels_that_are_none_are_refused(label: float, told: str) -> None:
    model = wrap(lambda x: torch.full((len(x),), label), output="labels", classes=3)
    with pytest.raises(ModelError, match=rf"answered the label {told}; whole numbers 0..2 were expected"):
        model(torch.zeros(2, 2))


def test_the_number_of_scores_does_not_change() -> None:
    model = wrap(lambda x: torch.zeros(len(x), 2 + len(x)))
    model(torch.zeros(1, 2))
    with pytest.raises(ModelError, match="answered 4 scores where it answered 3 before"):
        model(torch.zeros(2, 2))


def test_normalization_happens_inside_per_channel() -> None:
    seen: list[Tensor] = []

    def network(x: Tensor) -> Tensor:
        seen.append(x)
        return x.flatten(1)[:, :3]

    x = torch.rand(2, 3, 4, 4)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 2.0]
    wrap(network, mean=mean, std=std)(x)
    expected = (x - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    assert torch.allclose(seen[0], expected)
    wrap(network, mean=[0.5])(x)
    assert torch.allclose(seen[1], x - 0.5)
    wrap(network, std=torch.tensor(0.5))(x)
    assert torch.allclose(seen[2], x * 2)
    with pytest.raises(DataError, match=r"mean and std have \[2\] entries; inputs have 3 channels"):
        wrap(network, mean=[0.1, 0.2])(x)


@pytest.mark.parametrize("inside", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("outside", [torch.float32, torch.float64])
def test_the_model_is_asked_in_its_dtype_and_answers_in_that_of_the_inputs(
    inside: torch.dtype, outside: torch.dtype
) -> None:
    logits = wrap(MLP(seed=0, dtype=inside))(X.to(outside))
    assert logits.dtype == outside
    assert torch.allclose(logits.double(), LOGITS, atol=0.1)


@pytest.mark.parametrize(
    ("knobs", "kind", "message"),
    [
        ({"bounds": (1.0, 1.0)}, OptionError, "low < high"),
        ({"batch_size": 0}, OptionError, "batch_size must be at least 1, got 0"),
        ({"output": "labels", "access": "scores"}, OptionError, "labels carry no scores"),
    ],
)
def test_options_out_of_range_are_refused(knobs: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        wrap(NET, **knobs)


def test_wrapping_twice_or_wrapping_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="wrapped already"):
        wrap(wrap(NET))
    with pytest.raises(ModelError, match="got int"):
        wrap(3)  # type: ignore[arg-type]


def test_access_is_as_rich_as_was_said() -> None:
    assert wrap(NET).kind is GradientAccess
    assert wrap(NET, access="scores").kind is ScoreAccess
    assert type(wrap(NET, access="labels").access(3)) is LabelAccess
    access = wrap(NET, batch_size=7).access(3, budget=5)
    assert access.ledger.batch_size == 7
    assert access.ledger.budget is not None
    assert access.ledger.budget.tolist() == [5, 5, 5]


def test_access_knows_the_number_of_classes_from_the_clean_logits() -> None:
    access = wrap(NET).access(5, budget=0, clean=LOGITS)
    assert isinstance(access, ScoreAccess)
    assert access.scores(X).shape == (5, 4)


def spread(logits: Tensor) -> Tensor:
    return logits.std(1, correction=0)


def test_ordinary_logits_are_left_exactly_as_they_are() -> None:
    assert ordinary_gain(LOGITS) is None
    assert ordinary_gain(torch.zeros(2, 4)) is None
    assert ordinary_gain(torch.full((2, 4), math.nan)) is None


@pytest.mark.parametrize("power", [-8, -4, 4, 8])
def test_the_gain_undoes_powers_of_a_hundred_exactly(power: int) -> None:
    gain = ordinary_gain(LOGITS * 10.0**power)
    assert gain is not None
    assert torch.allclose(gain, torch.full_like(gain, 10.0**-power), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 0.02, 50.0, 1e3, 1e7])
def test_the_gain_brings_any_scale_within_ten_of_the_ordinary_one(scale: float) -> None:
    logits = LOGITS / spread(LOGITS)[:, None] * 3.0 * scale
    gain = ordinary_gain(logits)
    assert gain is not None
    assert ((spread(logits * gain[:, None]) / 3.0).log10().abs() <= 1 + 1e-9).all()


def test_quiet_puts_everything_back() -> None:
    network = ConvNet()
    before = Snapshot.of(network)
    with wrap(network).quiet():
        assert not any(m.training for m in network.modules())
        assert not any(p.requires_grad for p in network.parameters())
        torch.rand(3)
    assert Snapshot.of(network).differences(before) == []


def test_quiet_puts_everything_back_after_an_error() -> None:
    network = ConvNet()
    before = Snapshot.of(network)

    def interrupted() -> None:
        with wrap(network).quiet():
            torch.rand(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert Snapshot.of(network).differences(before) == []


def test_quiet_turns_autograd_on_and_back_off() -> None:
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            with wrap(NET).quiet():
                x = X.clone().requires_grad_()
                assert NET(x).requires_grad
                assert not x.is_inference()
            assert not torch.is_grad_enabled()


def test_quiet_as_is_keeps_the_modes_and_still_leaves_no_trace() -> None:
    """Batch norm in train mode updates its buffers whenever it is asked."""
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 3)).double().train()
    model = wrap(network, mode="as is")
    before = Snapshot.of(network)
    with model.quiet():
        assert network.training
        model(X)
    assert Snapshot.of(network).differences(before) == []


def test_quiet_seeds_the_randomness_of_the_model_and_puts_all_generators_back() -> None:
    def network(x: Tensor) -> Tensor:
        return stochastic(NET)(x) + random.random() + np.random.rand()

    model = wrap(network)
    answers = []
    for _ in range(2):
        before = Snapshot.of(NET)
        with model.quiet(seed=7):
            answers.append(model(X))
        assert Snapshot.of(NET).differences(before) == []
    with model.quiet(seed=8):
        answers.append(model(X))
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


def test_models_print_what_they_are() -> None:
    assert repr(wrap(NET, name="mine")) == "Model(mine, gradients, auto, [0, 1])"
    assert str(Box(-1, 1)) == "Box(low=-1, high=1)"
