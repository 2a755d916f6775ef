from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import saddlepoint as sp
from saddlepoint.certificates import CertificateError, certify, smoothed, why_not
from saddlepoint.errors import DataError, OptionError, SaddlepointError, ThreatError
from saddlepoint.sets import L0, L1, L2, Linf


class Calls(nn.Module):
    """A network whose forward is given."""

    def __init__(self, call: Callable[[nn.Module, Tensor], Tensor], training: bool = False) -> None:
        super().__init__()
        self.call = call
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)
        self.train(training)

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self, x)


def mlp(*ends: nn.Module, dtype: torch.dtype = torch.float64, out: int = 3) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, out))
    return nn.Sequential(*layers, *ends).to(dtype)


X = torch.rand(20, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def test_radius_zero_certifies_exactly_what_is_classified_rightly() -> None:
    """n = 60 images in float32, where rounding is largest."""
    data = sp.zoo.data.load("fashion-mnist-1k[:60]")
    net = sp.zoo.load("fashion-standard")
    right = net(data.x).argmax(1) == data.y
    assert not bool(right.all())
    for threat in (Linf(0.0), L2(0.0), L1(0.0)):
        rows = slice(None) if isinstance(threat, Linf) else slice(0, 8)
        assert torch.equal(certify(net, data.x[rows], data.y[rows], threat).certified, right[rows])


def test_a_wrong_answer_is_not_certified_and_its_margin_not_positive() -> None:
    net, y = mlp(), mlp()(X).argmin(1)
    for method in ("auto", "ibp", "crown-ibp", "crown"):
        proof = certify(net, X, y, Linf(0.01), method=method)  # type: ignore[arg-type]
        assert not bool(proof.certified.any())
        assert bool((proof.margin <= 0).all())
        assert proof.share == 0


@pytest.mark.parametrize("threat", [Linf(0.05), L2(0.1), L1(0.2)])
def test_neither_batch_size_nor_company_nor_order_matters(threat: Linf) -> None:
    net, y = mlp(), mlp()(X).argmax(1)
    whole = certify(net, X, y, threat)
    for size in (1, 7):
        parts = certify(net, X, y, threat, batch_size=size)
        assert torch.allclose(parts.margin, whole.margin, atol=1e-9)
        assert parts.method == whole.method
    order = torch.arange(19, -1, -1)
    assert torch.allclose(certify(net, X[order], y[order], threat).margin[order], whole.margin, atol=1e-9)
    assert len(set(whole.method)) > 1


def test_each_sample_has_its_own_radius_and_mask() -> None:
    net, y = mlp(), mlp()(X).argmax(1)
    radii, masks = torch.linspace(0, 0.3, 20, dtype=torch.float64), X < 0.6
    for ball in (Linf, L2, L1):
        together = certify(net, X, y, ball(radii, mask=masks), method="crown").margin
        alone = [
            certify(
                net, X[i : i + 1], y[i : i + 1], ball(float(radii[i]), mask=masks[i : i + 1]), method="crown"
            ).margin
            for i in range(20)
        ]
        assert torch.allclose(together, torch.cat(alone), atol=1e-9)
        assert bool((together >= certify(net, X, y, ball(radii), method="crown").margin - 1e-9).all())


def test_nothing_allowed_to_change_is_certified_at_any_radius() -> None:
    net, y = mlp(), mlp()(X).argmax(1)
    none = torch.zeros(1, 4, dtype=torch.bool)
    assert certify(net, X, y, L2(5.0, mask=none)).share == 1


def test_the_box_of_the_model_counts() -> None:
    """Points in a corner of the box have less room: the margin is higher than in a box without bounds."""
    net, x = mlp(), torch.zeros(3, 4, dtype=torch.float64)
    y = net(x).argmax(1)
    for threat in (Linf(0.1), L2(0.2), L1(0.3)):
        inside = certify(net, x, y, threat).margin
        free = certify(sp.wrap(net, bounds=(-100, 100)), x, y, threat).margin
        assert bool((inside > free + 1e-3).all())


def test_the_wrapper_normalizes() -> None:
    net, mean, std = mlp(), [0.1, 0.4, 0.5, 0.2], [0.5, 0.25, 0.2, 0.4]
    wrapped = sp.wrap(net, mean=mean, std=std)
    first = nn.Linear(4, 8).double()
    weight, bias = net[0].weight.detach(), net[0].bias.detach()  # type: ignore[union-attr, operator]
    first.weight.data = weight / torch.tensor(std, dtype=torch.float64)
    first.bias.data = bias - first.weight.data @ torch.tensor(mean, dtype=torch.float64)
    folded = nn.Sequential(first, *list(net)[1:])
    y = folded(X).argmax(1)
    one, other = (certify(m, X, y, Linf(0.02)).margin for m in (wrapped, folded))
    assert torch.allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("end", [nn.Softmax(1), nn.LogSoftmax(-1)])
def test_a_softmax_at_the_end_changes_nothing(end: nn.Module) -> None:
    y = mlp()(X).argmax(1)
    plain, soft = (certify(m, X, y, Linf(0.02)) for m in (mlp(), mlp(end)))
    assert torch.allclose(plain.margin, soft.margin, atol=1e-9)


def test_a_single_score_tells_two_classes() -> None:
    y = (mlp(out=1)(X).squeeze(1) > 0).long()
    plain, soft = (certify(m, X, y, Linf(0.001)) for m in (mlp(out=1), mlp(nn.Sigmoid(), out=1)))
    assert torch.allclose(plain.margin, soft.margin, atol=1e-9)
    assert torch.allclose(certify(mlp(out=1), X, y, Linf(0.0)).margin, mlp(out=1)(X).squeeze(1).abs(), atol=1e-9)
    assert not bool(certify(mlp(out=1), X, 1 - y, Linf(0.0)).certified.any())


def test_precisions_differ_and_the_bound_holds_in_both() -> None:
    net, y = mlp(dtype=torch.float32), mlp()(X).argmax(1)
    exact = certify(mlp(), X, y, Linf(0.02)).margin
    for x in (X, X.float()):
        coarse = certify(net, x, y, Linf(0.02)).margin
        assert torch.allclose(coarse, exact, atol=1e-3)
    assert bool((certify(mlp(), X.float(), y, Linf(0.02)).margin > 0).any())


def test_nothing_is_left_behind() -> None:
    net = mlp(nn.Dropout(0.5), nn.BatchNorm1d(3)).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    certify(net, X, torch.zeros(20, dtype=torch.long), Linf(0.1))
    assert all(m.training for m in net.modules())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def add(m: nn.Module, x: Tensor) -> Tensor:
    return m.second(functional.relu(m.first(x), inplace=True) + torch.tanh(m.first(x)))  # type: ignore[operator, no-any-return]


UNDERSTOOD: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "sum": add,
    "functions": lambda m, x: functional.linear(x.view(x.size(0), -1).relu(), m.second.weight, m.second.bias),  # type: ignore[arg-type, union-attr]
    "constants": lambda m, x: 2 * m.second((1 - x) / torch.tensor([1.0, 2.0, 3.0, 4.0])) - 0.5,  # type: ignore[operator]
    "shape": lambda m, x: m.second(x.reshape(x.shape[0], 2, 2).flatten(1)),  # type: ignore[operator]
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_a_forward_writes_out_is_understood(name: str) -> None:
    net, x = Calls(UNDERSTOOD[name]), X.float()
    assert why_not(net, x) is None
    logits = net(x).detach()
    top = logits.topk(2, dim=1).values
    proof = certify(net, x, logits.argmax(1), Linf(0.0))
    assert torch.allclose(proof.margin.float(), top[:, 0] - top[:, 1], atol=1e-3)


def overwrite(m: nn.Module, x: Tensor) -> Tensor:
    z = m.first(x)  # type: ignore[operator]
    return m.second(functional.relu(z.view(-1, 4), inplace=True) + z)  # type: ignore[operator, no-any-return]


def quietly(m: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return m.second(m.first(x)).float()  # type: ignore[operator, no-any-return]


REFUSED: dict[str, tuple[Callable[[nn.Module, Tensor], Tensor], str]] = {
    "rounding": (lambda m, x: m.second(torch.round(16 * x) / 16), "round"),  # type: ignore[operator]
    "random constant": (lambda m, x: m.second(x + 0.1 * torch.randn(1, 4)), "answers differently"),  # type: ignore[operator]
    "random like": (lambda m, x: m.second(x + torch.randn_like(x)), "randn_like"),  # type: ignore[operator]
    "dropout on": (lambda m, x: m.second(functional.dropout(x)), "dropout.*drops at random"),  # type: ignore[operator]
    "branch": (lambda m, x: m.second(x) if x.sum() > 0 else m.second(-x), "cannot be traced.*branches"),  # type: ignore[operator]
    "product of layers": (lambda m, x: m.second(x * m.first(x)), "mul.*not multiplied"),  # type: ignore[operator]
    "divisor": (lambda m, x: m.second(1 / (x + 1)), "truediv.*divisor"),  # type: ignore[operator]
    "norm": (lambda m, x: m.second(x / x.norm()), "norm"),  # type: ignore[operator]
    "mixing samples": (lambda m, x: m.second(x.view(-1, 2).view(-1, 4).flip(0)), "view.*first axis|flip"),  # type: ignore[operator]
    "constants by sample": (lambda m, x: m.second((x + torch.ones(1, 1, 4)).squeeze(0)), "broadcast"),  # type: ignore[operator]
    "overwriting": (overwrite, "overwrites .* inplace=False"),
    "tuple": (lambda m, x: (m.second(x), x), "answers a tuple"),  # type: ignore[operator, return-value, dict-item]
    "clamp": (lambda m, x: m.second(x.clamp(0.1, 0.9)), "clamp"),  # type: ignore[operator]
    "half": (lambda m, x: m.second(x.half().float()), "half"),  # type: ignore[operator]
    "constant": (lambda m, x: torch.zeros((x.shape[0], 3)), "does not depend"),
    "keyword": (lambda m, x: functional.linear(input=x, weight=m.second.weight), "keyword"),  # type: ignore[union-attr, arg-type]
    "slope above one": (lambda m, x: m.second(functional.leaky_relu(x, 2.0)), "negative slope is 2.0"),  # type: ignore[operator]
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_bounded_is_refused_by_name(name: str) -> None:
    call, words = REFUSED[name]
    net, x = Calls(call), X[:3].float()
    with pytest.raises(CertificateError, match=words):
        certify(net, x, torch.zeros(3, dtype=torch.long), Linf(0.1))
    assert why_not(net, x)


class Stricter(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sin()


LAYERS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "unknown": (nn.Softshrink, "Softshrink.*none of the layers"),
    "layer norm": (lambda: nn.LayerNorm(4), "LayerNorm"),
    "subclass": (lambda: Stricter(4, 4), "sin"),
    "softmax inside": (lambda: nn.Softmax(1), "Softmax"),
}
CONVOLUTIONS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "statistics of the batch": (lambda: nn.BatchNorm2d(1, track_running_stats=False), "BatchNorm2d.*samples interact"),
    "circular": (lambda: nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), "padding_mode"),
    "ceil": (lambda: nn.MaxPool2d(2, ceil_mode=True), "ceil_mode"),
    "pad not counted": (lambda: nn.AvgPool2d(2, padding=1, count_include_pad=False), "count_include_pad"),
    "adaptive": (lambda: nn.AdaptiveAvgPool2d(3), "does not divide"),
    "same, even": (lambda: nn.Conv2d(1, 1, 2, padding="same"), "not symmetric"),
}


@pytest.mark.parametrize("name", [*LAYERS, *CONVOLUTIONS])
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_layers_no_bound_is_known_for_are_refused(name: str) -> None:
    layer, words = {**LAYERS, **CONVOLUTIONS}[name]
    net = (
        nn.Sequential(layer(), nn.Flatten(), nn.Linear(4, 3))
        if name in LAYERS
        else nn.Sequential(layer(), nn.Flatten(), nn.LazyLinear(3))
    )
    x = X.float() if name in LAYERS else torch.rand(3, 1, 4, 4)
    net(x)
    assert why_not(net, x) is not None
    with pytest.raises(CertificateError, match=words):
        certify(net, x, torch.zeros(len(x), dtype=torch.long), Linf(0.1))


def test_what_is_hidden_from_tracing_is_refused() -> None:
    hooked = mlp()
    handle = hooked[1].register_forward_hook(lambda module, args, out: out.round())
    with pytest.raises(CertificateError, match="has forward hooks"):
        certify(hooked, X, torch.zeros(20, dtype=torch.long), Linf(0.1))
    handle.remove()
    assert why_not(hooked, X) is None
    hooked[1].forward = functools.partial(torch.round)  # type: ignore[method-assign, assignment]
    assert "a forward of its own" in str(why_not(hooked, X))
    assert why_not(Calls(quietly), X.float()) is not None


def test_models_that_are_no_module_or_too_coarse_are_refused() -> None:
    assert "no torch.nn.Module" in str(why_not(sp.wrap(lambda x: x), X))
    assert "too coarse" in str(why_not(mlp(dtype=torch.bfloat16), X))
    assert "randomness" not in str(why_not(mlp(), X))
    masked = sp.zoo.load("fashion-masked")
    assert "round" in str(why_not(masked, torch.zeros(1, 1, 28, 28)))


def test_a_model_that_is_refused_can_be_smoothed() -> None:
    assert int(smoothed(Calls(REFUSED["rounding"][0]), X[:1].float(), sigma=0.05, n=50).label) >= -1


def test_questions_that_make_no_sense() -> None:
    net, y = mlp(), torch.zeros(20, dtype=torch.long)
    for threat, words in ((L0(3), "no certificate is known for L0"), ("linf:0.1", "a threat is a set")):
        with pytest.raises(ThreatError, match=words):
            certify(net, X, y, threat)  # type: ignore[arg-type]
    with pytest.raises(ThreatError, match="unbounded box"):
        certify(sp.wrap(net, bounds=(-float("inf"), float("inf"))), X, y, L2(float("inf")))
    with pytest.raises(ThreatError, match="20 samples"):
        certify(net, X, y, Linf(torch.zeros(3)))
    with pytest.raises(OptionError, match="no method 'milp'"):
        certify(net, X, y, Linf(0.1), method="milp")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="batch_size"):
        certify(net, X, y, Linf(0.1), batch_size=0)
    for wrong, words in ((y[:3], "3 labels"), (y.double(), "integers"), (y - 1, "over .-1, -1"), (y + 3, "3 classes")):
        with pytest.raises(DataError, match=words):
            certify(net, X, wrong, Linf(0.1))
    for x, words in ((X + 1, "outside the bounds"), (X[0], "at least one sample"), (X.long(), "float32 or float64")):
        with pytest.raises(DataError, match=words):
            certify(net, x, y, Linf(0.1))
    assert issubclass(CertificateError, SaddlepointError)
