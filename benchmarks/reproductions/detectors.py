"""A face that a detector no longer finds: by a small change of the whole picture, and by a patch beside the face.

    python benchmarks/reproductions/detectors.py

CenterFace, on views of the one photograph with a face that comes with scikit-image. Needs what
examples/requirements.txt names. Prints the tables of detectors.md.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from hide_face import CenterFace
from measure import provenance, share
from real import folder

import saddlepoint as sp
from saddlepoint.tasks.detection import FOUND

SIDE, STEPS = 128, 20
RADII = (0.5, 1, 2, 4)
SIDES = (8, 16, 24, 32)


def main() -> None:
    """Both tables."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
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
