"""Classifiers of scikit-learn as torch modules in double precision: inputs [N, D] -> scores [N, K], or [N, 1] for two.

What the scores are largest in (above 0 for one score) is what the estimator predicts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ACTIVATIONS = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


def constant(value: Any) -> nn.Parameter:
    """A fitted number or array, in double precision, that nothing trains."""
    return nn.Parameter(torch.as_tensor(value, dtype=torch.float64).clone(), requires_grad=False)


class Linear(nn.Module):
    """w x + b, a row of w for each class, or one for two."""

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        rows = estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else estimator.coef_  # sparsify()
        self.weight, self.bias = constant(np.atleast_2d(rows)), constant(estimator.intercept_)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of x [N, D]."""
        return x @ self.weight.T + self.bias


class Kernel(nn.Module):
    """A support vector machine: sum_i a_i k(s_i, x) + b, for two classes or for each pair of more.

    Of more classes each pair casts a vote; the first of those with most votes is predicted. The score of a class is
    its number of votes, minus a little for its place, plus less than that by how clear its pairs are, so that slopes
    lead to where votes change.
    """

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.vectors, self.dual = constant(estimator.support_vectors_), constant(estimator.dual_coef_)
        self.bias, self.counts = constant(estimator.intercept_), [int(n) for n in estimator.n_support_]
        self.kernel, self.gamma = estimator.kernel, float(estimator._gamma)
        self.degree, self.offset = estimator.degree, float(estimator.coef0)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of x [N, D]."""
        near = self._kernel(x)
        if len(self.counts) == 2:
            return near @ self.dual.T + self.bias
        return self._votes(self._pairs(near))

    def _kernel(self, x: Tensor) -> Tensor:
        """k(x, s), [N, S]."""
        near: Tensor
        if self.kernel == "rbf":
            square = (x.square().sum(1)[:, None] + self.vectors.square().sum(1) - 2 * x @ self.vectors.T).clamp(min=0)
            near = torch.exp(-self.gamma * square)
            return near
        product = x @ self.vectors.T
        near = (self.gamma * product + self.offset) ** self.degree if self.kernel == "poly" else product
        return torch.tanh(self.gamma * product + self.offset) if self.kernel == "sigmoid" else near

    def _pairs(self, near: Tensor) -> Tensor:
        """Of each pair of classes i < j, above 0 where i wins: [N, K (K - 1) / 2]."""
        parts = list(zip(torch.split(near, self.counts, 1), torch.split(self.dual, self.counts, 1), strict=True))
        out: list[Tensor] = []
        for i, (near_i, dual_i) in enumerate(parts):
            for j, (near_j, dual_j) in enumerate(parts[i + 1 :], i + 1):
                out.append(near_i @ dual_i[j - 1] + near_j @ dual_j[i] + self.bias[len(out)])
        return torch.stack(out, 1)

    def _votes(self, pairs: Tensor) -> Tensor:
        k = len(self.counts)
        first, second = torch.triu_indices(k, k, 1, device=pairs.device)
        won = (pairs > 0).to(pairs.dtype)
        votes = pairs.new_zeros(len(pairs), k).index_add(1, first, won).index_add(1, second, 1 - won)
        clear = pairs.new_zeros(len(pairs), k).index_add(1, first, pairs).index_add(1, second, -pairs)
        place = torch.arange(k, device=pairs.device, dtype=pairs.dtype)
        return votes - 0.5 * place / k + 0.2 / k * clear / (1 + clear.abs())


class Perceptrons(nn.Module):
    """A multilayer perceptron, without the softmax or sigmoid at its end."""

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.weights = nn.ParameterList([constant(w) for w in estimator.coefs_])
        self.biases = nn.ParameterList([constant(b) for b in estimator.intercepts_])
        self.activation = ACTIVATIONS[estimator.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Logits of x [N, D]."""
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias
            x = x if i == last else self.activation(x)
        return x


class NaiveBayes(nn.Module):
    """log P(class) + sum_d log N(x_d; mean, variance)."""

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.mean, self.var = constant(estimator.theta_), constant(estimator.var_)
        self.prior = constant(estimator.class_prior_)

    def forward(self, x: Tensor) -> Tensor:
        """Joint log-likelihoods of x [N, D]."""
        away = (x[:, None] - self.mean).square() / self.var
        return self.prior.log() - 0.5 * (torch.log(2 * torch.pi * self.var) + away).sum(2)
