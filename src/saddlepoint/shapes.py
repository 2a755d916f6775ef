"""Shapes as types: ``N`` samples, ``K`` classes, ``*D`` input axes, ``*P`` axes of a perturbation, ``*S`` draws."""

from __future__ import annotations

from typing import TypeAlias

from jaxtyping import Bool, Float, Int
from torch import Tensor

Inputs: TypeAlias = Float[Tensor, "N *D"]
Delta: TypeAlias = Float[Tensor, "N *P"]
PerSample: TypeAlias = Float[Tensor, " N"]
Flags: TypeAlias = Bool[Tensor, " N"]
Labels: TypeAlias = Int[Tensor, " N"]
Counts: TypeAlias = Int[Tensor, " N"]
Rows: TypeAlias = Int[Tensor, " n"]
Logits: TypeAlias = Float[Tensor, "N K"]
Draws: TypeAlias = Float[Tensor, "..."]  # one variadic axis group at most: [*S, N, *D]
DrawnLogits: TypeAlias = Float[Tensor, "*S N K"]
DrawnLabels: TypeAlias = Int[Tensor, "*S N"]
DrawnValues: TypeAlias = Float[Tensor, "*S N"]
DrawnFlags: TypeAlias = Bool[Tensor, "*S N"]
