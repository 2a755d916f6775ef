"""Tables of features: read, brought into [0, 1], and attacked in the units of the model."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import saddlepoint as sp
from saddlepoint.cli import main
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.setup import prepare, prepare_labeled
from saddlepoint.errors import DataError
from saddlepoint.zoo.data import load

CSV = "age,income,spam\n20,1000,no\n40,3000,yes\n60,2000,no\n"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    return tmp_path / "t.csv"


def test_features_are_brought_into_the_unit_interval_column_by_column(table):
    data = load(str(table))
    assert data.x.tolist() == [[0.0, 0.0], [0.5, 1.0], [1.0, 0.5]]
    assert (data.y.tolist(), data.classes) == ([0, 1, 0], ("no", "yes"))
    assert (data.low.tolist(), data.high.tolist()) == ([20, 1000], [60, 3000])


def test_a_range_can_be_said(table):
    data = load(f"{table}?low=0&high=4000[1:]")
    torch.testing.assert_close(data.x, torch.tensor([[0.01, 0.75], [0.015, 0.5]]))
    assert load(str(table)).sha256 != load(f"{table}?low=0&high=4000").sha256


def test_columns_can_be_left_out(tmp_path):
    path = tmp_path / "named.csv"
    path.write_text("id,age,gap,spam\na,20,,no\nb,40,3,yes\n")
    assert load(f"{path}?drop=id,gap").x.tolist() == [[0.0], [1.0]]
    for query, told in {
        "": r"column 'gap' has no value in row 1 .* leave the column out with \?drop=gap",
        "?drop=gap": r"column 'id' holds 'a' in row 1, no number; encode it, or leave it out with \?drop=id",
        "?drop=gap,idd": "no column 'idd' to drop; it has id, age, gap, spam",
    }.items():
        with pytest.raises(DataError, match=told):
            load(f"{path}{query}")


def test_the_order_of_classes_can_be_said(table):
    data = load(f"{table}?classes=yes,no,maybe")
    assert (data.y.tolist(), data.classes) == ([1, 0, 1], ("yes", "no", "maybe"))


@pytest.mark.parametrize("name", ["label", "target", "class", "y"])
def test_usual_names_of_labels_are_found(tmp_path, name):
    pq.write_table(pa.table({name: [0, 2, 1], "a": [1.0, 2.0, 3.0], "b": [5, 5, 5]}), tmp_path / "t.parquet")
    data = load(str(tmp_path / "t.parquet"))
    assert data.y.tolist() == [0, 2, 1]
    assert data.x.tolist() == [[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]
    assert data.high.tolist() == [3.0, 6.0]  # a constant column reaches 1 further


@pytest.mark.parametrize(
    ("text", "query", "words"),
    [
        (CSV, "?label=sapm", "has no column 'sapm'; it has age, income, spam"),
        (CSV, "?lable=spam", "'lable' is no option here"),
        (CSV, "?high=50", r"features lie in \[20, 3000\], \?low and \?high say \[20, 50\]"),
        (CSV, "?low=a", "low and high are numbers"),
        (CSV, "?classes=yes,maybe", "the label 'no' is none of"),
        (CSV, "?label=income", "column 'spam' holds 'no' in row 1, no number"),
        ("a,y\n1,0\n,1\n", "", r"column 'a' has no value in row 2 \(1 in all\)"),
        ("a,y\nnan,0\n2,1\n", "", "column 'a' has NaN or infinity in row 1|column 'a' has no value"),
        ("a,y\n1,0.5\n2,1\n", "", "column 'y' holds fractions"),
        ("a,y\n1,\n2,1\n", "", r"column 'y' has no value in row 1 \(1 in all\); leave those rows out"),
        ("a,y\n1,9999999999\n2,1\n", "", "label 9999999999 is no class"),
        ("a;y\n1;0\n", "", "separated by ';'"),
        ("a;b;y\n1,5;2,5;0\n", "", "columns are separated by ';'; commas are expected, and points in numbers"),
        ("a,y\n1,caf\udce9\n2,the\n", "", "its text is not UTF-8: save it so"),
        ("a,y\n", "", "no samples"),
        ("y\n1\n", "", "has no column beside 'y'"),
        ("a,a,y\n1,2,0\n", "", "two columns called 'a'"),
        ("a,y\n1,2,3\n", "", "is no readable table"),
        ("", "", "is no readable table"),
        ("a,y\n1,-1\n", "", "label -1 is negative"),
    ],
)
def test_tables_that_are_none_say_where(tmp_path, text, query, words):
    (tmp_path / "t.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=words):
        load(f"{tmp_path / 't.csv'}{query}")


def test_a_truncated_parquet_file_is_told(tmp_path):
    pq.write_table(pa.table({"a": [1.0], "y": [0]}), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content[:-20])
    with pytest.raises(DataError, match="is no readable table"):
        load(str(tmp_path / "t.parquet"))


def test_an_estimator_is_attacked_in_its_own_units(tmp_path, monkeypatch, capsys):
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    pq.write_table(pa.table({**{f"f{i}": x[:, i] for i in range(30)}, "label": y}), tmp_path / "cells.parquet")
    (tmp_path / "tables_filters.py").write_text(
        "from sklearn.datasets import load_breast_cancer\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\nfrom sklearn.svm import SVC\n"
        "def build():\n    return make_pipeline(StandardScaler(), SVC()).fit(*load_breast_cancer(return_X_y=True))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    words = ["--data", "cells.parquet[:60]", "--threat", "linf:0.05", "--plan", "quick", "--quiet", "--out", "run"]
    assert main(["audit", "tables_filters:build", *words]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("clean", "robust"))]
    clean, robust = (int(line[line.index("of") - 1]) for line in lines)
    estimator = sp.open_model("tables_filters:build")
    assert clean == int(((estimator(torch.from_numpy(x[:60])).squeeze(1) > 0).numpy() == np.asarray(y[:60])).sum())
    assert robust < clean


MADE = """
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
draw = np.random.default_rng(0)
when, code = 1_700_000_000 + draw.permutation(2000)[:200], draw.integers(3, 47, 200)
y = 1 + (when * 7919 + code) % 3
X = np.stack([when, code], 1)
def tree(): return DecisionTreeClassifier(random_state=0).fit(X, y)
def kernel(): return make_pipeline(StandardScaler(), SVC(gamma=3000, C=1e4)).fit(X, y)
def codes(): return make_pipeline(OneHotEncoder(), RandomForestClassifier(40, random_state=0)).fit(X, y)
"""


@pytest.fixture
def far_away(tmp_path, monkeypatch):
    """Seconds since 1970 and codes, of three classes called 1, 2, 3; estimators that know each row by heart."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tables_far", raising=False)
    (tmp_path / "tables_far.py").write_text(MADE)
    import tables_far

    rows = [",".join(map(str, [*row, label])) for row, label in zip(tables_far.X, tables_far.y, strict=True)]
    (tmp_path / "far.csv").write_text("\n".join(["when,code,label", *rows]))
    return tmp_path / "far.csv"


@pytest.mark.parametrize("name", ["tree", "kernel", "codes"])
@pytest.mark.parametrize("query", ["", "?classes=1,2,3", "[:40]"])
def test_large_numbers_and_codes_come_back_as_they_are_and_classes_go_by_their_numbers(far_away, name, query):
    spec = f"tables_far:{name}"
    model, data, _ = prepare_labeled(spec, f"{far_away}{query}", ModelOptions(), WorkOptions())
    assert data.classes == ("1", "2", "3")
    import tables_far

    own = getattr(tables_far, name)().predict(tables_far.X)[data.ids.numpy()]  # trees round to float32 by themselves
    with model.quiet(), torch.no_grad():
        assert (model(data.x).argmax(1).numpy() + 1 == own).all()
    assert (data.y.numpy() + 1 == tables_far.y[data.ids.numpy()]).all()
    prepare_labeled(spec, f"{far_away}{query}", ModelOptions(dtype="float64"), WorkOptions())


@pytest.mark.parametrize("kind", ["LogisticRegression", "RandomForestClassifier"])
@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (["size", "age", "y"], r"another order .*: 'size' stands where 'age' was expected; write them as age, size"),
        (["age", "width", "y"], r"fitted on 'size', which is none of its columns age, width"),
        (["age", "size", "id", "y"], r"not fitted on 'id': leave it out with \?drop=id"),
        (["age", "size", "y"], None),
    ],
)
def test_columns_are_those_that_an_estimator_was_fitted_on(tmp_path, monkeypatch, kind, columns, what):
    (tmp_path / "columns_filter.py").write_text(
        "import numpy as np, pandas as pd\n"
        "from sklearn.ensemble import RandomForestClassifier\nfrom sklearn.linear_model import LogisticRegression\n"
        "def build():\n"
        "    table = pd.DataFrame({'age': np.arange(20.0), 'size': np.arange(20.0) % 7})\n"
        f"    return {kind}().fit(table, np.arange(20) % 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "columns_filter", raising=False)
    rows = ["1,2,3,0", "3,4,5,1"] if "id" in columns else ["1,2,0", "3,4,1"]
    (tmp_path / "table.csv").write_text("\n".join([",".join(columns), *rows]))
    ready = lambda: prepare(  # noqa: E731
        "columns_filter:build", str(tmp_path / "table.csv"), ModelOptions(), WorkOptions()
    )
    if what is None:
        assert ready().data.features == ("age", "size")
    else:
        with pytest.raises(DataError, match=what):
            ready()
