"""Options that several commands share. Nothing heavy is imported here, so that ``--help`` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

Output = Literal["auto", "logits", "probabilities", "log-probabilities", "sigmoid"]
AccessName = Literal["labels", "scores", "gradients"]
DtypeName = Literal["float32", "float64", "bfloat16", "float16"]
DeviceName = Literal["auto", "cpu", "cuda"]

NumberList = Annotated[str, Parameter(allow_leading_hyphen=True)]
MODEL = Group("Model")
WORK = Group("Work")


@Parameter(name="*", group=MODEL)
@dataclass(frozen=True)
class ModelOptions:
    """How the model is to be taken.

    Attributes:
        weights: weights to load, .safetensors (or .pt with nothing but tensors); must fit exactly.
        bounds: range of valid inputs, as low,high.
        mean: mean of each channel that the model's inputs are normalized by, such as 0.485,0.456,0.406.
        std: standard deviation of each channel, likewise.
        output: what the model answers; auto tells it from the first answer, but for a sigmoid of each of several
            classes.
        access: use less of the model than it could give: its scores or its labels alone.
        dtype: number type the model is converted to; what is in double precision by itself stays there.
        draws: for a random model: an answer is the mean over so many forwards. An audit finds out by itself.
        bpda: modules without a useful slope, names with commas between them: slopes pass them as if they were not
            there. An audit finds them by itself where it can.
    """

    weights: Path | None = None
    bounds: NumberList = "0,1"
    mean: NumberList | None = None
    std: NumberList | None = None
    output: Output = "auto"
    access: AccessName | None = None
    dtype: DtypeName = "float32"
    draws: int = 1
    bpda: str | None = None


@Parameter(name="*", group=WORK)
@dataclass(frozen=True)
class WorkOptions:
    """How the work is to be done.

    Attributes:
        seed: all randomness comes from it.
        budget: hard limit on the forwards spent on each sample.
        batch_size: samples in one forward, at most; halved when memory runs out.
        device: where the model runs; auto takes the GPU if there is one.
        quiet: no progress.
        debug: show where an error came from.
    """

    seed: int = 0
    budget: int | None = None
    batch_size: int = 256
    device: DeviceName = "auto"
    quiet: Annotated[bool, Parameter(negative="")] = False
    debug: Annotated[bool, Parameter(negative="")] = False
