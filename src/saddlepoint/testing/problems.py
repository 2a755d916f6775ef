"""Small problems: one whose optimum is known in closed form, and the shapes of trouble real networks come in.

All weights come from a seed; making a network leaves the global random state as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.sets.ball import Ball
from saddlepoint.sets.features import Features

SHAPE = (1, 6, 6)
"""The inputs of the small networks: one channel, six rows, six columns."""
DUAL = {"linf": 1.0, "l2": 2.0, "l1": math.inf}
"""The order of the norm that measures a slope, for each ball."""


class LinearClassifier(nn.Module):
    """z(x) = W x + b, whose smallest and best perturbations are known exactly.

    Args:
        weight: [K, D], D the number of entries of an input of any shape.
        bias: [K].

    >>> from saddlepoint.sets import L2
    >>> model = LinearClassifier(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([0.0, -6.0]))
    >>> model.closest(torch.tensor([[0.5, 0.5]]), torch.tensor([0]), L2())  # (6 - 3.5) / |(3, 4)|
    tensor([0.5000])
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    @staticmethod
    def random(
        classes: int = 4, shape: tuple[int, ...] = SHAPE, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> LinearClassifier:
        """Normal weights, and the bias with which a gray input (all entries 1/2) is undecided."""
        weight = _normal(classes, math.prod(shape), seed=seed)
        return LinearClassifier(weight.to(dtype), -weight.sum(1).to(dtype) / 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, K]."""
        return rowwise(x.flatten(1), self.weight) + self.bias

    def closest(self, x: Tensor, y: Tensor, threat: Ball) -> Tensor:
        """The size of the smallest perturbation that leaves y, where the box is out of reach: [N].

        min over k≠y of (z_y - z_k)(x) / |w_k - w_y|_q with q dual to the norm; 0 where y is left already. L0 means
        nothing without a box: there it is the least number of entries whose gains inside the box make up for the gap.
        """
        gap, slope = self._toward_each(x, y)
        if threat.name == "l0":
            return _except(y, _fewest(x, gap, slope, threat), math.inf).amin(1)
        least = gap / torch.linalg.vector_norm(slope, DUAL[threat.name], dim=-1)
        return _except(y, least, math.inf).amin(1).clamp_min(0)

    def margin_at(self, x: Tensor, y: Tensor, threat: Ball, radius: Tensor) -> Tensor:
        """The largest max_{k≠y} z_k - z_y over ball ∩ box ∩ mask at ``radius`` [N]: exact, [N].

        One linear problem for each class, solved by the set's oracle.
        """
        gap, slope = self._toward_each(x, y)
        gains = []
        for k in range(gap.shape[1]):
            toward = slope[:, k].view_as(x)
            gains.append((toward * threat.lmo(x, toward, radius)).flatten(1).sum(1))
        return _except(y, torch.stack(gains, 1) - gap, -math.inf).amax(1)

    def closest_in_box(self, x: Tensor, y: Tensor, threat: Ball, rounds: int = 60) -> Tensor:
        """As ``closest`` with an active box and mask, by bisection on ``margin_at``: [N], infinite where none is."""
        low, high = torch.zeros(len(x), dtype=x.dtype, device=x.device), threat.largest(x)
        met = self.margin_at(x, y, threat, low) > 0
        impossible = self.margin_at(x, y, threat, high) < 0
        for _ in range(rounds):
            middle = (low + high) / 2
            enough = self.margin_at(x, y, threat, middle) >= 0
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        return torch.where(impossible, math.inf, torch.where(met, 0.0, high))

    def _toward_each(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """z_y - z_k, [N, K], and w_k - w_y, [N, K, D]."""
        with torch.no_grad():
            logits = self(x)
            return logits.gather(1, y[:, None]) - logits, self.weight - self.weight[y][:, None]


def _fewest(x: Tensor, gap: Tensor, slope: Tensor, threat: Ball) -> Tensor:
    """How many entries it takes toward each class, [N, K]."""
    low, high = (bound.flatten(1)[:, None] for bound in threat.interval(x))
    gains = torch.maximum(slope * low, slope * high).sort(-1, descending=True).values.cumsum(-1)
    short = (gains < gap[..., None]).sum(-1)
    needed = torch.where(short == gains.shape[-1], math.inf, short + 1.0)
    return torch.where(gap <= 0, 0.0, needed).to(x.dtype)


def _except(y: Tensor, values: Tensor, filler: float) -> Tensor:
    """``values`` [N, K] with ``filler`` in the place of y [N]."""
    return values.scatter(1, y[:, None], filler)


def rowwise(x: Tensor, weight: Tensor) -> Tensor:
    """x Wᵀ ([N, D], [K, D] -> [N, K]), each row summed on its own: the same bits in a batch of any size."""
    return (x[:, None] * weight).sum(-1)


def undecided(
    classes: int = 4, n: int = 8, *, corners: bool = False, gap: float = 0.01, dtype: torch.dtype = torch.float64
) -> tuple[LinearClassifier, Tensor, Tensor]:
    """A linear problem any attack must solve: a network, inputs [n, 1, 6, 6], and their labels, all 0.

    Entries come in pairs that add up to 1 and share a weight, so the logits are the same for all inputs: 0 leads every
    other class by ``gap``. With ``corners`` all entries are 0 or 1: one of each pair can always move the right way.
    """
    pairs = math.prod(SHAPE) // 2
    generator = torch.Generator().manual_seed(classes)
    half = torch.rand(n, pairs, generator=generator, dtype=torch.float64)
    half = half.round() if corners else half
    x = torch.stack([half, 1 - half], -1).view(n, *SHAPE)
    weight = _normal(classes, pairs, seed=classes)
    bias = -weight.sum(1)
    bias[0] += gap
    model = LinearClassifier(weight.repeat_interleave(2, 1).to(dtype), bias.to(dtype))
    return model, x.to(dtype), torch.zeros(n, dtype=torch.long)


class MLP(nn.Module):
    """One smooth hidden layer, fixed random weights; a sample's logits do not depend on its batch, to the last bit."""

    def __init__(
        self,
        classes: int = 4,
        shape: tuple[int, ...] = SHAPE,
        width: int = 12,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        entries = math.prod(shape)
        self.hidden = nn.Parameter(2.0 * _normal(width, entries, seed=seed).to(dtype) / math.sqrt(entries))
        self.head = nn.Parameter(3.0 * _normal(classes, width, seed=seed + 1).to(dtype) / math.sqrt(width))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, K]."""
        return rowwise(rowwise(x.flatten(1) - 0.5, self.hidden).tanh(), self.head)


class ConvNet(nn.Module):
    """A convolution, a batch norm frozen in eval, dropout, a linear layer with a frozen bias: in train mode otherwise.

    So the modules' training flags, the gradient flags and the buffers all have something to lose.
    """

    def __init__(self, classes: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.features = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.GELU())
            self.dropout = nn.Dropout(0.3)
            self.head = nn.Linear(6 * 36, classes)
        self.head.bias.requires_grad_(False)
        self.to(dtype)
        self.train()
        self.features[1].eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, K] of [N, 1, 6, 6]."""
        features: Tensor = self.features(4 * x - 2)
        logits: Tensor = self.head(self.dropout(features).flatten(1))
        return 4 * logits


def looks(seed: int = 0) -> Features:
    """Features of two smooth layers, for inputs of 36 entries in any form: what perceptual sets are tested with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 6, 3, stride=2)
        square = Map(lambda x: x.reshape(-1, *SHAPE))
        network = nn.Sequential(square, first, nn.Tanh(), second, nn.Tanh())
    return Features(network.double().eval(), name="looks")


class Constant(nn.Module):
    """The same logits for every input, with no path back to it."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.register_buffer("logits", torch.arange(classes, 0, -1, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, K]: class 0 always wins."""
        logits: Tensor = self.get_buffer("logits")
        return logits.to(x.dtype).expand(len(x), -1).clone()


class Map(nn.Module):
    """A function as a module, to put before or after a network."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """What the function makes of x."""
        return self.function(x)


def zero_gradient(network: nn.Module, levels: int = 8) -> nn.Module:
    """Sees its inputs rounded to 1/levels: the decision still moves, the slope is 0 everywhere."""
    return nn.Sequential(Map(lambda x: (x * levels).round() / levels), network)


def saturated(network: nn.Module, factor: float = 1e4) -> nn.Module:
    """Logits times ``factor``: no decision changes, but probabilities round to 0 and 1."""
    return nn.Sequential(network, Map(lambda logits: logits * factor))


def shifted(network: nn.Module, by: float = 50.0) -> nn.Module:
    """Logits plus ``by``: no probability changes."""
    return nn.Sequential(network, Map(lambda logits: logits + by))


def not_a_number(classes: int = 4) -> nn.Module:
    """Answers NaN to everything."""
    return nn.Sequential(Constant(classes), Map(lambda logits: logits * math.nan))


def single_sigmoid(seed: int = 0) -> nn.Module:
    """Two classes as one column of probabilities [N, 1] of class 1."""
    return nn.Sequential(MLP(2, seed=seed), Map(lambda logits: (logits[:, 1:] - logits[:, :1]).sigmoid()))


def stochastic(network: nn.Module, rate: float = 0.2) -> nn.Module:
    """Drops inputs at random, in eval mode too: a randomized defense."""
    return nn.Sequential(Map(lambda x: functional.dropout(x, rate, training=True)), network)


def _normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
