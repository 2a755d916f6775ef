from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing.subject import Subject, prepare
from saddlepoint.errors import DataError, ModelError, OptionError

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def subject(network: Make, samples: Make) -> Callable[..., Subject]:
    x, y = samples()

    def make(**changes: Any) -> Subject:
        asked = {"model": network(), "x": x, "y": y, "data": None, **changes}
        options = {"batch_size": None, "seed": 0, "name": None, "source": "", **asked}
        return prepare(options.pop("model"), options.pop("x"), options.pop("y"), options.pop("data"), **options)

    return make


def test_rows_are_taken_clamped_and_checked(subject: Make, samples: Make) -> None:
    x, y = samples()
    x[3, 0, 0, 0] = 1 + 2**-52
    part, labels, ids = subject(x=x).rows(np.array([3, 30]))
    assert part[0, 0, 0, 0] == 1
    assert torch.equal(part, x[[3, 30]].clamp(0, 1))
    assert torch.equal(labels, y[[3, 30]])
    assert ids.tolist() == [3, 30]


def test_the_digest_knows_every_input_label_and_id(subject: Make, samples: Make) -> None:
    x, y = samples()
    other, wrong = x.clone(), y.clone()
    other[-1, -1, -1, -1] += 1e-9
    wrong[-1] = (wrong[-1] + 1) % 4
    data = sp.zoo.data.Data(x, y, torch.arange(1, 41), ("a", "b", "c", "d"), "d", "", "")
    digests = [subject(x=x).digest(), subject(x=other).digest(), subject(y=wrong).digest()]
    digests += [subject(x=None, y=None, data=data).digest(), subject(x=x.float(), model=nn.Flatten()).digest()]
    assert len(set(digests)) == 5
    assert subject().digest() == digests[0]


def test_data_bring_names_and_ids(subject: Make, samples: Make) -> None:
    x, y = samples()
    data = sp.zoo.data.Data(x, y, torch.arange(7, 47), ("a", "b", "c", "d"), "mine", "", "")
    made = subject(x=None, y=None, data=data)
    assert (made.data_name, made.classes, made.ids[0]) == ("mine", ("a", "b", "c", "d"), 7)


def test_the_wrapper_given_is_not_touched(network: Make, subject: Make) -> None:
    model = sp.wrap(network(), batch_size=64)
    made = subject(model=model, batch_size=8, name="mine")
    assert (made.model.batch_size, made.model.name) == (8, "mine")
    assert (model.batch_size, model.name, model.output) == (64, "Sequential", "auto")


class Forgetful(nn.Module):
    """Runs out of memory with more than ``room`` samples."""

    def __init__(self, network: nn.Module, room: int) -> None:
        super().__init__()
        self.network, self.room = network, room

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        answer: Tensor = self.network(x)
        return answer


def test_batches_shrink_where_memory_runs_out(network: Make, subject: Make, samples: Make) -> None:
    x, _ = samples()
    made = subject(model=Forgetful(network(), 3))
    assert torch.allclose(made.logits(x), network()(x).detach())
    assert made.model.batch_size <= 3


def test_no_memory_for_a_single_sample(network: Make, subject: Make, samples: Make) -> None:
    made = subject(model=Forgetful(network(), 2))
    made.model.network.room = 0
    with pytest.raises(ModelError, match="out of memory with a single sample"):
        made.logits(samples()[0])


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"x": None}, OptionError, "an audit needs samples"),
        ({"y": None}, OptionError, "an audit needs samples"),
        ({"data": "anything"}, OptionError, "not both"),
        ({"x": [[1.0]]}, DataError, "must be a tensor"),
        ({"x": torch.zeros(0, 2, 3, 3)}, DataError, "at least one sample"),
        ({"x": torch.zeros(40)}, DataError, "at least one sample"),
        ({"x": torch.full((40, 2, 3, 3), 2.0)}, DataError, "outside the bounds"),
        ({"x": torch.full((40, 2, 3, 3), torch.nan)}, DataError, "NaN"),
        ({"x": torch.zeros(40, 2, 3, 3, dtype=torch.uint8)}, DataError, "float32 or float64"),
        ({"y": torch.zeros(39, dtype=torch.long)}, DataError, "40 inputs but 39 labels"),
        ({"y": torch.zeros(40)}, DataError, "labels must be integers"),
        ({"y": torch.full((40,), 4)}, DataError, "the model has 4 classes, 0 to 3"),
        ({"y": sp.targeted(torch.zeros(40, dtype=torch.long))}, DataError, "give labels"),
        ({"batch_size": 0}, OptionError, "batch_size must be at least 1"),
        ({"model": 3}, ModelError, "callable"),
    ],
)
def test_what_cannot_be_audited(subject: Make, changes: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        subject(**changes)


def test_a_wrong_input_far_behind_is_found_and_placed(network: Make) -> None:
    x = torch.zeros(600, 2, 3, 3, dtype=torch.float64)
    x[599, 0, 0, 0] = 7
    with pytest.raises(DataError, match=r"samples 512 to 599: inputs range over \[0, 7\]"):
        prepare(network(), x, torch.zeros(600, dtype=torch.long), None, batch_size=None, seed=0, name=None, source="")


def test_numbers_give_way_to_the_names_a_model_has(subject: Make, network: Make, samples: Make) -> None:
    x, y = samples()
    model = network()
    assert subject(model=model).classes == ("0", "1", "2", "3")
    model.class_names = ["cat", "dog", "cow", "hen"]
    assert subject(model=model).classes == ("cat", "dog", "cow", "hen")
    data = sp.zoo.data.Data(x, y, torch.arange(40), ("0", "1", "2"), "d", "", "")
    assert subject(model=model, x=None, y=None, data=data).classes == ("cat", "dog", "cow", "hen")


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (
            ("cat", "dog", "cow"),
            r"the data name 3 classes .cat, dog, cow., the model has 4: .* \?classes=Cat,Dog,cow.Jersey,hen says",
        ),
        (("cat", "dog", "hen", "cow"), "'hen' is label 2 of the data and label 3 of the model"),
        (("Cow_Jersey", "a", "b", "c"), "'Cow_Jersey' is label 0 of the data and label 2 of the model"),
    ],
)
def test_names_at_other_places_are_refused(
    subject: Make, network: Make, samples: Make, names: tuple[str, ...], what: str
) -> None:
    x, y = samples()
    data, model = sp.zoo.data.Data(x, y, torch.arange(40), names, "d", "", ""), network()
    model.class_names = ("Cat", "Dog", "cow Jersey", "hen")
    with pytest.raises(DataError, match=what):
        subject(model=model, x=None, y=None, data=data)


@pytest.mark.parametrize(("names", "fine"), [(("1", "2", "3", "4"), True), (("1", "3"), False)])
def test_classes_called_by_numbers_go_by_place_where_there_are_as_many(
    subject: Make, samples: Make, names: tuple[str, ...], fine: bool
) -> None:
    x, y = samples()
    data = sp.zoo.data.Data(x, y % len(names), torch.arange(40), names, "d", "", "")
    if fine:
        assert subject(x=None, y=None, data=data).classes == names
        return
    with pytest.raises(DataError, match=r"name 2 classes \(1, 3\), the model has 4: .* \?classes=0,1,...,3 says"):
        subject(x=None, y=None, data=data)


@pytest.mark.parametrize(("lowest", "places"), [(1, [0, 1, 2]), (0, [0, 1, 2])])
def test_labels_go_by_the_numbers_that_the_classes_of_a_model_are_called_by(
    subject: Make, network: Make, samples: Make, lowest: int, places: list[int]
) -> None:
    x, _ = samples()
    data = sp.zoo.data.Data(x[:3], lowest + torch.arange(3), torch.arange(3), ("0", "1", "2", "3"), "d", "", "")
    model = network()
    model.class_names = ("1", "2", "3", "4")
    made = subject(model=model, x=None, y=None, data=data)
    assert (made.y.tolist(), made.classes) == (places, ("1", "2", "3", "4"))


def test_other_names_for_the_same_classes_are_fine(subject: Make, network: Make, samples: Make) -> None:
    x, y = samples()
    names = ("cat, house cat", "Hund", "cow_jersey", "Huhn")
    data, model = sp.zoo.data.Data(x, y, torch.arange(40), names, "d", "", ""), network()
    model.class_names = ("Cat", "Dog", "cow Jersey", "hen")
    assert subject(model=model, x=None, y=None, data=data).classes == names
