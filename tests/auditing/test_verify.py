from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from saddlepoint.auditing import Audit
from saddlepoint.auditing.verify import _close

Make = Callable[..., Any]


def first_inputs(run: Path) -> Path:
    return sorted((run / "inputs").rglob("part-*.safetensors"))[0]


def test_a_true_record_verifies(whole: Audit) -> None:
    verified = whole.verify()
    claims = sum(r["met"] for r in whole.records.to_pylist() if r["attack"] != "clean")
    assert verified.ok
    assert verified.checked == claims > 30
    assert (verified.borderline, verified.faults) == (0, ())


@pytest.mark.parametrize("kind", ["inputs", "results"])
def test_a_flipped_bit_is_found(quick: Make, run: Path, kind: str) -> None:
    audited = quick(run)
    victim = sorted((run / kind).rglob("stage=0[1-4]*/part-*"))[0]
    content = bytearray(victim.read_bytes())
    place = -1 if kind == "inputs" else 40
    content[place] ^= 4
    victim.write_bytes(content)
    verified = audited.verify()
    assert not verified.ok
    assert len(verified.faults) == 1
    assert victim.name.rpartition(".")[0] in verified.faults[0]


def test_lost_records_are_found(quick: Make, run: Path) -> None:
    audited = quick(run)
    shutil.rmtree(sorted((run / "results").rglob("stage=01-*"))[0])
    faults = audited.verify().faults
    assert faults
    assert all("is not there as it was" in fault for fault in faults)


def forge(run: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Change stored inputs and make their checksum fit again, as a cheat would."""
    import hashlib

    import pyarrow.parquet as pq

    path = first_inputs(run)
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)
    records = Path(str(path).replace("/inputs/", "/results/")).with_suffix(".parquet")
    table = pq.read_table(records, partitioning=None)
    note = json.loads(table.schema.metadata[b"saddlepoint"])
    note["inputs_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    pq.write_table(table.replace_schema_metadata({b"saddlepoint": json.dumps(note)}), records)


def undo(tensors: dict[str, Tensor]) -> None:
    tensors["x_adv"][0] = tensors["x"][0]


def exaggerate(tensors: dict[str, Tensor]) -> None:
    tensors["x_adv"][0] = (tensors["x"][0] + 3 * (tensors["x_adv"][0] - tensors["x"][0])).clamp(0, 1)


def leave(tensors: dict[str, Tensor]) -> None:
    tensors["x_adv"][0, 0, 0, 0] = 1.01


def swap(tensors: dict[str, Tensor]) -> None:
    tensors["x"][0] = tensors["x"][0].flip(-1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (undo, "predicted was"),
        (exaggerate, "its perturbation is larger than recorded"),
        (exaggerate, "its perturbation is larger than the radius"),
        (leave, "it leaves the bounds"),
        (swap, "its clean input is not that of the data"),
    ],
)
def test_forged_inputs_with_a_right_checksum_are_found(
    quick: Make, run: Path, change: Callable[[dict[str, Tensor]], None], says: str
) -> None:
    audited = quick(run)
    forge(run, change)
    faults = audited.verify().faults
    assert any(says in fault for fault in faults), faults
    assert all(fault.startswith("sample ") for fault in faults)


def test_another_model_does_not_verify(quick: Make, network: Make) -> None:
    model = network()
    audited = quick(model=model)
    with torch.no_grad():
        model[3].weight.neg_()
    assert any("a fresh forward says" in fault for fault in audited.verify().faults)


def test_a_model_that_answers_at_random_does_not_verify(quick: Make, network: Make) -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.asked = network(), 0

        def forward(self, x: Tensor) -> Tensor:
            self.asked += 1
            answer: Tensor = self.network(x)
            return answer + 3 * torch.randn(answer.shape, generator=torch.Generator().manual_seed(self.asked))

    assert not quick(model=Noisy()).verify().ok


def test_two_equal_logits_are_a_matter_of_rounding() -> None:
    logits = torch.tensor([1.0, 2.0, 2.0 + 1e-6, -7.0])
    assert _close(logits, 1)
    assert not _close(logits, 0)
    assert not _close(logits, -1)
