"""Cross-entropy, in a form that does not saturate."""

from __future__ import annotations

from saddlepoint.core.goal import Goal, own, without
from saddlepoint.shapes import DrawnLogits, DrawnValues


def cross_entropy(logits: DrawnLogits, goal: Goal) -> DrawnValues:
    """Log-odds of being wrong: log((1 - p_y) / p_y) = log Σ_{k≠y} exp z_k - z_y; negated toward a target.

    The cross-entropy -log p_y is softplus of it, an increasing function. So it orders perturbations as cross-entropy
    does and its slope points the same way, but it does not vanish where p_y rounds to 1, and is not changed by adding
    a constant to the logits. logits [*S, N, K] -> [*S, N].

    >>> import torch
    >>> z = torch.tensor([[0.0, 100.0]])
    >>> cross_entropy(z, Goal(torch.tensor([1]))), torch.nn.functional.cross_entropy(z, torch.tensor([1]))
    (tensor([-100.]), tensor(0.))

    Source: Goodfellow et al., "Explaining and harnessing adversarial examples", ICLR 2015 (the objective).
    """
    return goal.sign * (without(logits, goal.label).logsumexp(-1) - own(logits, goal.label))
