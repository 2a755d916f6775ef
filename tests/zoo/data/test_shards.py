from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from saddlepoint.errors import DataError
from saddlepoint.zoo.data import load


def picture(value: int, side: int = 4) -> bytes:
    out = io.BytesIO()
    Image.new("L", (side, side), value).save(out, "png")
    return out.getvalue()


def pack(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


FILES = {
    "a/1.png": picture(10), "a/1.cls": b"2\n", "a/1.json": b"{}",
    "b/1.cls": b"0", "b/1.png": picture(20, side=8),
}  # fmt: skip


def test_files_of_one_name_are_a_sample(tmp_path: Path) -> None:
    path = pack(tmp_path / "some.tar", FILES)
    data = load(f"{path}?size=4&classes=x,y,z")
    assert data.y.tolist() == [2, 0]
    assert (data.x.amax((1, 2, 3)) * 255).round().tolist() == [10, 20]
    assert data.classes == ("x", "y", "z")


def test_many_archives_are_one_set_and_a_slice_reads_only_itself(tmp_path: Path) -> None:
    for k in range(9, 12):
        pack(tmp_path / f"s-{k:03d}.tar", {"0.png": picture(k), "0.cls": b"1", "1.png": b"damaged", "1.cls": b"0"})
    data = load(f"{tmp_path}/s-{{009..011}}.tar[::2]")
    assert (data.x[:, 0, 0, 0] * 255).round().tolist() == [9, 10, 11]
    assert data.ids.tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, r"no samples \(N = 0\); expected files NAME.jpg and NAME.cls"),
        ({"1.png": picture(1)}, "1 has an image and no label"),
        ({"1.cls": b"1"}, "1 has a label and no image"),
        ({"1.png": picture(1), "1.cls": b"cat"}, "1.cls holds b'cat', expected an integer"),
        ({"1.png": picture(1), "1.cls": b"-1"}, "label -1 is negative"),
        ({"1.png": picture(1), "1.jpg": picture(1), "1.cls": b"1"}, "two samples are called 1"),
        ({"1.png": b"nothing", "1.cls": b"1"}, "1.png is no readable image"),
        (FILES, "images must agree in size"),
    ],
)
def test_what_is_wrong_is_said_by_name(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load(str(pack(tmp_path / "some.tar", files)))


def test_archives_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    pack(tmp_path / "packed.tar", FILES, "w:gz")
    whole = pack(tmp_path / "whole.tar", FILES).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:700])
    for name in ("packed", "cut", "missing"):
        with pytest.raises(DataError, match=f"{name}.tar is no readable archive|{name}.tar: "):
            load(str(tmp_path / f"{name}.tar"))


def test_labels_beyond_the_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="label 2 has no name, only 2 classes are named"):
        load(f"{pack(tmp_path / 'some.tar', FILES)}?size=4&classes=x,y")
