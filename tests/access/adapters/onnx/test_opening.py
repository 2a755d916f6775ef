import sys
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import saddlepoint as sp
from saddlepoint.access.adapters.onnx import from_onnx, operators
from saddlepoint.access.adapters.onnx.node import OPERATORS, Operator
from saddlepoint.auditing.spec import weights_digest
from saddlepoint.errors import ModelError, OptionError
from saddlepoint.zoo.opening import open_model

FLOAT = TensorProto.FLOAT


def value(name, *shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def save(path, nodes, inputs, outputs, constants=None, opset=17, more=()):
    stored = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    sets = [helper.make_opsetid("", opset), *more]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), str(path))
    return path


def exported(network, x, path, opset=17, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), (x,), str(path), dynamo=False, opset_version=opset, input_names=["x"], **options
        )
    return path


@pytest.fixture
def weights():
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def images():
    return sp.zoo.data.load("fashion-mnist-1k[:12]")


def linear(path, weights, ending=None, opset=17, **attributes):
    """A file with x [n, 6] @ weights, and an operator behind it."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"])]
    nodes += [helper.make_node(ending, ["z"], ["y"], **attributes)] if ending else []
    out = value("y" if ending else "z", "n", weights.shape[1])
    return save(path, nodes, [value("x", "n", 6)], [out], {"w": weights.numpy()}, opset)


@pytest.mark.parametrize("name", ["fashion-standard", "fashion-pgd-l2"])
@pytest.mark.parametrize("opset", [9, 13, 17])
def test_a_file_of_one_image_takes_many(tmp_path, images, name, opset):
    network = sp.zoo.load(name).eval()
    opened = open_model(str(exported(network, torch.zeros(1, 1, 28, 28), tmp_path / "net.onnx", opset)))
    torch.testing.assert_close(opened(images.x), network.eval()(images.x), rtol=1e-4, atol=1e-4)
    assert opened.way == "at once"


def test_attacks_find_the_same_through_the_file(tmp_path, images):
    network = sp.zoo.load("fashion-pgd-linf").double()
    opened = from_onnx(exported(network.float(), torch.zeros(1, 1, 28, 28), tmp_path / "net.onnx"))
    own, file = (
        sp.attacks.pgd(sp.wrap(m), images.x, images.y, sp.Linf(0.1), steps=5) for m in (network.eval(), opened)
    )
    assert own.met.tolist() == file.met.tolist()
    assert (own.x_adv - file.x_adv).abs().max() <= 0.1
    assert opened.network.extra_repr().endswith("nodes")


def test_a_batch_that_is_written_into_a_shape_is_mapped_over(tmp_path, weights):
    nodes = [
        helper.make_node("Reshape", ["x", "two"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    path = save(
        tmp_path / "net.onnx", nodes, [value("x", 2, 2, 3)], [value("y", 2, 4)],
        {"w": weights.numpy(), "two": np.array([2, 6])},
    )  # fmt: skip
    opened, x = from_onnx(path), torch.randn(5, 2, 3, requires_grad=True)
    out = opened(x)
    assert opened.way == "mapped"
    torch.testing.assert_close(out, x.flatten(1) @ weights)
    torch.testing.assert_close(torch.autograd.grad(out.sum(), x)[0], weights.sum(1).view(2, 3).expand(5, 2, 3))
    black = from_onnx(path, access="scores")
    torch.testing.assert_close(black(x), out)


def branching(path, weights):
    """A file of one sample a batch: -z where the sum of x is positive, else exp(z), z = x @ weights."""
    branches = [
        helper.make_graph([helper.make_node(op, ["z"], [name])], name, [], [value(name, 1, 4)])
        for name, op in (("a", "Neg"), ("b", "Exp"))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    constants = {"w": weights.numpy(), "zero": np.float32(0)}
    return save(path, nodes, [value("x", 1, 6)], [value("y", 1, 4)], constants)


def test_a_branch_that_depends_on_the_sample_is_taken_for_each(tmp_path, weights):
    opened = from_onnx(branching(tmp_path / "net.onnx", weights))
    x = torch.cat([torch.ones(1, 6), -torch.ones(1, 6), torch.ones(1, 6)])
    z = x @ weights
    torch.testing.assert_close(opened(x), torch.stack([-z[0], z[1].exp(), -z[2]]))
    assert opened.way == "in turn"


def reduced(path, op, weights):
    """A file of one sample a batch that divides it by a number taken from all of it."""
    nodes = [
        helper.make_node(op, ["x"], ["r"], keepdims=0),
        helper.make_node("Div", ["x", "r"], ["z"]),
        helper.make_node("MatMul", ["z", "w"], ["y"]),
    ]
    return save(path, nodes, [value("x", 1, 6)], [value("y", 1, 4)], {"w": weights.numpy()})


@pytest.mark.parametrize(("op", "reduce"), [("ReduceMax", torch.amax), ("ReduceMean", torch.mean), ("ReduceL2", None)])
def test_what_a_sample_is_divided_by_is_its_own_also_where_the_first_comes_alone(tmp_path, weights, op, reduce):
    opened = from_onnx(reduced(tmp_path / "net.onnx", op, weights))
    x = torch.rand(5, 6, generator=torch.Generator().manual_seed(1)) + 0.1
    opened(x[:1])
    size = x.norm(dim=1) if reduce is None else reduce(x, 1)
    torch.testing.assert_close(opened(x), x / size[:, None] @ weights)


def test_a_branch_on_the_sample_is_found_also_where_both_first_ones_take_the_same(tmp_path, weights):
    opened = from_onnx(branching(tmp_path / "net.onnx", weights))
    x = torch.cat([torch.ones(1, 6), -torch.ones(1, 6)])
    opened(x[:1])
    torch.testing.assert_close(opened(x), torch.stack([-(x @ weights)[0], (x @ weights)[1].exp()]))


def test_labels_beside_the_scores_are_passed_over_and_alone_are_refused(tmp_path, weights):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=1),
    ]
    label, scores = value("label", "n", 1, kind=TensorProto.INT64), value("p", "n", 4)
    both = save(tmp_path / "both.onnx", nodes, [value("x", "n", 6)], [label, scores], {"w": weights.numpy()})
    torch.testing.assert_close(from_onnx(both)(torch.ones(3, 6)), torch.ones(3, 6) @ weights)
    alone = save(tmp_path / "alone.onnx", nodes, [value("x", "n", 6)], [label], {"w": weights.numpy()})
    with pytest.raises(ModelError, match=r"answers 'label', of whole numbers: labels, and no scores.* \?output=NAME"):
        from_onnx(alone)
    torch.testing.assert_close(from_onnx(alone, output="p")(torch.ones(3, 6)), torch.ones(3, 6) @ weights)


@pytest.mark.parametrize(("ending", "opset"), [("Softmax", 11), ("Softmax", 17), ("LogSoftmax", 17)])
def test_logits_are_taken_from_before_a_last_softmax(tmp_path, weights, ending, opset):
    x = torch.randn(3, 6)
    opened = from_onnx(linear(tmp_path / "net.onnx", 100 * weights, ending, opset))
    torch.testing.assert_close(opened(x), x @ (100 * weights))
    black = from_onnx(tmp_path / "net.onnx", access="scores")
    right = (x @ (100 * weights)).softmax(1) if ending == "Softmax" else (x @ (100 * weights)).log_softmax(1)
    torch.testing.assert_close(black(x), right, atol=1e-4, rtol=1e-4)


def test_one_logit_is_taken_from_before_a_last_sigmoid(tmp_path, weights):
    x = torch.randn(3, 6)
    opened = from_onnx(linear(tmp_path / "net.onnx", weights[:, :1], "Sigmoid"))
    torch.testing.assert_close(opened(x), x @ weights[:, :1])
    assert sp.wrap(opened)(x).shape == (3, 2)


def test_channels_last_is_told_from_the_file(tmp_path):
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2], keepdims=0)]
    path = save(tmp_path / "net.onnx", nodes, [value("x", "n", 8, 9, 3)], [value("y", "n", 3)], opset=13)
    x = torch.rand(2, 3, 8, 9)
    torch.testing.assert_close(from_onnx(path)(x), x.mean((2, 3)))


def test_other_inputs_are_given_with_the_name(tmp_path, weights):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Mul", ["z", "factor"], ["y"]),
    ]
    inputs = [value("x", "n", 6), value("factor")]
    path = save(tmp_path / "net.onnx", nodes, inputs, [value("y", "n", 4), value("z", "n", 4)], {"w": weights.numpy()})
    x = torch.randn(2, 6)
    torch.testing.assert_close(open_model(f"{path}?factor=3")(x), 3 * x @ weights)
    torch.testing.assert_close(open_model(f"{path}?factor=3&output=z")(x), x @ weights)
    for spec, words in {
        f"{path}": r"takes 'factor' beside 'x': give each a value, such as net.onnx\?factor=0",
        f"{path}?factor=3&other=1": "has no other input 'other'; it has factor",
        f"{path}?factor=3&output=q": "has no output 'q'; it has 'y', 'z'",
        f"{path}?factor=3&input=q": "has no input 'q'; it has 'x', 'factor'",
    }.items():
        with pytest.raises(ModelError, match=words):
            open_model(spec)
    with pytest.raises(OptionError, match="and numbers for other inputs"):
        open_model(f"{path}?factor=three")


def test_a_branch_whose_condition_is_given_takes_its_place(tmp_path, weights):
    def branch(name, op):
        return helper.make_graph([helper.make_node(op, ["z"], [name])], name, [], [value(name, "n", 4)])

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Equal", ["rate", "wanted"], ["fits"]),
        helper.make_node("If", ["fits"], ["y"], then_branch=branch("a", "Neg"), else_branch=branch("b", "Exp")),
    ]
    inputs = [value("x", "n", 6), value("rate", kind=TensorProto.INT64)]
    constants = {"w": weights.numpy(), "wanted": np.int64(16000)}
    path = save(tmp_path / "net.onnx", nodes, inputs, [value("y", "n", 4)], constants)
    opened, x = open_model(f"{path}?rate=16000"), torch.randn(3, 6)
    torch.testing.assert_close(opened(x), -(x @ weights))
    assert opened.way == "at once"
    torch.testing.assert_close(open_model(f"{path}?rate=8000")(x), (x @ weights).exp())


def test_an_unknown_operator_is_named_and_can_be_attacked_without_slopes(tmp_path):
    node = helper.make_node(
        "Scaler", ["x"], ["y"], name="first", domain="ai.onnx.ml", offset=[1.0] * 6, scale=[2.0] * 6
    )
    path = save(
        tmp_path / "net.onnx", [node], [value("x", "n", 6)], [value("y", "n", 6)],
        more=[helper.make_opsetid("ai.onnx.ml", 3)],
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"ai.onnx.ml.Scaler 'first' \(version 3\) is an operator.*--access scores"):
        from_onnx(path)
    x = torch.randn(2, 6)
    torch.testing.assert_close(from_onnx(path, access="scores")(x), 2 * (x - 1))


def test_an_operator_of_ones_own_is_no_black_box_of_onnxruntime(tmp_path):
    node = helper.make_node("Secret", ["x"], ["y"], name="first", domain="my.company")
    path = save(
        tmp_path / "net.onnx", [node], [value("x", "n", 6)], [value("y", "n", 6)],
        more=[helper.make_opsetid("my.company", 1)],
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"my.company.Secret 'first' .* onnxruntime does not know my.company either"):
        from_onnx(path)


def test_an_operator_that_cannot_run_is_named_with_its_shapes(tmp_path, weights):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"])]
    inputs, outputs = [value("x", "n", "features")], [value("z", "n", 4)]
    opened = from_onnx(save(tmp_path / "net.onnx", nodes, inputs, outputs, {"w": weights.numpy()}))
    told = r"takes samples \[any\], as its input 'x' is declared; those given are \[5\]: MatMul 'z' cannot be run on "
    with pytest.raises(ModelError, match=told + r"\[1, 5\], \[6, 4\]: "):
        opened(torch.zeros(2, 5))


SHAPES = [
    ((1, 28, 28), (3, 28, 28), r" \(behind .* \?size=28&color=gray brings them there\)"),
    ((3, 20, 24), (3, 24, 20), r" \(behind .* \?size=20x24&color=rgb brings them there\)"),
    ((20, 24, 3), (1, 20, 24), r" \(behind .* \?size=20x24&color=rgb brings them there\)"),
    ((1, 28, 28), (784,), "$"),
    ((6,), (5,), ": "),
]


@pytest.mark.parametrize("access", ["gradients", "scores"])
@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize(("declared", "given", "way_out"), SHAPES)
def test_samples_of_another_shape_than_declared_are_told_with_both(tmp_path, declared, given, way_out, batch, access):
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z"])]
    weights = {"w": np.zeros((int(np.prod(declared)), 2), np.float32)}
    path = save(tmp_path / "net.onnx", nodes, [value("x", batch, *declared)], [value("z", batch, 2)], weights)
    opened = from_onnx(path, access=access)
    shapes = [str(list(shape)).replace("[", r"\[").replace("]", r"\]") for shape in (declared, given)]
    told = rf"net.onnx takes samples {shapes[0]}, as its input 'x' is declared; those given are {shapes[1]}{way_out}"
    with pytest.raises(ModelError, match=told):
        opened(torch.zeros(2, *given))
    assert opened(torch.zeros(3, *declared)).shape == (3, 2)


def test_a_graph_that_runs_on_other_sizes_than_it_declares_is_taken(tmp_path):
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["z"]),
    ]  # fmt: skip
    opened = from_onnx(save(tmp_path / "net.onnx", nodes, [value("x", "n", 3, 8, 8)], [value("z", "n", 3)]))
    x = torch.rand(2, 3, 11, 9)
    torch.testing.assert_close(opened(x), x.mean((2, 3)))


@pytest.mark.parametrize("access", ["gradients", "scores"])
def test_a_file_tells_itself_from_others_by_all_that_is_taken_of_it(tmp_path, weights, access):
    first, second = (linear(tmp_path / name, w) for name, w in {"a.onnx": weights, "b.onnx": 2 * weights}.items())
    same = linear(tmp_path / "c.onnx", weights)
    assert len({weights_digest(from_onnx(path, access=access)) for path in (first, second, same)}) == 2


def test_answers_that_differ_from_onnxruntime_are_no_answers(tmp_path, weights, monkeypatch):
    path = linear(tmp_path / "net.onnx", weights, "Exp")
    wrong = Operator(lambda node, x: 1.01 * torch.exp(x), (), False, False)
    monkeypatch.setitem(OPERATORS, ("", "Exp"), wrong)
    with pytest.raises(ModelError, match=r"answer differently to the first sample .* with --access scores"):
        from_onnx(path)(torch.randn(2, 6))


def test_files_that_are_none(tmp_path, weights, monkeypatch):
    path = linear(tmp_path / "net.onnx", weights)
    cut, other = tmp_path / "cut.onnx", tmp_path / "other.onnx"
    cut.write_bytes(path.read_bytes()[:60])
    other.write_bytes(b"")
    for file in (cut, other):
        with pytest.raises(ModelError, match="is no whole ONNX file"):
            from_onnx(file)
    with pytest.raises(ModelError, match="no file at"):
        from_onnx(tmp_path / "none.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"pip install 'saddlepoint\[onnx\]'"):
        from_onnx(path)


def test_integers_alone_cannot_be_changed_by_a_little(tmp_path):
    nodes = [helper.make_node("Gather", ["w", "x"], ["y"])]
    path = save(
        tmp_path / "net.onnx", nodes, [value("x", "n", kind=TensorProto.INT64)], [value("y", "n", 4)],
        {"w": np.zeros((9, 4), np.float32)},
    )  # fmt: skip
    with pytest.raises(ModelError, match="takes no floating-point numbers"):
        from_onnx(path)


@pytest.mark.parametrize("last", [False, True])
def test_a_file_that_takes_bytes_is_attacked_in_the_unit_cube(tmp_path, last):
    shape = (6, 5, 3) if last else (3, 6, 5)
    w = torch.randn(90, 3, generator=torch.Generator().manual_seed(0))
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=FLOAT),
        helper.make_node("Flatten", ["f"], ["z"]),
        helper.make_node("MatMul", ["z", "w"], ["y"]),
    ]
    into, out = value("x", 1, *shape, kind=TensorProto.UINT8), value("y", 1, 3)
    path = save(tmp_path / "net.onnx", nodes, [into], [out], {"w": w.numpy()})
    x = torch.rand(4, 3, 6, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    laid = x.movedim(1, -1) if last else x
    network = from_onnx(path)
    torch.testing.assert_close(network(x), (laid * 255).round().flatten(1) @ w, rtol=1e-4, atol=1e-3)
    slope = torch.autograd.grad(network(x)[:, 0].sum(), x)[0]
    torch.testing.assert_close(slope, torch.autograd.grad((255 * laid).flatten(1).matmul(w)[:, 0].sum(), x)[0])
    torch.testing.assert_close(from_onnx(path, access="scores")(x), network(x), rtol=1e-4, atol=1e-3)
    y = network(x).argmax(1)
    assert bool(sp.attacks.pgd(network, x.detach(), y, sp.Linf(0.2), steps=10).met.all())


def test_rounding_to_types_that_are_not_known_is_refused(tmp_path, weights):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=TensorProto.INT4),
        helper.make_node("DequantizeLinear", ["q", "s"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["y"]),
    ]
    constants = {"w": weights.numpy(), "s": np.float32(0.1)}
    path = save(tmp_path / "net.onnx", nodes, [value("x", "n", 6)], [value("y", "n", 4)], constants, opset=21)
    with pytest.raises(ModelError, match=r"QuantizeLinear 'q' cannot be run .* numbers of 4 bits or to short floats"):
        from_onnx(path)(torch.ones(2, 6))


def test_double_precision_all_the_way(tmp_path, weights):
    nodes = [
        helper.make_node("Cast", ["x"], ["same"], to=FLOAT),
        helper.make_node("MatMul", ["same", "w"], ["z"]),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Mul", ["z", "half"], ["y"]),
    ]
    path = save(tmp_path / "net.onnx", nodes, [value("x", "n", 6)], [value("y", "n", 4)], {"w": weights.numpy()})
    opened, x = from_onnx(path).double(), torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(opened(x), 0.5 * x @ weights.double(), rtol=1e-14, atol=1e-14)


def test_what_a_file_holds_can_be_trained(tmp_path, weights):
    opened, x = from_onnx(linear(tmp_path / "net.onnx", weights)), torch.randn(8, 6)
    start = opened(x).square().mean()
    torch.optim.SGD(opened.parameters(), 0.1).step(lambda: _backward(opened(x).square().mean()))
    assert opened(x).square().mean() < start


def _backward(loss):
    loss.backward()
    return loss


def test_every_family_of_operators_is_registered():
    assert len(OPERATORS) > 180
    assert set(operators.__all__) >= {"convolution", "recurrent", "quantization"}


NETWORKS = {
    "attention": lambda: nn.Sequential(nn.Linear(6, 8), _View(2, 4), _Encoder(), nn.Flatten(), nn.Linear(8, 3)),
    "recurrent": lambda: nn.Sequential(_View(3, 2), _Last(nn.GRU(2, 5, batch_first=True)), nn.Linear(5, 3)),
    "lstm": lambda: nn.Sequential(
        _View(3, 2), _Last(nn.LSTM(2, 5, bidirectional=True, batch_first=True)), nn.Linear(10, 3)
    ),
}


class _View(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.view(x.shape[0], *self.shape)


class _Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(4), nn.Linear(4, 12)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        return x + (q @ k.transpose(1, 2) / 2).softmax(-1) @ v


class _Last(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)[0][:, -1]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("opset", [8, 11, 14, 17, 20])
def test_networks_through_their_files(tmp_path, name, opset):
    torch.manual_seed(0)
    network, x = NETWORKS[name]().eval(), torch.randn(4, 6, requires_grad=True)
    opened = from_onnx(exported(network, torch.randn(1, 6), tmp_path / "net.onnx", opset))
    torch.testing.assert_close(opened(x), network.eval()(x), rtol=1e-4, atol=1e-5)
    slopes = [torch.autograd.grad(m(x)[:, 0].sum(), x)[0] for m in (opened, network)]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-5)
