"""Detectors, asked one question: is there anything?"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from saddlepoint.errors import ModelError

FOUND, NOTHING = 1, 0
"""The two labels: attack pictures labeled ``FOUND`` to hide what is there, those labeled ``NOTHING`` to conjure."""


class AnyFound(nn.Module):
    """A detector as a classifier with one logit, z(x) = max_p s_p(x) - threshold: above 0 something is found.

    With s_p the scores of all places p. Where the surest place falls below the threshold, so do all others: to lower z
    is to hide everything, at whatever places. Goals, attacks, sets and audits are then those of any classifier.

    Args:
        detector: pictures [N, *D] -> scores [N, *S] of any number of places, best as logits: probabilities near 0 and 1
            have slopes near 0.
        threshold: the score from which on a place counts.

    Raises:
        ModelError: when called, if the detector does not give scores for each picture.

    Source: Thys, Van Ranst, Goedemé, "Fooling automated surveillance cameras: adversarial patches to attack person
    detection", CVPR workshops 2019 (the largest objectness is what is lowered).

    >>> import torch, saddlepoint as sp
    >>> bright = AnyFound(lambda x: torch.nn.functional.avg_pool2d(x, 4).flatten(1), threshold=0.5)
    >>> picture = torch.full((1, 1, 8, 8), 0.2)
    >>> picture[:, :, :4, :4] = 0.6
    >>> model = sp.wrap(bright, output="logits")
    >>> [bool(sp.attacks.fgsm(model, picture, torch.tensor([FOUND]), sp.Linf(r)).met) for r in (0.09, 0.11)]
    [False, True]
    """

    def __init__(self, detector: Callable[[Tensor], Tensor], threshold: float = 0.0) -> None:
        super().__init__()
        self.detector, self.threshold = detector, threshold

    def forward(self, x: Tensor) -> Tensor:
        """The logit that something is found, [N, 1]."""
        scores = self.detector(x)
        if not isinstance(scores, Tensor) or scores.ndim < 2 or len(scores) != len(x) or not scores[:1].numel():
            said = f"{list(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
            raise ModelError(
                f"a detector is to give scores [N, *S] of at least one place for {len(x)} pictures, and gave {said}:"
                " hand over a function that picks them from what it answers"
            )
        return scores.flatten(1).amax(1, keepdim=True) - self.threshold
