"""What an attacker wants of the predicted label. The sign of targeted and untargeted lives here and nowhere else."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import predict
from saddlepoint.shapes import DrawnFlags, DrawnLabels, DrawnLogits, DrawnValues, Labels, Rows


@dc.dataclass(frozen=True)
class Goal:
    """Leave ``label`` (long [N]), or reach it if ``toward``.

    ``truth`` (long [N], only with ``toward``) makes the pursuit a means: the goal is met as soon as the true label is
    left, whatever class is reached. ``confidence`` asks for a margin in logits on top (C&W's kappa).
    """

    label: Tensor
    toward: bool = False
    truth: Tensor | None = None
    confidence: float = 0.0

    @property
    def sign(self) -> int:
        """+1 if more distance from ``label`` is better, -1 if less."""
        return -1 if self.toward else 1

    def rows(self, keep: Rows) -> Goal:
        """The goal of the samples ``keep`` (long [n]) alone."""
        truth = None if self.truth is None else self.truth[keep]
        return dc.replace(self, label=self.label[keep], truth=truth)

    def met(self, predicted: DrawnLabels) -> DrawnFlags:
        """Which predicted labels (long [*S, N]) are what is wanted, bool [*S, N]; no answer (-1) never is."""
        if self.truth is not None:
            return (predicted != self.truth) & (predicted >= 0)
        return (predicted == self.label) if self.toward else (predicted != self.label) & (predicted >= 0)

    def reached(self, logits: DrawnLogits) -> DrawnFlags:
        """Which logits [*S, N, K] meet the goal, with the asked confidence: bool [*S, N]."""
        met = self.met(predict(logits))
        return met if self.confidence == 0 else met & (self.margin(logits) >= self.confidence)

    def margin(self, logits: DrawnLogits) -> DrawnValues:
        """How far the decision is past the boundary: [*S, N, K] -> [*S, N], positive where the goal is met.

        max_{k != y} z_k - z_y away from a label y, z_t - max_{k != t} z_k toward a label t.
        """
        return self.sign * (best_other(logits, self.label) - own(logits, self.label))


def own(logits: DrawnLogits, label: Labels) -> DrawnValues:
    """The logit of ``label``: [*S, N, K], long [N] -> [*S, N]."""
    index = label.expand(logits.shape[:-1]).unsqueeze(-1)
    return logits.gather(-1, index).squeeze(-1)


def without(logits: DrawnLogits, label: Labels) -> DrawnLogits:
    """Logits with -inf in the place of ``label``: [*S, N, K]."""
    index = label.expand(logits.shape[:-1]).unsqueeze(-1)
    return logits.scatter(-1, index, -torch.inf)


def best_other(logits: DrawnLogits, label: Labels) -> DrawnValues:
    """The largest logit that is not that of ``label``: [*S, N]."""
    return without(logits, label).amax(-1)


def untargeted(y: Tensor, confidence: float = 0.0) -> Goal:
    """Any label but ``y`` (long [N])."""
    return Goal(y, confidence=confidence)


def targeted(t: Tensor, confidence: float = 0.0) -> Goal:
    """The label ``t`` (long [N]) and no other."""
    return Goal(t, toward=True, confidence=confidence)
