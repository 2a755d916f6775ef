from __future__ import annotations

import duckdb
import pandas
import polars
import pyarrow.parquet as pq

from saddlepoint.auditing import Audit
from saddlepoint.auditing.records import SCHEMA, after, positions, worst_case


def test_one_line_reads_the_records_anywhere(whole: Audit) -> None:
    path = str(whole.run_dir / "records.parquet")
    expected = whole.records.to_pydict()
    assert whole.records.schema == SCHEMA
    table = pandas.read_parquet(path)
    table["progress"] = [row.tolist() for row in table["progress"]]  # pandas has an array in each cell
    assert table.to_dict("list") == expected
    assert polars.read_parquet(path).to_dict(as_series=False) == expected
    rows = duckdb.sql(f"from '{path}'")
    assert dict(zip(rows.columns, map(list, zip(*rows.fetchall(), strict=True)), strict=True)) == expected


def test_the_pieces_can_be_read_as_they_lie(whole: Audit) -> None:
    pattern = f"{whole.run_dir}/results/**/*.parquet"
    found = duckdb.sql(f"select threat, stage, count(*) from read_parquet('{pattern}') group by all").fetchall()
    groups = whole.records.group_by(["threat", "stage"]).aggregate([([], "count_all")])
    assert sorted(found) == sorted(tuple(row.values()) for row in groups.to_pylist())
    lazily = polars.scan_parquet(pattern, hive_partitioning=True).select("sample", "threat", "met").collect()
    assert len(lazily) == len(pandas.read_parquet(whole.run_dir / "results")) == len(whole.records)
    assert set(lazily["threat"]) == {"none", "linf:0.1", "l2:0.3"}


def test_the_records_are_those_of_the_pieces(whole: Audit) -> None:
    stored = pq.read_table(whole.run_dir / "records.parquet")
    assert stored.equals(whole.records)


def test_positions_follow_the_clean_pass(whole: Audit) -> None:
    assert positions(whole.records, whole.records)[:40].tolist() == list(range(40))
    assert (positions(whole.records, whole.records) == whole.records.column("sample").to_numpy()).all()


def test_the_worst_case_is_the_smallest_success_of_the_set(whole: Audit) -> None:
    from saddlepoint.auditing.run import read_spec

    standing = after(read_spec(whole.run_dir), whole.records)
    rows = whole.records.to_pylist()
    for label in ("linf:0.1", "l2:0.3"):
        worst = worst_case(whole.records, standing, label)
        for sample in range(40):
            sizes = [r["size"] for r in rows if r["sample"] == sample and r["threat"] == label and r["met"]]
            right = rows[sample]["met"] is False
            assert (sample in worst) == (bool(sizes) and right)
            assert sample not in worst or rows[worst[sample]]["size"] == min(sizes)
