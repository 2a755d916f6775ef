from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from saddlepoint.auditing import piece
from saddlepoint.auditing.piece import COLUMNS, Address, DamagedError, Evidence, Piece

ADDRESS = Address("linf:0.1", "01-pgd", 3)


def example() -> Piece:
    columns = {name: [1, 2] for name in COLUMNS.names}
    columns |= {"attack": ["pgd"] * 2, "status": ["held", "fooled"], "met": [False, True]}  # type: ignore[dict-item]
    columns |= {"progress": [[1.0, 0.5], None]}  # type: ignore[dict-item]
    x = torch.rand(1, 2, 3, 3)
    return Piece(columns, Evidence(torch.tensor([2]), x, x + 0.25))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    stored = example()
    piece.write(stored, ADDRESS, tmp_path, "key")
    table = piece.read(ADDRESS, tmp_path, "key")
    assert table is not None
    assert table.to_pydict() == stored.columns
    assert stored.evidence is not None
    x, x_adv = piece.one(ADDRESS, tmp_path, 2)
    assert torch.equal(x, stored.evidence.x[0])
    assert torch.equal(x_adv, stored.evidence.x_adv[0])


def test_the_layout_is_what_hive_readers_expect(tmp_path: Path) -> None:
    assert (
        str(ADDRESS.records(tmp_path).relative_to(tmp_path))
        == "results/threat=linf:0.1/stage=01-pgd/part-00003.parquet"
    )
    odd = Address("a/b c", "s", 0).inputs(tmp_path).relative_to(tmp_path)
    assert str(odd) == "inputs/threat=a%2Fb%20c/stage=s/part-00000.safetensors"


def test_a_piece_that_is_not_there(tmp_path: Path) -> None:
    assert piece.read(ADDRESS, tmp_path, "key") is None
    assert piece.evidence(ADDRESS, tmp_path) is None
    with pytest.raises(DamagedError, match="does not hold sample 2"):
        piece.one(ADDRESS, tmp_path, 2)


def test_inputs_are_written_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(Path(b).suffix), replace(a, b)))
    piece.write(example(), ADDRESS, tmp_path, "key")
    assert order == [".safetensors", ".parquet"]


def test_another_run_and_another_place_are_noticed(tmp_path: Path) -> None:
    piece.write(example(), ADDRESS, tmp_path, "key")
    with pytest.raises(DamagedError, match="belongs to another run or place"):
        piece.read(ADDRESS, tmp_path, "other key")
    moved = Address("linf:0.1", "01-pgd", 4)
    shutil.copy(ADDRESS.records(tmp_path), moved.records(tmp_path))
    with pytest.raises(DamagedError, match="belongs to another run or place"):
        piece.read(moved, tmp_path, "key")


def test_every_flipped_bit_is_noticed_or_harmless(tmp_path: Path) -> None:
    stored = example()
    piece.write(stored, ADDRESS, tmp_path, "key")
    for path in (ADDRESS.inputs(tmp_path), ADDRESS.records(tmp_path)):
        whole, noticed = path.read_bytes(), 0
        for place in range(0, len(whole), 29):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
            try:
                table = piece.read(ADDRESS, tmp_path, "key")
                assert table is not None
                assert table.to_pydict() == stored.columns
            except DamagedError:
                noticed += 1
        assert noticed > len(whole) / 29 / 3
        path.write_bytes(whole)
    assert piece.read(ADDRESS, tmp_path, "key") is not None


@pytest.mark.parametrize("kind", ["records", "inputs"])
def test_truncated_files_are_noticed_and_set_aside(tmp_path: Path, kind: str) -> None:
    piece.write(example(), ADDRESS, tmp_path, "key")
    path: Path = getattr(ADDRESS, kind)(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedError):
        piece.read(ADDRESS, tmp_path, "key")
    piece.set_aside(ADDRESS, tmp_path)
    assert piece.read(ADDRESS, tmp_path, "key") is None
    assert path.with_name(f"{path.name}.damaged").exists()


def test_missing_inputs_are_noticed(tmp_path: Path) -> None:
    piece.write(example(), ADDRESS, tmp_path, "key")
    ADDRESS.inputs(tmp_path).unlink()
    with pytest.raises(DamagedError, match="No such file"):
        piece.read(ADDRESS, tmp_path, "key")
