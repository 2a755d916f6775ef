from __future__ import annotations

import gzip
import io
import json
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


def test_images_whose_names_hold_a_dot_do_not_vanish(tmp_path: Path) -> None:
    beside = pack(tmp_path / "beside.tar", {**FILES, "b/1.mask.png": picture(30)})
    assert len(load(f"{beside}?size=4").y) == 2
    odd = pack(tmp_path / "odd.tar", {**FILES, "c/1.5.png": picture(30), "c/1.5.cls": b"0"})
    with pytest.raises(DataError, match=r"c/1.5.png belongs to no sample: .* ends at its first dot, so write _"):
        load(str(odd))


def test_many_archives_are_one_set_and_a_slice_reads_only_itself(tmp_path: Path) -> None:
    for k in range(9, 12):
        pack(tmp_path / f"s-{k:03d}.tar", {"0.png": picture(k), "0.cls": b"1", "1.png": b"damaged", "1.cls": b"0"})
    data = load(f"{tmp_path}/s-{{009..011}}.tar[::2]")
    assert (data.x[:, 0, 0, 0] * 255).round().tolist() == [9, 10, 11]
    assert data.ids.tolist() == [0, 2, 4]


def gz(content: bytes) -> bytes:
    return gzip.compress(content)


def said(**entries: object) -> bytes:
    return json.dumps(entries).encode()


@pytest.mark.parametrize(
    "files",
    [
        {"1.png": picture(10), "1.json": said(label=2), "2.png": picture(20), "2.json": said(label=0)},
        {"1.png.gz": gz(picture(10)), "1.cls.gz": gz(b"2"), "2.png": picture(20), "2.json.gz": gz(said(cls=0))},
        {"1.png": picture(10), "1.json": said(label=5), "1.cls": b"2", "2.png": picture(20), "2.cls": b"0"},
    ],
    ids=["json", "packed", "cls before json"],
)
def test_labels_may_lie_in_json_and_files_may_be_packed(tmp_path: Path, files: dict[str, bytes]) -> None:
    data = load(str(pack(tmp_path / "some.tar", files)))
    assert data.y.tolist() == [2, 0]
    assert (data.x.amax((1, 2, 3)) * 255).round().tolist() == [10, 20]


def test_labels_in_json_may_be_text_and_have_any_name(tmp_path: Path) -> None:
    names = ("dog", "cat", "dog")
    files = {f"{k}.png": picture(k) for k in range(3)} | {f"{k}.json": said(kind=n) for k, n in enumerate(names)}
    path = pack(tmp_path / "some.tar", files | {"0.cls": b"7"})
    data = load(f"{path}?label=kind")
    assert (data.y.tolist(), data.classes) == ([1, 0, 1], ("cat", "dog"))
    assert load(f"{path}?label=kind&classes=dog,eel,cat").y.tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("suffix", "mode"), [("tar", "w:gz"), ("tgz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")]
)
def test_archives_may_be_compressed_as_a_whole(tmp_path: Path, suffix: str, mode: str) -> None:
    # How it is compressed is seen in its first bytes, whatever it is called.
    files = {f"{k:02d}.png": picture(k) for k in range(12)} | {f"{k:02d}.cls": b"1" for k in range(12)}
    path = pack(tmp_path / f"some.{suffix}", files, mode)
    assert (load(f"{path}?color=gray").x[:, 0, 0, 0] * 255).round().tolist() == list(range(12))
    assert (load(f"{path}[3::4]").x[:, 0, 0, 0] * 255).round().tolist() == [3, 7, 11]


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, r"no samples \(N = 0\); expected files NAME.jpg and NAME.cls"),
        ({"1.png": picture(1)}, "1 has an image and no label"),
        ({"1.cls": b"1"}, "1 has a label and no image"),
        ({"1.png": picture(1), "1.cls": b"cat"}, "1.cls holds b'cat', expected an integer"),
        ({"1.png": picture(1), "1.cls": b"-1"}, "label -1 is negative"),
        ({"1.png": picture(1), "1.cls": b"123456789012"}, "label 123456789012 is no class"),
        ({"1.png": picture(1), "1.cls": b"9" * 40}, "is no class 0..K-1 but an identifier"),
        ({"1.png": picture(1), "1.jpg": picture(1), "1.cls": b"1"}, "two samples are called 1"),
        ({"1.png": b"nothing", "1.cls": b"1"}, "1.png is no readable image"),
        (FILES, "images must agree in size"),
        ({"1.png": picture(1), "1.json": b"{"}, "1.json is no JSON"),
        ({"1.png": picture(1), "1.json": said(width=4)}, "1 has an image and no label"),
        ({"1.png": picture(1), "1.json": said(label=[1])}, r"1.json: 'label' is \[1\], expected an integer or a text"),
        (
            {"1.png": picture(1), "1.json": said(label=1), "2.png": picture(1), "2.json": said(label="cat")},
            "labels are numbers in some samples and text in others",
        ),
        ({"1.png.gz": gz(picture(1))[:-9], "1.cls": b"1"}, "1.png.gz is no readable image"),
        ({"1.png": picture(1), "1.cls.gz": b"1"}, "1.cls.gz cannot be read"),
    ],
)
def test_what_is_wrong_is_said_by_name(tmp_path: Path, files: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        load(str(pack(tmp_path / "some.tar", files)))


def test_archives_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    packed = pack(tmp_path / "packed.tar", FILES, "w:gz").read_bytes()
    whole = pack(tmp_path / "whole.tar", FILES).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:700])
    (tmp_path / "half.tar").write_bytes(whole[:2048])
    (tmp_path / "cut.tar.gz").write_bytes(packed[:-20])
    for name in ("cut.tar", "half.tar", "missing.tar", "cut.tar.gz", "missing.tgz"):
        with pytest.raises(DataError, match=f"{name} is no readable archive|{name}: "):
            load(str(tmp_path / name))


def test_labels_beyond_the_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="label 2 has no name, only 2 classes are named"):
        load(f"{pack(tmp_path / 'some.tar', FILES)}?size=4&classes=x,y")
