from __future__ import annotations

from pathlib import Path

import pytest

from saddlepoint.errors import DataError
from saddlepoint.zoo.data import load, names


def test_every_name_has_one_line() -> None:
    for name, line in names().items():
        assert name == name.strip().lower()
        assert 20 < len(line) < 100
        assert "\n" not in line


@pytest.mark.parametrize("name", ["digits", "fashion-mnist", "fashion-mnist-1k"])
def test_every_named_set_gives_checked_samples_of_its_classes(name: str) -> None:
    data = load(f"{name}[:20]")
    assert (len(data), len(data.classes), data.name) == (20, 10, f"{name}[:20]")
    assert 0 <= float(data.x.min()) < float(data.x.max()) <= 1
    assert int(data.y.max()) < 10


def test_spaces_around_a_specification_do_no_harm() -> None:
    assert load("  fashion-mnist-1k [:2] ").sha256 == load("fashion-mnist-1k[:2]").sha256


def test_a_seeded_sample_keeps_the_classes_even() -> None:
    data = load("fashion-mnist-1k[sample:500:7]")
    whole = load("fashion-mnist-1k").y.bincount() / 2
    assert (data.y.bincount() - whole).abs().max() < 1
    assert len(data) == 500


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fashon-mnist[:10]", r"no data called 'fashon-mnist' .did you mean fashion-mnist\?"),
        ("cifar10", "no data called 'cifar10'; known are digits, fashion-mnist"),
        ("", "no data called ''"),
        ("[:10]", "no data called ''"),
        ("absent.npz[:10", r"does not exist.*to select samples write NAME"),
        ("digits[5]", r"\[5\] is no selection"),
    ],
)
def test_unknown_names_and_malformed_specifications_name_the_way_out(spec: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(spec)


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.xls"
    path.write_text("1,2,3")
    with pytest.raises(DataError, match=r"files of kind .xls are not read"):
        load(str(path))
