"""What a detector no longer finds: by a small change of the whole picture, by a patch made for it, by one for all.

    python benchmarks/reproductions/detectors.py

CenterFace, on views of the one photograph with a face that comes with scikit-image; and a network of the zoo that looks
for bags at each place of larger pictures. Needs what examples/requirements.txt names. Prints the tables of detectors.md.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from hide_face import CenterFace
from measure import provenance, share
from real import folder

import saddlepoint as sp
from saddlepoint.tasks.detection import FOUND, NOTHING, AnyFound

SIDE, STEPS = 128, 20
RADII = (0.5, 1, 2, 4)
SIDES = (8, 16, 24, 32)
STICKERS = (6, 8, 10, 12)
BAG = 8
CAMERA = sp.Views(turn=10, zoom=1.1, shift=3)


def main() -> None:
    """All tables."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    faces()
    bags()


def faces() -> None:
    """A change of the whole picture, and a patch beside the face, each made for its picture."""
    model = sp.wrap(CenterFace(), mean=[0.0], std=[1 / 255], output="logits", name="CenterFace")
    x = views()
    y = torch.full((len(x),), FOUND)
    with torch.no_grad():
        seen = model(x).argmax(1) == FOUND
    x, y = x[seen], y[seen]
    print(f"{provenance(len(x))}\n\n{len(x)} of {len(seen)} views in which the face is found\n")
    print("| radius in Linf |", " | ".join(f"{r:g}/255" for r in RADII), "|\n" + "|---" * (len(RADII) + 1) + "|")
    for name, options in (("fgsm", {}), ("apgd_ce", {"steps": STEPS})):
        cells = [_hidden(model, x, y, sp.Linf(r / 255), name, options) for r in RADII]
        print(f"| `{name}` |", " | ".join(cells), "|", flush=True)
    print("\n| patch |", " | ".join(f"{s} x {s} ({s * s / SIDE**2:.1%})" for s in SIDES), "|")
    print("|---" * (len(SIDES) + 1) + "|")
    cells = [_hidden(model, x, y, sp.Linf(1.0, mask=below(s)), "apgd_ce", {"steps": STEPS}) for s in SIDES]
    print("| made for each picture |", " | ".join(cells), "|", flush=True)
    with torch.no_grad():
        grays = [int((model(torch.where(below(s), 0.5, x)).argmax(1) != FOUND).sum()) for s in SIDES]
    print("| gray |", " | ".join(share(count, len(x)) for count in grays), "|")


class Bags(nn.Module):
    """The logit that a window of 28 x 28 pixels shows a bag, each seven pixels of a picture [N, 1, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.network = sp.zoo.load("fashion-standard")

    def forward(self, x: Tensor) -> Tensor:
        """Margins of the bag, [N, P]."""
        windows = x.unfold(2, 28, 7).unfold(3, 28, 7)
        z = self.network(windows.reshape(-1, 1, 28, 28))
        others = torch.cat([z[:, :BAG], z[:, BAG + 1 :]], 1).amax(1)
        return (z[:, BAG] - others).view(len(x), -1)


def bags() -> None:
    """One sticker for all bags, each found without it, beside three shirts; on bags it was not made from."""
    model = sp.wrap(AnyFound(Bags()), output="logits", name="bags")
    x = scenes()
    with torch.no_grad():
        x = x[model(x).argmax(1) == FOUND]
    made, others = x[: len(x) // 2], x[len(x) // 2 :]
    print(f"\n{provenance(len(others))}; made from {len(made)} others\n")
    print("| sticker on the bag |", " | ".join(f"{s} x {s} ({s * s / 28**2:.0%})" for s in STICKERS), "|")
    print("|---" * (len(STICKERS) + 1) + "|")
    lines: dict[str, list[str]] = {"one for all": [], "gray": []}
    for side in STICKERS:
        found = sp.patch(model, made, mask=sticker(side), target=NOTHING, views=CAMERA, epochs=25)
        for name, cells in lines.items():
            hidden = found.fools(model, others, blank=name == "gray")
            cells.append(share(int(hidden.sum()), len(others)))
    for name, cells in lines.items():
        print(f"| {name} |", " | ".join(cells), "|")


def scenes() -> Tensor:
    """A bag and three shirts or the like, two by two, the bag first: [N, 1, 56, 56]."""
    data = sp.zoo.data.load("fashion-mnist-1k")
    shown, beside = data.x[data.y == BAG], data.x[data.y <= 4]
    a, b, c = beside[: 3 * len(shown)].view(3, len(shown), 1, 28, 28)
    return torch.cat([torch.cat([shown, a], 3), torch.cat([b, c], 3)], 2)


def sticker(side: int) -> Tensor:
    """A square in the middle of the bag: bool [1, 1, 56, 56]."""
    mask = torch.zeros(1, 1, 56, 56, dtype=torch.bool)
    first = (28 - side) // 2
    mask[:, :, first : first + side, first : first + side] = True
    return mask


def views() -> Tensor:
    """Sixteen views [16, 3, 128, 128] of the photograph, nearer and farther, the face in their upper half."""
    image = Image.open(folder("skimage") / "data/astronaut.png").convert("RGB")
    drawn, out = np.random.default_rng(0), []
    for _ in range(16):
        wide = int(drawn.integers(190, 257))
        left, top = int(drawn.integers(96, 352 - wide + 1)), int(drawn.integers(0, 20))
        part = image.crop((left, top, left + wide, top + wide)).resize((SIDE, SIDE))
        out.append(torch.from_numpy(np.array(part)).permute(2, 0, 1).float() / 255)
    return torch.stack(out)


def below(side: int) -> Tensor:
    """Where a square of so many pixels is worn, at the lower edge in the middle: bool [1, 1, 128, 128]."""
    mask = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    left = (SIDE - side) // 2
    mask[:, :, SIDE - side :, left : left + side] = True
    return mask


def _hidden(model: sp.Model, x: Tensor, y: Tensor, threat: sp.Linf, name: str, options: dict[str, int]) -> str:
    found = sp.attacks.get(name)(model, x, y, threat, **options)
    return share(int(found.met.sum()), len(x))


if __name__ == "__main__":
    main()
