from __future__ import annotations

import pytest
import torch

from saddlepoint.core import Goal, targeted, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.objectives import dlr, dlr_targeted

GENERATOR = torch.Generator().manual_seed(0)
Z = torch.randn(50, 6, generator=GENERATOR, dtype=torch.float64)
Y = torch.randint(6, (50,), generator=GENERATOR)
T = (Y + 1 + torch.randint(5, (50,), generator=GENERATOR)) % 6


def by_hand(z: torch.Tensor, y: int) -> float:
    order = sorted(z.tolist(), reverse=True)
    others = max(v for k, v in enumerate(z.tolist()) if k != y)
    return -(z[y].item() - others) / (order[0] - order[2])


def test_is_the_published_ratio() -> None:
    expected = torch.tensor([by_hand(z, int(y)) for z, y in zip(Z, Y, strict=True)], dtype=torch.float64)
    assert torch.allclose(dlr(Z, untargeted(Y)), expected)
    assert torch.allclose(dlr(Z, targeted(Y)), -expected)


def test_the_targeted_form_is_the_published_ratio() -> None:
    order = Z.sort(1, descending=True).values
    z_y, z_t = Z.gather(1, Y[:, None]).squeeze(1), Z.gather(1, T[:, None]).squeeze(1)
    expected = -(z_y - z_t) / (order[:, 0] - 0.5 * (order[:, 2] + order[:, 3]))
    assert torch.allclose(dlr_targeted(Z, Goal(T, toward=True, truth=Y)), expected)


def test_shift_and_scale_change_nothing() -> None:
    pursuit = Goal(T, toward=True, truth=Y)
    for scale, shift in ((1e-4, 0.0), (1e4, 0.0), (1.0, 50.0), (1e4, -50.0)):
        changed = scale * Z + shift
        assert torch.allclose(dlr(changed, untargeted(Y)), dlr(Z, untargeted(Y)), rtol=1e-6)
        assert torch.allclose(dlr_targeted(changed, pursuit), dlr_targeted(Z, pursuit), rtol=1e-6)


def test_equal_logits_give_zero_not_nan() -> None:
    z = torch.full((2, 4), 7.0, requires_grad=True)
    y = torch.tensor([0, 3])
    for value in (dlr(z, untargeted(y)), dlr_targeted(z, Goal(1 - y.clamp(max=1), toward=True, truth=y))):
        assert value.tolist() == [0, 0]


def test_too_few_classes_are_refused_with_a_way_out() -> None:
    with pytest.raises(OptionError, match="at least 3 classes, the model has 2: use margin"):
        dlr(Z[:, :2], untargeted(Y % 2))
    with pytest.raises(OptionError, match="at least 4 classes, the model has 3: use margin"):
        dlr_targeted(Z[:, :3], targeted(Y % 3))
