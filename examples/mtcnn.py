"""MTCNN, the cascade of three networks that looks for faces, as one function with slopes.

P-Net looks at every part of the picture in every size; what it takes for a face is cut out and shown to R-Net, and what
R-Net takes for one to O-Net (Zhang, Zhang, Li, Qiao, "Joint face detection and alignment using multitask cascaded
convolutional networks", 2016). The weights and the thresholds are those of facenet-pytorch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import real
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

THRESHOLDS = (0.6, 0.7, 0.7)
"""How sure each network must be."""
SMALLEST, SHRINK = 20, 0.709
"""Side of the smallest face, in pixels; from one size of the picture to the next."""
CELL, STRIDE = 12, 2
"""P-Net sees squares of 12 pixels, 2 apart."""


class Stage(nn.Module):
    """One network: convolutions with pooling between them, then dense layers; a logit, and corrections of the box.

    Args:
        convolutions: (channels in, out, width of the kernel, width of the pooling or None) of each.
        dense: (features in, out) of the dense layer, if there is one.
        heads: names of the layers that give the two scores, the corrections, and others that are not used.
    """

    def __init__(
        self,
        name: str,
        convolutions: list[tuple[int, int, int, int | None]],
        dense: tuple[int, int] | None,
        heads: dict[str, int],
    ) -> None:
        super().__init__()
        self.pools = [pool for *_, pool in convolutions]
        for i, (into, out, kernel, _) in enumerate(convolutions, 1):
            self.add_module(f"conv{i}", nn.Conv2d(into, out, kernel))
            self.add_module(f"prelu{i}", nn.PReLU(out))
        self.dense = None if dense is None else len(convolutions) + 1
        if dense is not None:
            self.add_module(f"dense{self.dense}", nn.Linear(*dense))
            self.add_module(f"prelu{self.dense}", nn.PReLU(dense[1]))
        self.heads = list(heads)
        for head, size in heads.items():
            self.add_module(head, nn.Conv2d(out, size, 1) if dense is None else nn.Linear(dense[1], size))
        weights = real.folder("facenet_pytorch") / f"data/{name}.pt"
        self.load_state_dict(torch.load(weights, weights_only=True))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For levels 0..255 [n, 3, h, w]: logits [n, ...] that there is a face, corrections [n, 4, ...] of the box."""
        z = (x - 127.5) / 128
        for i, pool in enumerate(self.pools, 1):
            z = self.get_submodule(f"prelu{i}")(self.get_submodule(f"conv{i}")(z))
            z = z if pool is None else max_pool2d(z, pool, 2, ceil_mode=True)
        if self.dense is not None:
            z = self.get_submodule(f"dense{self.dense}")(z.permute(0, 3, 2, 1).flatten(1))
            z = self.get_submodule(f"prelu{self.dense}")(z)
        scores, box = (self.get_submodule(head)(z) for head in self.heads[:2])
        return scores[:, 1] - scores[:, 0], box


def stages() -> list[Stage]:
    """P-Net, R-Net and O-Net."""
    return [
        Stage("pnet", [(3, 10, 3, 2), (10, 16, 3, None), (16, 32, 3, None)], None, {"conv4_1": 2, "conv4_2": 4}),
        Stage("rnet", [(3, 28, 3, 3), (28, 48, 3, 3), (48, 64, 2, None)], (576, 128), {"dense5_1": 2, "dense5_2": 4}),
        Stage(
            "onet",
            [(3, 32, 3, 3), (32, 64, 3, 3), (64, 64, 3, 2), (64, 128, 2, None)],
            (1152, 256),
            {"dense6_1": 2, "dense6_2": 4, "dense6_3": 10},
        ),
    ]


class MTCNN(nn.Module):
    """By how much the surest face passes all three networks: [N, 1] for pictures [N, 3, H, W] of 0..255.

    A place passes a network by its logit minus that of the threshold, and the cascade by the smallest of these; the
    picture counts by its best place, so that above 0 a face is found. Boxes that overlap are all looked at, where
    MTCNN keeps the best of them. The slope is that of the log of the sum of
    exponentials over all places, not only that of the best, beside which many others find the same face.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages())
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Above 0 where a face is found."""
        return torch.stack([self._surest(picture[None]) for picture in x]).unsqueeze(1)

    def _surest(self, x: Tensor) -> Tensor:
        first, *others = self.stages
        passed, boxes = (torch.cat(parts) for parts in zip(*_scan(first, x), strict=True))
        for stage, threshold, side in zip(others, THRESHOLDS[1:], (24, 48), strict=False):
            going = passed > 0
            if not going.any():
                break
            boxes, passed = _square(boxes[going]), passed[going]
            logit, move = stage(torch.cat([_cut(x, box, side) for box in boxes.int().tolist()]))
            passed = torch.minimum(passed, logit - _logit(threshold))
            boxes = _moved(boxes, move.detach(), 1)
        spread = passed.logsumexp(0)
        return passed.amax().detach() + spread - spread.detach()


def _logit(chance: float) -> float:
    return math.log(chance / (1 - chance))


def _scan(net: nn.Module, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For each size of the picture: by how much each square passes P-Net [n], and its box [n, 4]."""
    height, width = x.shape[2:]
    scale = CELL / SMALLEST
    while min(height, width) * scale >= CELL:
        logit, move = net(interpolate(x, (int(height * scale + 1), int(width * scale + 1)), mode="area"))
        row, column = (place.flatten() for place in torch.meshgrid(*map(torch.arange, logit.shape[1:]), indexing="ij"))
        corner = STRIDE * torch.stack([column, row], 1).to(x)
        box = torch.cat([((corner + 1) / scale).floor(), ((corner + CELL) / scale).floor()], 1)
        yield (logit - _logit(THRESHOLDS[0])).flatten(), _moved(box, move.detach()[0].flatten(1).T, 0)
        scale *= SHRINK


def _moved(box: Tensor, move: Tensor, extra: int) -> Tensor:
    """Boxes [n, 4] (left, top, right, bottom) with each side moved by a share of the width or height."""
    return box + move * (box[:, 2:] - box[:, :2] + extra).repeat(1, 2)


def _square(box: Tensor) -> Tensor:
    """The squares around the middles of boxes [n, 4]."""
    side = (box[:, 2:] - box[:, :2]).amax(1, keepdim=True)
    corner = (box[:, :2] + box[:, 2:] - side) / 2
    return torch.cat([corner, corner + side], 1)


def _cut(x: Tensor, box: list[int], side: int) -> Tensor:
    """The part of a picture [1, 3, H, W] inside a box, as [1, 3, side, side]; at least a pixel."""
    height, width = x.shape[2:]
    left, top = (min(max(box[i], 1) - 1, size - 1) for i, size in ((0, width), (1, height)))
    right, bottom = (max(min(box[i], size), near + 1) for i, size, near in ((2, width, left), (3, height, top)))
    return interpolate(x[:, :, top:bottom, left:right], side, mode="area")
