from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from saddlepoint.errors import DataError
from saddlepoint.zoo.data import fashion, load

# SHA-256 of bytes 16..784016 of the official t10k-images-idx3-ubyte, and of bytes 8..1008 of its labels.
PIXELS = "8d46efb2efae7259de048298adb99140d06082b91c430833a54d7ce30f21c9c9"
LABELS = "86fea14d645de73ec2f8e0e859add59c557ccdf73e3e419692220b128c15ec47"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Fashion-MNIST; returns the folder of the user's data sets, still to be made."""
    monkeypatch.delenv(fashion.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(fashion, "SYSTEM", tmp_path / "system")
    return tmp_path / "datasets" / "fashion-mnist"


def test_the_packaged_thousand_are_the_official_first_thousand() -> None:
    source = fashion.thousand()
    assert source.x.shape == (1000, 1, 28, 28)
    assert hashlib.sha256(source.x.tobytes()).hexdigest() == PIXELS
    assert hashlib.sha256(source.y.astype(np.uint8).tobytes()).hexdigest() == LABELS


def test_the_packaged_thousand_are_balanced_enough_to_judge_by() -> None:
    counts = np.bincount(fashion.thousand().y)
    assert len(counts) == len(fashion.CLASSES) == 10
    assert counts.min() >= 80


def test_the_thousand_and_the_prefix_of_the_full_set_are_one_thing() -> None:
    # Where the full set is installed it answers from its own files, else from the package.
    few, prefix = load("fashion-mnist-1k"), load("fashion-mnist[:1000]")
    assert few.sha256 == prefix.sha256
    assert few.ids.tolist() == prefix.ids.tolist()
    assert few.classes == prefix.classes == fashion.CLASSES


def test_a_slice_inside_the_packaged_thousand_needs_no_installation(nowhere: Path) -> None:
    assert not nowhere.exists()
    data = load("fashion-mnist[100:200]")
    assert data.ids.tolist() == list(range(100, 200))
    assert data.y.tolist() == fashion.thousand().y[100:200].tolist()
    assert "packaged" in data.note


@pytest.mark.parametrize("spec", ["", "[:1001]", "[-5:]", "[sample:100:0]", "[::7]"])
def test_a_slice_beyond_it_says_what_to_install(nowhere: Path, spec: str) -> None:
    with pytest.raises(DataError, match=r"only its first 1000 of 10000 .*dataset-fashion-mnist.*SADDLEPOINT_FASH"):
        load("fashion-mnist" + spec)


def test_the_training_set_says_what_to_install(nowhere: Path) -> None:
    with pytest.raises(DataError, match="fashion-mnist-train is not installed: install the Debian package"):
        load("fashion-mnist-train[:10]")


def test_the_variable_comes_before_the_user_folder_before_the_system_folder(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fashion.find_folder() is None
    fashion.SYSTEM.mkdir()
    assert fashion.find_folder() == tmp_path / "system"
    nowhere.mkdir(parents=True)
    assert fashion.find_folder() == nowhere
    monkeypatch.setenv(fashion.VARIABLE, str(tmp_path))
    assert fashion.find_folder() == tmp_path


def test_a_variable_that_names_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fashion.VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(DataError, match=r"SADDLEPOINT_FASHION_MNIST=.*absent is no folder"):
        load("fashion-mnist[:10]")


def test_an_incomplete_folder_is_refused(nowhere: Path) -> None:
    nowhere.mkdir(parents=True)
    with pytest.raises(DataError, match=r"holds neither t10k-images-idx3-ubyte nor .*gz: install"):
        load("fashion-mnist[:10]")


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_of_a_user_folder_are_read(nowhere: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    images = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
    contents = idx(images), idx(np.array([7, 0, 9], dtype=np.uint8))
    sums = [hashlib.sha256(content).hexdigest() for content in contents]
    part = fashion.Part("some-images", sums[0], "some-labels", sums[1], 3)
    monkeypatch.setattr(fashion, "TEST", part)
    nowhere.mkdir(parents=True)
    for name, content in zip(("some-images", "some-labels"), contents, strict=True):
        (nowhere / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    data = load("fashion-mnist[1:]")
    assert data.y.tolist() == [0, 9]
    assert np.allclose(data.x.numpy()[:, 0] * 255, images[1:])


def test_files_that_are_not_the_official_ones_are_refused(nowhere: Path) -> None:
    nowhere.mkdir(parents=True)
    blank = idx(np.zeros((10_000, 28, 28), dtype=np.uint8))
    (nowhere / "t10k-images-idx3-ubyte").write_bytes(blank)
    with pytest.raises(DataError, match="not the official file"):
        load("fashion-mnist")
