"""A hiss that a speech assistant takes for its name: three ONNX files in a row, attacked from the waveform.

    python examples/wake_word.py [--word alexa] [--radius 0.05]

openWakeWord turns samples into a mel spectrogram, that into embeddings, and those into a score for a word. All three
run with slopes, so an attack reaches the samples (16 kHz, in [-1, 1]). The models of words are licensed for
noncommercial use.
"""

from __future__ import annotations

import argparse
import warnings

import real
import torch
from torch import Tensor, nn

import saddlepoint as sp

RATE = 16_000
WINDOW, HOP, WINDOWS = 76, 8, 16
"""Frames of a spectrogram in an embedding, frames between embeddings, embeddings in a score."""


class WakeWord(nn.Module):
    """The logit [N, 1] that a waveform [N, T] in [-1, 1] says the word."""

    def __init__(self, word: str) -> None:
        super().__init__()
        place = real.folder("openwakeword") / "resources/models"
        names = ("melspectrogram", "embedding_model", f"{word}_v0.1")
        self.mel, self.embedding, self.score = (sp.open_model(str(place / f"{name}.onnx")) for name in names)

    def forward(self, x: Tensor) -> Tensor:
        """The logit that the word is said."""
        mel = self.mel(32767 * x).flatten(1, -2) / 10 + 2
        frames = mel.unfold(1, WINDOW, HOP)[:, -WINDOWS:].transpose(2, 3)
        embedded = self.embedding(frames.flatten(0, 1).unsqueeze(-1)).view(len(x), WINDOWS, -1)
        return self.score(embedded).view(len(x), 1)


def hiss(seconds: float = 2.0, loudness: float = 0.05) -> Tensor:
    """Noise [1, T]: nothing that anybody would call a word."""
    draw = torch.Generator().manual_seed(0)
    return loudness * torch.randn(1, int(seconds * RATE), generator=draw).clamp(-4, 4)


def heard(word: str, radius: float, steps: int = 30) -> tuple[float, float]:
    """How sure the network is to hear the word in a hiss, before and after an attack."""
    x, network = hiss(), WakeWord(word)
    model = sp.wrap(network, bounds=(-1, 1), output="logits", name=word)
    result = sp.attacks.pgd(model, x, torch.tensor([0]), sp.Linf(radius), steps=steps)
    with torch.no_grad():
        before, after = (float(network(z).sigmoid()) for z in (x, result.x_adv))
    return before, after


def main() -> None:
    """Attack and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--word", default="alexa", help="alexa, hey_jarvis, hey_marvin (default: alexa)")
    parser.add_argument("--radius", type=float, default=0.05, help="of the Linf ball; samples lie in [-1, 1]")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    before, after = heard(args.word, args.radius)
    print(f"{args.word}: {before:.4f} -> {after:.4f}")


if __name__ == "__main__":
    main()
