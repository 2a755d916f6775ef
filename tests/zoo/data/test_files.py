from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from saddlepoint.errors import DataError
from saddlepoint.zoo.data import load

X = np.linspace(0, 1, 4 * 1 * 5 * 5, dtype=np.float32).reshape(4, 1, 5, 5)
Y = np.array([0, 2, 1, 2])


def npz(folder: Path, **content: Any) -> Path:
    path = folder / "some.npz"
    np.savez_compressed(path, **content)
    return path


def test_npz_is_read_with_slices(tmp_path: Path) -> None:
    path = npz(tmp_path, x=X, y=Y)
    data = load(str(path))
    assert np.array_equal(data.x.numpy(), X)
    assert data.classes == ("0", "1", "2")
    part = load(f"{path}[1::2]")
    assert (part.ids.tolist(), part.y.tolist()) == ([1, 3], [2, 2])
    assert part.name == f"{path}[1::2]"


def test_npz_may_name_its_classes(tmp_path: Path) -> None:
    path = npz(tmp_path, x=X, y=Y, classes=np.array(["cat", "dog", "eel"]))
    assert load(str(path)).classes == ("cat", "dog", "eel")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_safetensors_are_read_with_slices(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "some.safetensors"
    x = torch.tensor([[0.0, 0.5], [1.0, 0.25], [0.125, 0.75]])
    save_file({"x": x.to(dtype), "y": torch.tensor([0, 1, 0])}, path)
    data = load(f"{path}[1:]")
    assert torch.equal(data.x, x[1:])
    assert data.y.tolist() == [1, 0]


def test_safetensors_of_bytes_are_divided_by_255(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"x": torch.tensor([[0, 255]], dtype=torch.uint8), "y": torch.tensor([0])}, path)
    assert load(str(path)).x.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("name", ["absent.npz", "absent.safetensors", "absent/folder"])
def test_a_missing_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name} does not exist"):
        load(str(tmp_path / name))


@pytest.mark.parametrize("keep", [0, 3, 100, -30, -1])
def test_a_truncated_npz_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = npz(tmp_path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"some.npz is no readable npz of plain arrays"):
        load(str(path))


def test_a_damaged_npz_is_one_clear_error(tmp_path: Path) -> None:
    path = npz(tmp_path, x=np.random.default_rng(0).random((50, 9)), y=np.arange(50))
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"some.npz is no readable npz of plain arrays"):
        load(str(path))


def test_an_npz_that_is_something_else_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    with path.open("wb") as file:
        np.save(file, X)
    with pytest.raises(DataError, match=r"some.npz is no readable npz of plain arrays"):
        load(str(path))


class Bomb:
    """Writes a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    path = npz(tmp_path, x=np.array([Bomb(tmp_path / "exploded")], dtype=object), y=Y[:1])
    with pytest.raises(DataError, match="pickled"):
        load(str(path))
    assert not (tmp_path / "exploded").exists()


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    path = npz(tmp_path, images=X, y=Y)
    with pytest.raises(DataError, match="holds images, y, but no x: name the arrays x and y"):
        load(str(path))


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="holds weight, but no x and no y"):
        load(str(path))


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_truncated_safetensors_are_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"x": torch.zeros(3, 2), "y": torch.zeros(3, dtype=torch.int64)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="no readable safetensors file"):
        load(str(path))


def test_what_is_stored_is_checked_like_everything_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one-hot"):
        load(str(npz(tmp_path, x=X, y=np.eye(3)[Y])))
    with pytest.raises(DataError, match="channels last"):
        load(str(npz(tmp_path, x=np.zeros((4, 9, 9, 3), dtype=np.uint8), y=Y)))
    with pytest.raises(DataError, match=r"0..255 stored as floats"):
        load(str(npz(tmp_path, x=255 * X, y=Y)))
    with pytest.raises(DataError, match="NaN"):
        load(str(npz(tmp_path, x=np.where(X > 0.5, np.nan, X), y=Y)))
    with pytest.raises(DataError, match="N = 0"):
        load(str(npz(tmp_path, x=X[:0], y=Y[:0])))


def test_a_file_of_another_kind_is_told_without_advice_to_unpickle(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match="it is no zip archive, or holds objects that would be unpickled") as told:
        load(str(tmp_path / "text.npz"))
    assert "allow_pickle" not in str(told.value)
