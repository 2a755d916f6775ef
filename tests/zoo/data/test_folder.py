from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saddlepoint.errors import DataError
from saddlepoint.zoo.data import load


def store(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def gray(value: int, side: int = 4) -> np.ndarray:
    return np.full((side, side), value, dtype=np.uint8)


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    folder = tmp_path / "animals"
    store(folder / "eel" / "a.png", gray(30))
    store(folder / "cat" / "b.png", gray(20))
    store(folder / "cat" / "a.PNG", gray(10))
    (folder / "cat" / "notes.txt").write_text("no image")
    return folder


def test_classes_and_files_come_sorted(animals: Path) -> None:
    data = load(str(animals))
    assert data.classes == ("cat", "eel")
    assert data.y.tolist() == [0, 0, 1]
    assert (data.x[:, 0, 0, 0] * 255).round().tolist() == [10, 20, 30]
    assert data.x.shape == (3, 1, 4, 4)


def test_classes_called_by_numbers_come_by_number(tmp_path: Path) -> None:
    for name in ("10", "9", "2"):
        store(tmp_path / name / "a.png", gray(int(name)))
    data = load(str(tmp_path))
    assert data.classes == ("2", "9", "10")
    assert (data.x[:, 0, 0, 0] * 255).round().tolist() == [2, 9, 10]


def test_slices_and_samples_apply(animals: Path) -> None:
    assert load(f"{animals}[1:]").ids.tolist() == [1, 2]
    assert load(f"{animals}[sample:3:0]").ids.tolist() == [0, 1, 2]


def test_color_images_have_three_channels_first(tmp_path: Path) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    store(tmp_path / "set" / "one" / "a.png", pixels)
    data = load(str(tmp_path / "set"))
    assert np.array_equal((data.x[0] * 255).round().numpy(), np.moveaxis(pixels, 2, 0))


def test_jpeg_is_read(tmp_path: Path) -> None:
    store(tmp_path / "set" / "one" / "a.jpg", gray(100, 16))
    store(tmp_path / "set" / "two" / "b.jpeg", gray(200, 16))
    assert (load(str(tmp_path / "set")).x.mean((1, 2, 3)) * 255).round().tolist() == [100, 200]


@pytest.mark.parametrize("kind", ["bmp", "webp", "tif", "tiff", "gif"])
def test_other_kinds_of_pictures_are_read_and_not_passed_over(tmp_path: Path, kind: str) -> None:
    store(tmp_path / "set" / "one" / "a.png", gray(100, 16))
    store(tmp_path / "set" / "one" / f"b.{kind}", gray(100, 16))
    assert len(load(f"{tmp_path / 'set'}/?color=gray")) == 2


def test_hidden_files_are_no_pictures(animals: Path) -> None:
    (animals / "eel" / "._a.png").write_bytes(b"of another system")
    assert len(load(str(animals))) == 3


def test_a_folder_may_have_brackets_in_its_name(animals: Path) -> None:
    renamed = animals.rename(animals.parent / "set[old]")
    assert len(load(str(renamed))) == 3
    assert len(load(f"{renamed}[:1]")) == 1


def test_sizes_that_differ_are_refused_naming_both(animals: Path) -> None:
    store(animals / "eel" / "b.png", gray(1, 5))
    with pytest.raises(DataError, match=r"a.PNG is 4 x 4 gray, .*b.png is 5 x 5 gray"):
        load(str(animals))


def test_gray_and_color_do_not_mix(animals: Path) -> None:
    store(animals / "eel" / "b.png", np.zeros((4, 4, 3), dtype=np.uint8))
    with pytest.raises(DataError, match=r"b.png is 4 x 4 RGB"):
        load(str(animals))


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "I;16"])
def test_other_color_modes_are_refused(animals: Path, mode: str) -> None:
    file = animals / "eel" / ("b.jpg" if mode == "CMYK" else "b.png")
    Image.new(mode, (4, 4)).save(file)
    with pytest.raises(DataError, match=f"{file.name} has color mode {mode}: convert it"):
        load(str(animals))


@pytest.mark.parametrize("content", [b"", b"no image at all", "truncated"])
def test_damaged_images_are_refused_by_name(animals: Path, content: bytes | str) -> None:
    path = animals / "eel" / "a.png"
    path.write_bytes(path.read_bytes()[:-20] if isinstance(content, str) else content)
    with pytest.raises(DataError, match=r"a.png is no readable image"):
        load(str(animals))


def test_a_damaged_image_outside_the_slice_does_no_harm(animals: Path) -> None:
    (animals / "eel" / "a.png").write_bytes(b"")
    assert len(load(f"{animals}[:2]")) == 2


def test_images_beside_the_class_folders_are_refused(animals: Path) -> None:
    store(animals / "stray.png", gray(1))
    with pytest.raises(DataError, match=r"stray.png lies beside the class folders"):
        load(str(animals))


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no class folders"):
        load(str(tmp_path))


def test_a_class_without_images_is_refused(animals: Path) -> None:
    (animals / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no image"):
        load(str(animals))


@pytest.mark.parametrize(("mode", "filled", "seen"), [("RGBA", (9, 8, 7, 255), [9, 8, 7]), ("1", 1, [255])])
def test_modes_that_lose_nothing_are_read(tmp_path: Path, mode: str, filled: object, seen: list[int]) -> None:
    (tmp_path / "cat").mkdir()
    Image.new(mode, (4, 4), filled).save(tmp_path / "cat" / "a.png")
    assert (load(str(tmp_path)).x[0, :, 0, 0] * 255).round().tolist() == seen


def test_palettes_are_read_as_colors(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (4, 4), (200, 10, 30)).quantize().save(tmp_path / "cat" / "a.png")
    assert (load(str(tmp_path)).x[0, :, 0, 0] * 255).round().tolist() == [200, 10, 30]


def test_sizes_and_colors_are_brought_together(animals: Path) -> None:
    store(animals / "eel" / "wide.png", np.full((8, 16, 3), 40, dtype=np.uint8))
    data = load(f"{animals}?size=4x6&color=rgb")
    assert data.x.shape == (4, 3, 4, 6)
    assert (data.x[-1] * 255).round().unique().tolist() == [40]


def test_the_middle_is_kept(tmp_path: Path) -> None:
    picture = np.zeros((16, 32), dtype=np.uint8)
    picture[4:12, 12:20] = 200
    store(tmp_path / "cat" / "a.png", picture)
    assert (load(f"{tmp_path}?size=8&crop=0.5").x * 255).round().min() == 200
    assert (load(f"{tmp_path}?size=16").x * 255).round().mean() == 50


def test_the_models_classes_in_its_order(animals: Path) -> None:
    names = animals.parent / "names.txt"
    names.write_text("dog\neel\nfox\ncat\n")
    for spec in ("dog,eel,fox,cat", str(names)):
        data = load(f"{animals}?classes={spec}")
        assert data.classes == ("dog", "eel", "fox", "cat")
        assert data.y.tolist() == [3, 3, 1]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("size=0", "size=0 is no size; expected 224"),
        ("size=big", "size=big is no size"),
        ("size=4&crop=2", r"expected a share in \(0, 1\]"),
        ("crop=0.5", "with a size"),
        ("color=blue", "expected one of gray, rgb"),
        ("sise=4", "'sise' is no option here; after . stand size, crop, color, classes"),
        ("classes=cat,dog", "eel is none of .classes=cat,dog"),
        ("classes=cat,cat", "'cat' comes twice"),
        ("classes=none.txt", "none.txt cannot be read"),
    ],
)
def test_options_that_make_no_sense_are_refused(animals: Path, query: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load(f"{animals}?{query}")


def test_a_folder_of_splits_says_which_to_name(tmp_path: Path) -> None:
    (tmp_path / "train" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"it has folders itself: if these are the classes, name .*train$"):
        load(str(tmp_path))
