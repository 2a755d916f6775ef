"""What sets that were learned, mixed or modeled make of a few pictures: docs/images/learned_sets.png.

python benchmarks/learned_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageDraw

import saddlepoint as sp
from saddlepoint.noise import Noise
from saddlepoint.sets import parse
from saddlepoint.zoo.camera import pairs

OUT = Path(__file__).parents[1] / "docs" / "images" / "learned_sets.png"
SPECS = {
    "camera, drawn": "latent(generator=camera,form=painted,shape=cube):1",
    "learned, drawn": "latent(generator=fashion-camera,form=painted):5.85",
    "styles, drawn": "latent(generator=fashion-styles,form=painted,shape=simplex):0.5",
}
COUNT, SCALE, GAP, TEXT = 8, 2, 6, 110
SIDE = 28 * SCALE


def main() -> None:
    """A row of pictures for each set, one draw each."""
    x = sp.zoo.data.load(f"fashion-mnist-1k[:{COUNT}]").x
    noise = Noise.seeded(0, torch.arange(COUNT))
    rows = {"pictures": x}
    for name, spec in SPECS.items():
        threat = parse(spec, generators=sp.zoo.generator)
        rows[name] = threat.apply(x, threat.sample(x, threat.radii(x), noise)).detach()
    learned, changed = sp.zoo.generator("fashion-camera"), pairs(x)
    rows["a pair"], rows["its code, painted"] = changed, learned.decode(x, learned.codes(x, changed)).detach()
    sheet = Image.new("RGB", (TEXT + COUNT * (SIDE + GAP) + GAP, len(rows) * (SIDE + GAP) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (name, pictures) in enumerate(rows.items()):
        top = GAP + i * (SIDE + GAP)
        draw.text((GAP, top + SIDE // 2 - 6), name, fill="black")
        for k, one in enumerate(pictures):
            pixels = (one[0].clamp(0, 1) * 255).round().byte().numpy()
            picture = Image.fromarray(pixels).convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(picture, (TEXT + k * (SIDE + GAP), top))
    sheet.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
