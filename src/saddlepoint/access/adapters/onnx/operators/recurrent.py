"""RNN, GRU and LSTM: step by step over time in one or both directions, for any activations, clips and lengths."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, operator
from saddlepoint.errors import ModelError

ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softsign": functional.softsign,
    "softplus": functional.softplus,
    "affine": lambda x, alpha=1.0, beta=0.0: alpha * x + beta,
    "leakyrelu": lambda x, alpha=0.01: functional.leaky_relu(x, alpha),
    "thresholdedrelu": lambda x, alpha=1.0: torch.where(x > alpha, x, torch.zeros_like(x)),
    "scaledtanh": lambda x, alpha=1.0, beta=1.0: alpha * torch.tanh(beta * x),
    "hardsigmoid": lambda x, alpha=0.2, beta=0.5: (alpha * x + beta).clamp(0, 1),
    "elu": lambda x, alpha=1.0: functional.elu(x, alpha),
}
TAKES = {"affine": 2, "leakyrelu": 1, "thresholdedrelu": 1, "scaledtanh": 2, "hardsigmoid": 2, "elu": 1}
Act = Callable[[Tensor], Tensor]
State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]


class Weights(NamedTuple):
    """Of one direction: of the input [g, I], of the state [g, H], biases [g] each, peepholes [3 H]."""

    w: Tensor
    r: Tensor
    wb: Tensor
    rb: Tensor
    p: Tensor | None


@operator("RNN")
def rnn(node: Node, x: Tensor, w: Tensor, r: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    """h = f(W x + R h + b)."""
    return _recurrence(node, _rnn_step, x, w, r, *rest)


@operator("GRU")
def gru(node: Node, x: Tensor, w: Tensor, r: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    """Gates z, r and a candidate; the reset before or after the state's weights."""
    return _recurrence(node, _gru_step, x, w, r, *rest)


@operator("LSTM")
def lstm(node: Node, x: Tensor, w: Tensor, r: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    """Gates i, o, f and a candidate, with peepholes where given."""
    return _recurrence(node, _lstm_step, x, w, r, *rest)


def _rnn_step(node: Node, own: Weights, acts: list[Act]) -> Step:
    bias = own.wb + own.rb

    def step(x: Tensor, state: State) -> State:
        return (acts[0](_clipped(node, x @ own.w.T + state[0] @ own.r.T + bias)),)

    return step


def _gru_step(node: Node, own: Weights, acts: list[Act]) -> Step:
    after = bool(node.get("linear_before_reset", 0))

    def step(x: Tensor, state: State) -> State:
        (h,) = state
        xz, xr, xh = (x @ own.w.T + own.wb).chunk(3, 1)
        rz, rr, rh = own.r.chunk(3)
        bz, br, bh = own.rb.chunk(3)
        z = acts[0](_clipped(node, xz + h @ rz.T + bz))
        reset = acts[0](_clipped(node, xr + h @ rr.T + br))
        inner = reset * (h @ rh.T + bh) if after else (reset * h) @ rh.T + bh
        return ((1 - z) * acts[1](_clipped(node, xh + inner)) + z * h,)

    return step


def _lstm_step(node: Node, own: Weights, acts: list[Act]) -> Step:
    bias = own.wb + own.rb
    peep = [None] * 3 if own.p is None else own.p.chunk(3)

    def gate(value: Tensor, cell: Tensor, weight: Tensor | None) -> Tensor:
        return acts[0](_clipped(node, value if weight is None else value + weight * cell))

    def step(x: Tensor, state: State) -> State:
        h, c = state
        i, o, f, g = (x @ own.w.T + h @ own.r.T + bias).chunk(4, 1)
        forget = 1 - gate(i, c, peep[0]) if node.get("input_forget", 0) else gate(f, c, peep[2])
        cell = forget * c + gate(i, c, peep[0]) * acts[1](_clipped(node, g))
        return gate(o, cell, peep[1]) * acts[2](cell), cell

    return step


def _recurrence(
    node: Node,
    build: Callable[[Node, Weights, list[Act]], Step],
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    p: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """All steps of all directions. Returns Y [T, D, N, H], and the last states [D, N, H]; batch first for layout 1."""
    if node.get("layout", 0):
        x, h0, c0 = x.transpose(0, 1), *(None if s is None else s.transpose(0, 1) for s in (h0, c0))
    directions, hidden = w.shape[0], r.shape[-1]
    start = x.new_zeros(directions, x.shape[1], hidden)
    states = [start if h0 is None else h0] + ([start if c0 is None else c0] if node.op == "LSTM" else [])
    outputs, last = [], []
    for d in range(directions):
        bias = x.new_zeros(2 * w.shape[1]) if b is None else b[d]
        wb, rb = bias.chunk(2)
        own = Weights(w[d], r[d], wb, rb, None if p is None else p[d])
        backwards = d == 1 or node.get("direction", "forward") == "reverse"
        out, final = _one_way(
            build(node, own, _activations(node, d)), x, tuple(s[d] for s in states), lengths, backwards
        )
        outputs.append(out)
        last.append(final)
    y = torch.stack(outputs, 1)
    ends = [torch.stack(state) for state in zip(*last, strict=True)]
    if node.get("layout", 0):
        return y.permute(2, 0, 1, 3), *(end.transpose(0, 1) for end in ends)
    return y, *ends


def _one_way(step: Step, x: Tensor, state: State, lengths: Tensor | None, backwards: bool) -> tuple[Tensor, State]:
    """Outputs [T, N, H], zero beyond a sequence's length, and the last state of each sequence."""
    if lengths is None:
        order, running = range(len(x)), None
    else:
        order, running = range(len(x)), torch.arange(len(x), device=x.device)[:, None] < lengths.to(x.device)
    out: list[Tensor] = [x] * len(x)
    for t in reversed(order) if backwards else order:
        new = step(x[t], state)
        if running is not None:
            on = running[t][:, None]
            new = tuple(torch.where(on, a, b) for a, b in zip(new, state, strict=True))
            out[t] = torch.where(on, new[0], torch.zeros_like(new[0]))
        else:
            out[t] = new[0]
        state = new
    return torch.stack(out), state


def _clipped(node: Node, x: Tensor) -> Tensor:
    bound = node.get("clip")
    return x if bound is None else x.clamp(-bound, bound)


def _activations(node: Node, direction: int) -> list[Act]:
    """The activations of one direction, with their numbers where they take some."""
    usual = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[node.op]
    names = [n.lower() for n in node.get("activations") or usual * 2]
    alphas, betas = list(node.get("activation_alpha", [])), list(node.get("activation_beta", []))
    out: list[Act] = []
    for name in names:
        if name not in ACTIVATIONS:
            raise ModelError(f"{node.title} has the activation {name!r}; known are {', '.join(ACTIVATIONS)}")
        numbers = {}
        if alphas and TAKES.get(name, 0) > 0:
            numbers["alpha"] = alphas.pop(0)
        if betas and TAKES.get(name, 0) > 1:
            numbers["beta"] = betas.pop(0)
        out.append(functools.partial(ACTIVATIONS[name], **numbers))
    return out[direction * len(usual) :][: len(usual)]
