from __future__ import annotations

import pytest
import torch

from saddlepoint.access.checks import check_inputs, check_labels
from saddlepoint.access.model import Box
from saddlepoint.errors import DataError


def test_inputs_come_back_detached_cloned_and_inside_the_box() -> None:
    x = torch.tensor([[1.0 + 2e-7, -1e-8, 0.5]], requires_grad=True)
    checked = check_inputs(x, Box())
    assert checked.tolist() == [[1.0, 0.0, 0.5]]
    assert not checked.requires_grad
    assert checked.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("value", [1.0 + 1e-5, -1e-5])
def test_inputs_may_leave_the_box_by_rounding_only(value: float) -> None:
    with pytest.raises(DataError, match="outside the bounds"):
        check_inputs(torch.tensor([[0.5, value]]), Box())


def test_normalized_inputs_are_refused_with_the_likely_cause() -> None:
    """Peers take them in silence, and move them by 2 where the radius is 0.03."""
    with pytest.raises(DataError) as error:
        check_inputs(torch.tensor([[-1.9, 2.1]]), Box())
    for said in ("[-1.9, 2.1]", "[0, 1]", "mean=", "bounds="):
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ([0, 1], "labels must be a tensor of integers .N., got list"),
        (torch.zeros(2), "must be integers"),
        (torch.zeros(2, 3, dtype=torch.long), "one-hot rows: use y.argmax"),
        (torch.zeros(3, dtype=torch.long), "2 inputs but 3 labels"),
        (torch.tensor([0, 3]), "over .0, 3.; the model has 3 classes, 0 to 2"),
        (torch.tensor([-1, 0]), "over .-1, 0."),
    ],
)
def test_labels_that_fit_no_input_are_refused(label: torch.Tensor, words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_labels(label, torch.rand(2, 4), 3)
