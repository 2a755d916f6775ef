from __future__ import annotations

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped

from saddlepoint import shapes


@jaxtyped(typechecker=beartype)
def losses(logits: shapes.Logits, label: shapes.Labels) -> shapes.PerSample:
    return logits.gather(1, label[:, None]).squeeze(1)


@jaxtyped(typechecker=beartype)
def drawn(logits: shapes.DrawnLogits, label: shapes.Labels) -> shapes.DrawnValues:
    return logits.sum(-1)


def test_what_fits_passes() -> None:
    assert losses(torch.zeros(3, 5), torch.zeros(3, dtype=torch.long)).shape == (3,)
    assert drawn(torch.zeros(2, 7, 3, 5), torch.zeros(3, dtype=torch.long)).shape == (2, 7, 3)


@pytest.mark.parametrize(
    ("logits", "label"),
    [
        (torch.zeros(3, 5), torch.zeros(4, dtype=torch.long)),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long)),
        (torch.zeros(3, 5), torch.zeros(3)),
        (torch.zeros(3, 5, dtype=torch.long), torch.zeros(3, dtype=torch.long)),
    ],
)
def test_what_does_not_fit_is_refused(logits: torch.Tensor, label: torch.Tensor) -> None:
    with pytest.raises(TypeCheckError):
        losses(logits, label)
