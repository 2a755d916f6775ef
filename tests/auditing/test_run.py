from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from saddlepoint.auditing import Audit, read_example, read_records, read_spec, summarize
from saddlepoint.auditing.run import DEFAULT, folder_of
from saddlepoint.errors import RunError

Make = Callable[..., Any]


@pytest.fixture
def copied(whole: Audit, tmp_path: Path) -> Path:
    """A complete run that may be spoiled."""
    return Path(shutil.copytree(whole.run_dir, tmp_path / "run"))


def test_a_run_holds_these_files_and_no_others(whole: Audit) -> None:
    top = {path.name for path in whole.run_dir.iterdir()}
    assert top == {
        "spec.json",
        "diagnosis.json",
        "landscapes.json",
        "results",
        "inputs",
        "records.parquet",
        "summary.json",
        "run.lock",
    }
    assert not list(whole.run_dir.rglob(".tmp-*"))
    for path in (whole.run_dir / "inputs").rglob("*.safetensors"):
        twin = Path(str(path).replace("/inputs/", "/results/")).with_suffix(".parquet")
        assert twin.exists()


def test_a_run_can_be_summed_up_from_its_folder_alone(whole: Audit) -> None:
    spec = read_spec(whole.run_dir)
    records = read_records(whole.run_dir, spec)
    assert records.equals(whole.records)
    assert summarize(spec, records) == whole.summary()


def test_examples_are_read_from_the_folder_alone(whole: Audit, samples: Make, network: Make) -> None:
    x, _ = samples()
    examples = [example for threat in whole.summary().threats for example in threat.gallery]
    assert len(examples) >= 10
    for example in examples:
        clean, perturbed = read_example(whole.run_dir, example)
        assert torch.equal(clean, x[example.sample])
        assert int(network()(perturbed[None]).argmax()) == example.predicted != example.label
        norm = torch.inf if example.threat.startswith("linf") else 2
        assert float((perturbed - clean).flatten().norm(p=norm)) == pytest.approx(example.size)


def test_an_example_that_is_gone(copied: Path, whole: Audit) -> None:
    shutil.rmtree(copied / "inputs")
    with pytest.raises(RunError, match="issue the command of the audit again, it repairs the run"):
        read_example(copied, whole.summary().threats[0].gallery[0])


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": "1", "schema": 1}'])
def test_a_damaged_spec_is_said_and_nothing_touched(quick: Make, copied: Path, content: str) -> None:
    (copied / "spec.json").write_text(content)
    before = sorted(copied.rglob("*"))
    with pytest.raises(RunError, match=r"spec.json is damaged, .*nothing was changed") as caught:
        quick(copied)
    assert "\n" not in str(caught.value)
    assert sorted(copied.rglob("*")) == before
    assert (copied / "spec.json").read_text() == content


def test_a_changed_value_in_the_spec_is_noticed(quick: Make, copied: Path) -> None:
    spec = json.loads((copied / "spec.json").read_text())
    spec["seed"] = 1
    (copied / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(RunError, match="is damaged"):
        quick(copied)


def test_other_arguments_are_another_run(quick: Make, copied: Path, fingerprint: Make) -> None:
    before = fingerprint(copied)
    with pytest.raises(RunError, match=r"holds another run \(seed: 0 → 1\): give another folder"):
        quick(copied, seed=1)
    with pytest.raises(RunError, match=r"stages.1.options.steps: 2 → 3"):
        quick(copied, attacks=["pgd(steps=3)", "apgd_ce(steps=5)"])
    assert fingerprint(copied) == before


def test_a_folder_of_other_things_is_refused(quick: Make, run: Path) -> None:
    run.mkdir()
    (run / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match=r"holds other files \(thesis.tex\) but no spec.json"):
        quick(run)
    assert (run / "thesis.tex").read_text() == "precious"


def test_a_file_in_place_of_the_folder(quick: Make, run: Path) -> None:
    run.write_text("")
    with pytest.raises(RunError, match="there is a file in its place"):
        quick(run)


def test_a_file_in_place_of_a_part_of_its_path(quick: Make, run: Path) -> None:
    run.write_text("")
    with pytest.raises(RunError, match="there is a file in its place"):
        quick(run / "deeper")


def test_a_second_audit_of_the_same_folder_is_refused(quick: Make, run: Path) -> None:
    seen: list[str] = []

    class Meddler:
        def piece(self, *_: object) -> None:
            if not seen:
                with pytest.raises(RunError, match=f"in use by another process .pid {os.getpid()} on ") as caught:
                    quick(run)
                seen.append(str(caught.value))

        def __getattr__(self, _: str) -> Callable[..., None]:
            return lambda *_: None

    audited = quick(run, listener=Meddler())
    assert len(seen) == 1
    assert audited.summary().complete


def test_a_run_begun_but_for_its_spec_is_begun_again(quick: Make, run: Path, fingerprint: Make, whole: Audit) -> None:
    run.mkdir()
    (run / "run.lock").write_text("pid 1 on nowhere")
    (run / ".tmp-1-spec.json").write_text("{")
    quick(run)
    assert fingerprint(run) == fingerprint(whole.run_dir)


def test_no_run_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no run: spec.json cannot be read \(No such file"):
        read_spec(tmp_path)


def test_the_default_folder_has_a_plain_name() -> None:
    spec = {"model": {"name": "../evil name"}, "data": {"name": "photos.npz[::7]"}, "key": "f" * 64}
    assert str(folder_of(DEFAULT, spec)) == "runs/evil-name-photos.npz-7-ffffffff"
    assert str(folder_of("here", spec)) == "here"


def test_the_folder_may_be_named_after_the_key(quick: Make, tmp_path: Path) -> None:
    first, second = quick(tmp_path / "{model}-{key}"), quick(tmp_path / "{model}-{key}", seed=1)
    assert first.run_dir != second.run_dir
    assert first.run_dir.name.startswith("Sequential-")
    assert quick(tmp_path / "{model}-{key}").run_dir == first.run_dir
