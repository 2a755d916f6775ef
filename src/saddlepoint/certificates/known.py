"""The layers and functions a bound is known for, each made into an operation; anything else is refused by a reason."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.certificates import smooth
from saddlepoint.certificates.affine import Conv, Linear, Reshape, Scale, Sum
from saddlepoint.certificates.error import CertificateError
from saddlepoint.certificates.interval import Operation
from saddlepoint.certificates.lines import LeakyReLU
from saddlepoint.certificates.pooling import MaxPool

UNKNOWN = "it is none of the layers that can be bounded"


def of_module(module: nn.Module, x: Tensor) -> Operation:
    """The operation of a layer on inputs like x [N, *D].

    Raises:
        CertificateError: a layer of an unknown type, or in a mode that cannot be bounded; the message is the reason.
    """
    make = _MODULES.get(type(module))
    if make is None:
        raise CertificateError(UNKNOWN)
    return make(module, x)


def of_call(target: Any, args: list[Any], kwargs: dict[str, Any], varies: list[bool]) -> Operation:
    """The operation of a function or method; ``varies`` says which of ``args`` depend on the input of the network.

    Raises:
        CertificateError: an unknown function, or arguments that cannot be bounded; the message is the reason.
    """
    if target in _SUMS:
        return _arithmetic(_SUMS[target], args, kwargs, varies)
    make = _CALLS.get(target)
    if make is None:
        raise CertificateError(UNKNOWN)
    if not varies or not varies[0] or any(varies[1:]):
        raise CertificateError("only its first argument may depend on the input")
    try:
        return make(*args, **kwargs)
    except TypeError as error:
        raise CertificateError(f"called with arguments that are not understood ({error})") from error


def scale(x: Tensor, factor: Tensor | float, bias: Tensor | float) -> Scale:
    """z = factor · x + bias for layers like x [N, *D]; factor and bias broadcast to [1, *D]."""
    whole = x.new_zeros(1, *x.shape[1:])
    factors, biases = (torch.as_tensor(v, dtype=x.dtype, device=x.device) for v in (factor, bias))
    try:
        factors, biases = factors.expand_as(whole), biases.expand_as(whole)
    except RuntimeError:
        raise CertificateError("a constant does not broadcast to one sample: it would mix or add samples") from None
    return Scale(factors, biases, biases.abs())


def fold(conv: Conv, norm: nn.Module) -> Conv:
    """A convolution and the batch normalization after it as one convolution."""
    factor, bias, rounded = _statistics(norm)
    weight = conv.weight.double() * factor.view(-1, 1, 1, 1)
    both = factor * conv.bias.double() + bias
    size = factor.abs() * conv.rounded.double() + rounded
    return Conv(
        weight.to(conv.weight.dtype),
        both.to(conv.bias.dtype),
        size.to(conv.bias.dtype) * (1 + 1e-6),
        *(conv.layer, conv.out, conv.stride, conv.padding, conv.dilation, conv.groups),
    )


def is_batch_norm(module: nn.Module) -> bool:
    """Whether a module is a batch normalization with fixed statistics."""
    return type(module) in (nn.BatchNorm1d, nn.BatchNorm2d) and not module.training and _fixed(module)


def _fixed(norm: nn.Module) -> bool:
    return isinstance(norm.running_mean, Tensor) and isinstance(norm.running_var, Tensor)


def _statistics(norm: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """(factor, bias, size of the terms of the bias) of a batch normalization, [C] each, in double."""
    assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var = norm.running_mean.double(), norm.running_var.double()
    factor = (var + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.double()
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    return factor, beta - mean * factor, beta.abs() + (mean * factor).abs()


def _batch_norm(module: nn.Module, x: Tensor) -> Operation:
    if not is_batch_norm(module):
        raise CertificateError("it normalizes by the statistics of the batch, so samples interact: call eval()")
    shape = (1, -1, *[1] * (x.ndim - 2))
    factor, bias, size = (v.view(shape).to(x.dtype).expand(1, *x.shape[1:]) for v in _statistics(module))
    return Scale(factor, bias, size * (1 + 1e-6))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Operation:
    zero = weight.new_zeros(len(weight))
    return Linear(weight.detach(), zero if bias is None else bias.detach())


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Operation:
    stride, dilation = _pair(stride), _pair(dilation)
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    around = _padding(padding, kernel, dilation)
    weight = weight.detach()
    bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    out = _out(x, len(weight), kernel, stride, around, dilation)
    return Conv(weight, bias, bias.abs(), _layer(x), out, stride, around, dilation, groups)


def _conv_module(module: nn.Module, x: Tensor) -> Operation:
    assert isinstance(module, nn.Conv2d)
    if module.padding_mode != "zeros":
        raise CertificateError(f"its padding_mode is {module.padding_mode!r}, only 'zeros' can be bounded")
    return _conv(x, module.weight, module.bias, module.stride, module.padding, module.dilation, module.groups)


def _average(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Operation:
    kernel, around = _pair(kernel_size), _pair(padding)
    if ceil_mode or divisor_override is not None or (any(around) and not count_include_pad):
        raise CertificateError("only ceil_mode=False, count_include_pad=True, divisor_override=None can be bounded")
    C = x.shape[1]
    weight = x.new_full((C, 1, *kernel), 1 / math.prod(kernel))
    return _conv(x, weight, None, _pair(stride) if stride is not None else kernel, around, 1, C)


def _adaptive(x: Tensor, output_size: Any) -> Operation:
    out = [side if o is None else o for o, side in zip(_pair(output_size), x.shape[2:], strict=True)]
    if x.ndim != 4 or any(side % o for o, side in zip(out, x.shape[2:], strict=True)):
        raise CertificateError(f"its output {out} does not divide {list(x.shape[2:])}: windows of one size only")
    return _average(x, tuple(side // o for o, side in zip(out, x.shape[2:], strict=True)))


def _maximum(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Operation:
    if ceil_mode or return_indices:
        raise CertificateError("only ceil_mode=False, return_indices=False can be bounded")
    kernel = _pair(kernel_size)
    return MaxPool(_layer(x), kernel, kernel if stride is None else _pair(stride), _pair(padding), _pair(dilation))


def _leaky(x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Operation:
    if not 0 <= negative_slope < 1:
        raise CertificateError(f"its negative slope is {negative_slope}, only [0, 1) can be bounded")
    return LeakyReLU(float(negative_slope))


def _softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Operation:
    return smooth.softplus(float(beta), float(threshold))


def _gelu(x: Tensor, approximate: str = "none") -> Operation:
    return smooth.GELUS[approximate]


def _same(x: Tensor) -> Operation:
    return Reshape(tuple(x.shape[1:]), tuple(x.shape[1:]))


def _dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Operation:
    if training:
        raise CertificateError("it drops at random: call eval(), and pass training=self.training")
    return _same(x)


def _dropout_module(module: nn.Module, x: Tensor) -> Operation:
    return _dropout(x, training=module.training)


def _shaped(reshape: Callable[..., Tensor]) -> Callable[..., Operation]:
    """The operation of a reshaping function; that the samples stay apart is checked on its answer."""

    def make(x: Tensor, *args: Any, **kwargs: Any) -> Operation:
        out = reshape(x, *args, **kwargs)
        if out.ndim < 2 or len(out) != len(x):
            raise CertificateError("the first axis must stay the samples")
        return Reshape(tuple(x.shape[1:]), tuple(out.shape[1:]))

    return make


def _arithmetic(sign: str, args: list[Any], kwargs: dict[str, Any], varies: list[bool]) -> Operation:
    if kwargs or len(args) != 2:
        raise CertificateError("only a sum, difference, product or quotient of two things can be bounded")
    (a, b), both = args, all(varies)
    if both:
        if sign not in "+-" or a.shape != b.shape:
            raise CertificateError("two layers can be added or subtracted, of one shape, but not multiplied")
        return Sum(1 if sign == "+" else -1)
    if varies[0]:
        return {
            "+": lambda: scale(a, 1.0, b),
            "-": lambda: scale(a, 1.0, -b),
            "*": lambda: scale(a, b, 0.0),
            "/": lambda: scale(a, 1 / torch.as_tensor(b, dtype=a.dtype), 0.0),
        }[sign]()
    if sign == "/":
        raise CertificateError("the input cannot be a divisor")
    return {"+": lambda: scale(b, 1.0, a), "-": lambda: scale(b, -1.0, a), "*": lambda: scale(b, a, 0.0)}[sign]()


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        first, last = (value[0], value[-1])
        return int(first), int(last)
    return int(value), int(value)


def _padding(padding: Any, kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(t % 2 for t in total):
            raise CertificateError("padding='same' of an even kernel is not symmetric: give the padding as numbers")
        return total[0] // 2, total[1] // 2
    return _pair(padding)


def _layer(x: Tensor) -> tuple[int, int, int]:
    if x.ndim != 4:
        raise CertificateError(f"its input has shape {list(x.shape)}; [N, C, H, W] was expected")
    return int(x.shape[1]), int(x.shape[2]), int(x.shape[3])


def _out(x: Tensor, channels: int, *of: tuple[int, int]) -> tuple[int, int, int]:
    kernel, stride, padding, dilation = of
    sides = [(x.shape[2 + i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)]
    return channels, sides[0], sides[1]


Maker = Callable[[Any, Tensor], Operation]
_MODULES: dict[type[nn.Module], Maker] = {
    nn.Linear: lambda m, x: _linear(x, m.weight, m.bias),
    nn.Conv2d: _conv_module,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda m, x: LeakyReLU(),
    nn.LeakyReLU: lambda m, x: _leaky(x, m.negative_slope),
    nn.SiLU: lambda m, x: smooth.SILU,
    nn.GELU: lambda m, x: _gelu(x, m.approximate),
    nn.Tanh: lambda m, x: smooth.TANH,
    nn.Sigmoid: lambda m, x: smooth.SIGMOID,
    nn.Softplus: lambda m, x: _softplus(x, m.beta, m.threshold),
    nn.Flatten: lambda m, x: _shaped(torch.flatten)(x, m.start_dim, m.end_dim),
    nn.Unflatten: lambda m, x: _shaped(Tensor.unflatten)(x, m.dim, m.unflattened_size),
    nn.AvgPool2d: lambda m, x: _average(
        x, m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override
    ),
    nn.AdaptiveAvgPool2d: lambda m, x: _adaptive(x, m.output_size),
    nn.MaxPool2d: lambda m, x: _maximum(
        x, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices
    ),
    nn.Dropout: _dropout_module,
    nn.Dropout2d: _dropout_module,
    nn.Identity: lambda m, x: _same(x),
}

_SUMS: dict[Any, str] = {
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), "+"),
    **dict.fromkeys((operator.sub, operator.isub, torch.sub, "sub", "sub_"), "-"),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul, "mul", "mul_"), "*"),
    **dict.fromkeys((operator.truediv, operator.itruediv, torch.div, "div", "div_"), "/"),
}


def _calls() -> dict[Any, Callable[..., Operation]]:
    relu = {"relu", "relu_", torch.relu, torch.relu_, functional.relu, functional.relu_}
    activations: dict[Any, Callable[..., Operation]] = {
        **dict.fromkeys(relu, lambda x, inplace=False: LeakyReLU()),
        functional.leaky_relu: _leaky,
        functional.silu: lambda x, inplace=False: smooth.SILU,
        functional.gelu: _gelu,
        functional.softplus: _softplus,
        **dict.fromkeys(("tanh", torch.tanh, functional.tanh), lambda x: smooth.TANH),
        **dict.fromkeys(("sigmoid", torch.sigmoid, functional.sigmoid), lambda x: smooth.SIGMOID),
    }
    names = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "unflatten")
    shapes = {name: _shaped(getattr(Tensor, name)) for name in names}
    functions = (torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze)
    return {
        **activations,
        **shapes,
        **{function: _shaped(function) for function in functions},
        "contiguous": _same,
        functional.linear: _linear,
        functional.conv2d: _conv,
        torch.conv2d: _conv,
        functional.avg_pool2d: _average,
        functional.adaptive_avg_pool2d: _adaptive,
        functional.max_pool2d: _maximum,
        functional.dropout: _dropout,
    }


_CALLS = _calls()
