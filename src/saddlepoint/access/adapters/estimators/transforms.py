"""What stands before a classifier in a pipeline of scikit-learn, as torch modules in double precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.access.adapters.estimators.classifiers import constant


class Affine(nn.Module):
    """factor x + shift, of each feature."""

    def __init__(self, factor: Any, shift: Any) -> None:
        super().__init__()
        self.factor, self.shift = constant(factor), constant(shift)

    def forward(self, x: Tensor) -> Tensor:
        """The features scaled."""
        return x * self.factor + self.shift


class Projection(nn.Module):
    """Principal components: (x - mean) components^T, divided by their standard deviations where whitened."""

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.mean, self.components = constant(estimator.mean_), constant(estimator.components_)
        variance = torch.as_tensor(estimator.explained_variance_, dtype=torch.float64)
        self.scale = constant(variance.sqrt().clamp(min=torch.finfo(torch.float64).eps) if estimator.whiten else 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """The components."""
        return ((x - self.mean) @ self.components.T) / self.scale


class UnitNorm(nn.Module):
    """Each sample divided by its norm; zeros stay zeros."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.order = {"l1": 1.0, "l2": 2.0, "max": float("inf")}[norm]

    def forward(self, x: Tensor) -> Tensor:
        """The samples on the unit sphere."""
        size = torch.linalg.vector_norm(x, self.order, 1, keepdim=True)
        return x / torch.where(size == 0, torch.ones_like(size), size)


class Function(nn.Module):
    """An elementwise function."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        """The function of each entry."""
        out: Tensor = getattr(torch, self.name)(x)
        return out
