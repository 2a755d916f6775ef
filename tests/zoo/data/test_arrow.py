"""Datasets as Hugging Face's library stores them, written here byte for byte as it does."""

import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from saddlepoint.errors import DataError
from saddlepoint.zoo.data import load

NAMES = {"label": {"names": ["a", "b", "c"], "_type": "ClassLabel"}}


def picture(value: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (4, 4), value).save(out, "png")
    return out.getvalue()


def photos(values: list[int], labels: list[object] | None = None) -> pa.Table:
    cells = [{"bytes": picture(value), "path": None} for value in values]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    y = [k % 3 for k in range(len(values))] if labels is None else labels
    table = pa.table({"image": pa.array(cells, kind), "label": pa.array(y)})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": NAMES}})})


def save(folder: Path, *parts: pa.Table) -> Path:
    folder.mkdir(parents=True)
    names = [f"data-{k:05d}-of-{len(parts):05d}.arrow" for k in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        with pa.ipc.new_stream(folder / name, part.schema) as out:
            out.write_table(part)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return folder


def test_a_saved_set_of_several_parts(tmp_path: Path) -> None:
    data = load(f"{save(tmp_path / 'some', photos([10, 20]), photos([30]))}?size=8&color=rgb[1:]")
    assert list(data.x.shape) == [2, 3, 8, 8]
    assert (data.x.amax((1, 2, 3)) * 255).round().tolist() == [20, 30]
    assert (data.y.tolist(), data.ids.tolist(), data.classes) == ([1, 0], [1, 2], ("a", "b", "c"))


def test_splits_are_named(tmp_path: Path) -> None:
    save(tmp_path / "all" / "train", photos([10]))
    save(tmp_path / "all" / "test", photos([20]))
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert (load(f"hf:{tmp_path}/all?split=test").x.max() * 255).round() == 20
    for wrong in ("", "?split=dev"):
        with pytest.raises(DataError, match=r"holds train, test: say which with \?split=test"):
            load(f"{tmp_path}/all{wrong}")


def test_images_in_parquet(tmp_path: Path) -> None:
    pq.write_table(photos([10, 20]), tmp_path / "p.parquet")
    data = load(f"{tmp_path}/p.parquet?classes=x,y,z")
    assert (list(data.x.shape), data.classes) == ([2, 1, 4, 4], ("x", "y", "z"))


def test_images_in_a_column_of_plain_bytes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"picture": [picture(10), picture(20)], "label": [1, 0]}), tmp_path / "p.parquet")
    data = load(f"{tmp_path}/p.parquet")
    assert (data.x[:, 0, 0, 0] * 255).round().tolist() == [10, 20]
    assert data.y.tolist() == [1, 0]
    pq.write_table(pa.table({"code": [b"\x01" * 900, b"\x02"], "label": [1, 0]}), tmp_path / "q.parquet")
    with pytest.raises(DataError, match=r"column 'code' holds .{,60} in row 1, no number"):
        load(f"{tmp_path}/q.parquet")


def test_the_numbers_of_rows_that_pandas_writes_are_no_feature(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0, 2.0], "y": [0, 1], "__index_level_0__": [7, 3]}), tmp_path / "p.parquet")
    assert load(f"{tmp_path}/p.parquet").features == ("a",)


def test_labels_that_are_numbers_in_text_are_numbers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0, 2.0], "y": ["7", "3"]}), tmp_path / "p.parquet")
    assert load(f"{tmp_path}/p.parquet").y.tolist() == [7, 3]
    data = load(f"{tmp_path}/p.parquet?classes=3,7")
    assert (data.y.tolist(), data.classes) == ([1, 0], ("3", "7"))


def test_columns_of_numbers_are_features(tmp_path: Path) -> None:
    table = pa.table({"label": [2, 0], "u": [1.0, 3.0], "v": [5, 9]})
    names = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": NAMES}})})
    data = load(str(save(tmp_path / "t", names)))
    assert (data.x.tolist(), data.y.tolist(), data.classes) == ([[0, 0], [1, 1]], [2, 0], ("a", "b", "c"))


@pytest.mark.parametrize(
    ("labels", "query", "what"),
    [
        ([0, -1], "", "label -1 is negative"),
        ([0, 7], "", "label 7 has no name, only 3"),
        ([0, None], "", "no value in row 2"),
        ([0, 1], "?label=image", "'image' holds dict, no labels"),
        ([0, 1], "?label=nothing", "no column 'nothing'"),
        ([0, 1], "?image=label", "'label' holds no images; those that do: image"),
        ([0, 1], "?low=0", "'low' is no option here"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, labels: list[object], query: str, what: str) -> None:
    save(tmp_path / "some", photos([10, 20], labels))
    with pytest.raises(DataError, match=what):
        load(f"{tmp_path}/some{query}")


def test_no_column_of_labels(tmp_path: Path) -> None:
    save(tmp_path / "some", photos([10]).rename_columns(["image", "kind"]))
    with pytest.raises(DataError, match=r"which column holds the labels\? \?label=COLUMN, one of kind"):
        load(f"{tmp_path}/some")


def test_a_cell_without_bytes(tmp_path: Path) -> None:
    table = photos([10])
    cell = pa.array([{"bytes": None, "path": "/etc/passwd"}], table.schema.field("image").type)
    save(tmp_path / "some", table.set_column(0, "image", cell))
    with pytest.raises(DataError, match=r"row 1 is no readable image .only a path is stored"):
        load(f"{tmp_path}/some")


@pytest.mark.parametrize("name", ["../elsewhere.arrow", "/etc/passwd", 3])
def test_parts_lie_beside_their_list(tmp_path: Path, name: object) -> None:
    folder = save(tmp_path / "some", photos([10]))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(DataError, match="expected parts beside it"):
        load(str(folder))


def test_truncated_parts_and_lists(tmp_path: Path) -> None:
    folder = save(tmp_path / "some", photos([10, 20]))
    part = next(folder.glob("*.arrow"))
    part.write_bytes(part.read_bytes()[:300])
    with pytest.raises(DataError, match="damaged"):
        load(str(folder))
    (folder / "state.json").write_text("{")
    with pytest.raises(DataError, match="no readable list"):
        load(str(folder))


def test_sets_by_name_come_from_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stored:
        def with_format(self, kind: str) -> list[pa.Table]:
            assert kind == "arrow"
            return Whole()

    class Whole:
        def __getitem__(self, rows: slice) -> pa.Table:
            return photos([10, 20, 30])[rows]

    def load_dataset(name: str, config: str | None) -> dict[str, Stored]:
        if (name, config) != ("owner/some", "plain"):
            raise FileNotFoundError(f"no {name}\nhere")
        return {"train": Stored(), "test": Stored()}

    library = types.ModuleType("datasets")
    library.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", library)
    data = load("hf:owner/some?split=test&config=plain[1:]")
    assert (data.y.tolist(), data.name) == ([1, 2], "hf:owner/some?split=test&config=plain[1:]")
    with pytest.raises(DataError, match="hf:other is not stored on this machine: no other here"):
        load("hf:other")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'saddlepoint\[datasets\]'"):
        load("hf:owner/some")


def written(folder: Path) -> Any:
    """A set of the library's own making, of five pictures with a split in two."""
    datasets = pytest.importorskip("datasets")
    pictures = [Image.new("RGB", (6, 5), (10 * k, 0, 50)) for k in range(5)]
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    whole = datasets.Dataset.from_dict({"image": pictures, "label": [0, 1, 1, 0, 1]}, features=kinds)
    return datasets.DatasetDict({"train": whole.select(range(3)), "test": whole.select(range(3, 5))})


def test_what_the_library_itself_saves(tmp_path: Path) -> None:
    written(tmp_path).save_to_disk(tmp_path / "pets")
    data = load(f"{tmp_path / 'pets'}?split=test")
    assert list(data.x.shape) == [2, 3, 5, 6]
    assert (data.x[:, 0, 0, 0] * 255).round().tolist() == [30, 40]
    assert (data.y.tolist(), data.classes) == ([0, 1], ("cat", "dog"))


def test_what_the_library_itself_has_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, split in written(tmp_path).items():
        (tmp_path / "pets").mkdir(exist_ok=True)
        split.to_parquet(tmp_path / "pets" / f"{name}.parquet")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    data = load(f"hf:{tmp_path / 'pets'}?split=train")
    assert (data.x[:, 0, 0, 0] * 255).round().tolist() == [0, 10, 20]
    assert (data.y.tolist(), data.classes) == ([0, 1, 1], ("cat", "dog"))
    with pytest.raises(DataError, match="nobody/nothing is not stored on this machine"):
        load("hf:nobody/nothing")
