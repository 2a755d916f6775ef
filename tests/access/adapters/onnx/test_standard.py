"""Every case of the ONNX standard's own tests of single operators: known inputs, known outputs."""

import functools
import warnings

import numpy as np
import pytest
import torch

from saddlepoint.access.adapters.onnx.graph import parse
from saddlepoint.access.adapters.onnx.network import OnnxNetwork
from saddlepoint.access.adapters.onnx.node import OPERATORS

NOT_COMPARED = {
    "bernoulli": "random numbers, each library its own",
    "training_dropout": "networks are attacked as they answer in use",
    "training_mode": "networks are attacked as they answer in use",
    "col2im_5d": "two dimensions only",
    "bitwise_not_3d": "unsigned numbers are taken one size larger",
    "empty_set": "the largest of nothing",
    "scan_sum": "Scan before version 9",
    "scales_linear_align_corners": "onnxruntime rounds the length before, the standard does not",
    "scales_cubic_align_corners": "onnxruntime rounds the length before, the standard does not",
    "quantizelinear_blocked_symmetric": "16-bit integers by blocks",
    "_window": "attention through a window",
    "_opt": "optional values",
    "seq_none": "optional values",
    "BFLOAT16": "no numpy type",
    "bf16": "no numpy type",
}
PLAIN = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64"}
LEAST = 1300
"""So many cases are compared at least: fewer would say that operators got lost."""


@functools.cache
def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {case.name: case for case in collect_testcases(None)}
    return {name: case for name, case in found.items() if comparable(case)}


def comparable(case):
    if any(word in case.name for word in NOT_COMPARED):
        return False
    arrays = [np.asarray(a) for ins, outs in case.data_sets for a in (*ins, *outs) if not isinstance(a, list)]
    known = all((node.domain, node.op_type) in OPERATORS for node in case.model.graph.node)
    return known and all(a.dtype.name in PLAIN for a in arrays) and not case.model.functions


def tensor(value):
    return [tensor(v) for v in value] if isinstance(value, list) else torch.from_numpy(np.array(value))


@pytest.mark.parametrize("part", range(8))
def test_the_cases_of_the_standard(part):
    wrong = []
    for name in sorted(cases())[part::8]:
        case = cases()[name]
        graph = parse(case.model)
        for given, expected in case.data_sets:
            named = {p.name: tensor(v) for p, v in zip(case.model.graph.input, given, strict=False)}
            for port, right in zip(case.model.graph.output, expected, strict=True):
                try:
                    compare(OnnxNetwork(graph, name, port.name, {})(named or {"": torch.zeros(1)}), right, case)
                except Exception as error:
                    wrong.append(f"{name}: {type(error).__name__} {' '.join(str(error).split())[:200]}")
    assert not wrong, "\n".join(wrong)


def compare(own, right, case):
    if isinstance(right, list):
        assert len(own) == len(right)
        for one, other in zip(own, right, strict=True):
            compare(one, other, case)
        return
    own, right = own.detach().numpy(), np.asarray(right)
    assert own.shape == right.shape
    half = right.dtype == np.float16
    tolerance = max(case.rtol, 2e-3 if half else 1e-4)
    np.testing.assert_allclose(own.astype(complex), right.astype(complex), rtol=tolerance, atol=1e-3 if half else 1e-5)


def test_nearly_all_of_them_are_compared():
    assert len(cases()) >= LEAST
