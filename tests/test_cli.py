"""The command line as its users meet it: most of it in a process of its own, the many error paths in this one."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import saddlepoint as sp
from saddlepoint import attacks
from saddlepoint.auditing import Summary, parse
from saddlepoint.auditing.verify import Verification
from saddlepoint.cli import main
from saddlepoint.cli.app import app
from saddlepoint.cli.values import convert, split_attacks
from saddlepoint.zoo.opening import FORMS

CODE = """
    import os, time
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 4)
            weights = torch.randn(4, 17, generator=torch.Generator().manual_seed(1))
            self.layer.load_state_dict({"weight": weights[:, :16].clone(), "bias": weights[:, 16].clone()})

        def forward(self, x):
            time.sleep(float(os.environ.get("SLOW", "0")))
            return self.layer(x.flatten(1))

    class Bug(Net):
        def forward(self, x):
            if len(x) > 1:
                raise ZeroDivisionError("in the\\nmodel")
            return super().forward(x)

    class Rounding(nn.Module):
        def forward(self, x):
            return torch.round(6 * x.detach()) / 6

    class Noisy(Net):
        def forward(self, x):
            return super().forward(x + 0.1 * torch.randn_like(x))

    def build():
        return Net()

    class Mixing(Net):
        def forward(self, x):
            out = super().forward(x)
            return out - out.mean(0)

    def mixing():
        return Mixing()

    def rounded():
        return nn.Sequential(Rounding(), Net())
"""
AUDIT = ["audit", "cli_tiny:build", "--data", "tiny.npz", "--threat", "linf:0.1", "--threat", "l2:0.3"]
PLAN = ["--attacks", "pgd(steps=4),apgd_ce(steps=4)", "--curve", "none", "--piece-size", "8"]
ATTACK = ["attack", "pgd", "cli_tiny:build", "--data", "tiny.npz", "--threat", "linf:0.1", "--steps", "5"]
N, WRONG = 40, 6
LABELS = [
    ("later.npz", "the labels of later.npz range over [1, 4]; the model has 4 classes, 0 to 3: if they count from 1,"),
    ("named.npz", "the data name 2 classes (cat, dog), the model has 4: behind the name of the data ?classes=a,b,..."),
]


def saddlepoint(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "saddlepoint.cli", *words],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with a network and 40 samples, 6 of which it gets wrong."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "cli_tiny.py").write_text(textwrap.dedent(CODE))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import cli_tiny

        x = torch.rand(N, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        y = cli_tiny.build()(x).argmax(1)
        y[:WRONG] = (y[:WRONG] + 1) % 4
        np.savez(folder / "tiny.npz", x=x.numpy(), y=y.numpy())
        np.savez(folder / "later.npz", x=x.numpy(), y=y.numpy() + 1)
        np.savez(folder / "named.npz", x=x.numpy(), y=y.numpy() % 2, classes=np.array(["cat", "dog"]))
        np.savez(folder / "other.npz", x=x.view(N, 1, 2, 8)[:, :, :, :7].numpy(), y=y.numpy())
        save_file({"layer.weight": torch.zeros(4, 9)}, folder / "wrong.safetensors")
        yield folder


@pytest.fixture(autouse=True)
def _here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def finished(folder):
    """One whole audit, which many tests look at: (what it printed, its folder)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return saddlepoint(*AUDIT, *PLAN, "--out", "runs/tiny"), folder / "runs" / "tiny"


def table_of(run: Path) -> list[dict[str, object]]:
    """All records without their times, in an order of their own."""
    rows = pq.read_table(run / "records.parquet").drop_columns(["seconds"]).to_pylist()
    return sorted(rows, key=lambda row: (row["threat"], row["stage"], row["sample"]))


def one_line(error: str) -> str:
    """What an error says, checked to be a single line."""
    lines = error.splitlines()
    assert len(lines) == 1, error
    assert lines[0].startswith("saddlepoint: error: ")
    return lines[0].removeprefix("saddlepoint: error: ")


# The audit


def test_an_audit_prints_what_its_summary_says(finished):
    done, run = finished
    assert done.returncode == 0, done.stderr
    summary = Summary.from_json((run / "summary.json").read_text())
    words = [" ".join(line.split()) for line in done.stdout.splitlines()]
    linf, l2 = summary.threats
    for name, e in (
        ("clean", summary.clean),
        ("robust, Linf 0.1", linf.robust),
        ("robust, L2 0.3", l2.robust),
        ("robust, all threats", summary.union),
    ):
        span = f"{100 * e.low:.1f} to {100 * e.high:.1f} %"
        assert f"{name} {100 * e.value:.1f} % {e.correct} of {e.n} {span}" in words
    assert summary.clean_correct == N - WRONG
    assert 0 < summary.union.correct < N - WRONG
    for name, threat in (("Linf 0.1", linf), ("L2 0.3", l2)):
        for stage in threat.stages:
            assert any(w.startswith(f"{name} {stage.attack} {stage.ran_on} {stage.broke} ") for w in words)
    assert words[-2:] == ["records: runs/tiny", "report: runs/tiny/report.html"]


def test_an_audit_tells_its_progress_on_stderr_only(finished):
    done, _ = finished
    lines = done.stderr.splitlines()
    assert lines[0] == f"{N} samples, 5 stages"
    assert lines[1].startswith(f"clean: {N} of {N} · {N - WRONG} standing (85.0 %)")
    assert [line.partition(":")[0] for line in lines[1:]] == ["clean", "linf", "linf", "l2", "l2"]
    assert "samples/s" not in done.stdout


def test_the_report_names_the_command_that_made_it(finished):
    _, run = finished
    twin = json.loads((run / "report.json").read_text())
    assert shlex.split(twin["summary"]["command"]) == ["saddlepoint", *AUDIT, *PLAN, "--out", "runs/tiny"]
    assert twin["summary"]["model"]["source"] == "cli_tiny:build"
    assert "cli_tiny:build on tiny.npz" in (run / "report.html").read_text()


def test_the_same_command_again_computes_nothing_anew(finished, capsys):
    _, run = finished
    before = {path: path.stat().st_mtime_ns for path in run.rglob("part-*")}
    assert main([*AUDIT, *PLAN, "--out", "runs/tiny"]) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("part-*")} == before
    assert len(before) > 10
    assert "samples/s" not in capsys.readouterr().err


def test_a_changed_argument_is_another_run(finished, capsys):
    assert main([*AUDIT, *PLAN, "--out", "runs/tiny", "--seed", "1"]) == 2
    assert "seed: 0 → 1" in one_line(capsys.readouterr().err)


def test_quiet_without_report_and_without_out(folder, capsys):
    assert main([*AUDIT, *PLAN, "--quiet", "--no-report", "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "report:" not in out
    run = Path(out.split()[-1])
    assert re.fullmatch(r"runs/cli-tiny-build-tiny\.npz-[0-9a-f]{8}", str(run))
    assert (folder / run / "records.parquet").exists()
    assert not (folder / run / "report.html").exists()


def test_weights_and_number_type_reach_the_model(folder, capsys):
    save_file(
        {"layer.weight": torch.zeros(4, 16), "layer.bias": torch.tensor([1.0, 0, 0, 0])}, folder / "zero.safetensors"
    )
    given = ["--weights", "zero.safetensors", "--dtype", "float64", "--seed", "5", "--no-report"]
    assert main([*AUDIT, *PLAN, *given, "--out", "runs/zero"]) == 0
    capsys.readouterr()
    summary = Summary.from_json((folder / "runs/zero/summary.json").read_text())
    assert summary.clean_correct == int((np.load(folder / "tiny.npz")["y"] == 0).sum())
    assert (summary.model["dtype"], summary.seed) == ("float64", 5)
    assert summary.model["source"] == "cli_tiny:build with zero.safetensors"


def test_normalization_reaches_the_model(folder, capsys):
    given = ["--mean", "0.5", "--std=1/4", "--bounds", "-1,1", "--no-report", "--out", "runs/normal"]
    assert main([*AUDIT, *PLAN, *given]) == 0
    capsys.readouterr()
    data = np.load(folder / "tiny.npz")
    net = sp.wrap(sys.modules["cli_tiny"].build(), bounds=(-1, 1), mean=[0.5], std=[0.25])
    right = int((net(torch.from_numpy(data["x"])).argmax(1).numpy() == data["y"]).sum())
    summary = Summary.from_json((folder / "runs/normal/summary.json").read_text())
    assert summary.clean_correct == right
    assert summary.model["bounds"] == [-1.0, 1.0]


# Stopping and going on


def started(out: str) -> subprocess.Popen[str]:
    """The audit in a process of its own, slow enough to be caught in the middle of its attacks."""
    process = subprocess.Popen(
        [sys.executable, "-m", "saddlepoint.cli", *AUDIT, *PLAN, "--out", out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SLOW": "0.25"},
    )
    deadline = time.monotonic() + 120
    while not list(Path(out).glob("results/threat=linf*/stage=01*/part-00001.parquet")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_stopped_audit_goes_on_to_the_same_records(finished, capsys, number, code):
    out = f"runs/{number.name}"
    process = started(out)
    if number == signal.SIGINT:
        assert main([*AUDIT, *PLAN, "--out", out]) == 2
        assert f"in use by another process (pid {process.pid}" in one_line(capsys.readouterr().err)
    process.send_signal(number)
    printed, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert printed == ""
    if number != signal.SIGKILL:
        again = shlex.join(["saddlepoint", *AUDIT, *PLAN, "--out", out])
        assert told.splitlines()[-1] == f"saddlepoint: stopped; the same command goes on where it stopped: {again}"
        assert "Traceback" not in told
    kept = {path: path.stat().st_mtime_ns for path in Path(out).rglob("part-*.parquet")}
    assert main([*AUDIT, *PLAN, "--out", out]) == 0
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert len(list(Path(out).rglob("part-*.parquet"))) > len(kept)
    assert table_of(Path(out)) == table_of(finished[1])


def test_a_finished_run_is_verified_by_the_same_command(folder, capsys):
    words = ["audit", "cli_tiny:build", "--data", "tiny.npz", "--threat", "linf:0.1", *PLAN, "--out", "seen", "--quiet"]
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--verify"]) == 0
    found = re.search(r"asked about (\d+) stored inputs again, and the record holds", capsys.readouterr().out)
    assert found is not None
    assert int(found[1]) > 0


def test_a_record_that_does_not_hold_is_an_error(folder, capsys, monkeypatch):
    def denied(audited):
        return Verification(7, 0, ("sample 3 of 01-pgd: the label is 2, the record says 1", "sample 4 of 01-pgd"))

    monkeypatch.setattr("saddlepoint.auditing.audited.Audit.verify", denied)
    words = ["audit", "cli_tiny:build", "--data", "tiny.npz", "--threat", "linf:0.1", *PLAN, "--out", "seen", "--quiet"]
    assert main([*words, "--verify"]) == 2
    assert "hold what the stored inputs do: sample 3 of 01-pgd: the label is 2, the record says 1, and 1 more" in (
        capsys.readouterr().err
    )


# One attack


def test_an_attack_stores_its_examples_and_says_what_they_are(folder):
    done = saddlepoint(*ATTACK, "--restarts", "2", "--out", "examples.safetensors", "--batch-size", "16")
    assert done.returncode == 0, done.stderr
    found = load_file(folder / "examples.safetensors")
    net = sys.modules["cli_tiny"].build()
    data = np.load(folder / "tiny.npz")
    x, y = torch.from_numpy(data["x"]), torch.from_numpy(data["y"])
    assert torch.equal(found["x"], x)
    assert float((found["x_adv"] - x).abs().max()) <= 0.1 + 1e-6
    assert torch.equal(found["met"], net(found["x_adv"]).argmax(1) != y)
    standing = N - int(found["met"].sum())
    words = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"clean accuracy 85.0 % ({N - WRONG} of {N})" in words
    assert any(w.startswith(f"robust accuracy {100 * standing / N:.1f} % ({standing} of {N})") for w in words)
    assert any(w.startswith(f"success {N - WRONG - standing} of the {N - WRONG} classified rightly") for w in words)
    assert words[-1] == "adversarial examples: examples.safetensors"
    with safe_open(folder / "examples.safetensors", "pt") as file:
        said = file.metadata()
    assert (said["attack"], said["threat"], said["seed"]) == ("pgd", "linf:0.1", "0")
    assert json.loads(said["options"])["restarts"] == 2


def test_an_attack_equals_the_same_call_in_python(folder, capsys):
    assert main([*ATTACK, "--seed", "4", "--out", "a.safetensors", "--batch-size", "7", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    data = sp.zoo.data.load(str(folder / "tiny.npz"))
    net = sys.modules["cli_tiny"].build()
    expected = sp.attacks.pgd(net, data.x, data.y, sp.Linf(0.1), steps=5, seed=4)
    found = load_file(folder / "a.safetensors")
    assert torch.allclose(found["x_adv"], expected.x_adv, atol=1e-6)
    for name in ("met", "steps", "status"):
        assert torch.equal(found[name], getattr(expected, name))


def test_a_model_that_answers_nan_is_right_nowhere(folder, capsys):
    (folder / "silent.py").write_text(
        "import torch\n\nimport saddlepoint as sp\n\n\ndef build():\n"
        "    return sp.wrap(lambda x: torch.full((len(x), 3), torch.nan), access='scores')\n"
    )
    np.savez(folder / "few.npz", x=np.zeros((4, 1, 8, 8), np.float32), y=np.arange(4) % 3)
    words = ["--data", "few.npz", "--threat", "linf:0.1", "--out", "silent.safetensors", "--steps", "5"]
    assert main(["attack", "square", "silent:build", *words]) == 0
    said = capsys.readouterr().out
    assert "clean accuracy      0.0 % (0 of 4)" in said
    assert "robust accuracy     0.0 % (0 of 4)" in said
    assert "4 samples, counted as wrong: the model answers NaN" in said


def test_an_attack_without_a_radius_looks_for_the_smallest_change(capsys):
    assert main(["attack", "hop_skip_jump", *ATTACK[2:5], "--steps", "2", "--first-draws", "10", "--threat", "l2"]) == 0
    words = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(w.startswith("not broken 0.0 % (0 of 40)") for w in words)
    assert any(w.startswith(f"success {N - WRONG} of the {N - WRONG} classified rightly (100.0 %)") for w in words)


FASHION = ["zoo:fashion-standard", "--data", "fashion-mnist-1k[:24]", "--quiet"]


@pytest.mark.parametrize("target", ["Bag", "8"])
def test_an_attack_leads_to_the_class_that_is_named(folder, capsys, target):
    words = ["attack", "pgd", *FASHION, "--threat", "linf:0.1", "--target", target, "--out", "bags.safetensors"]
    assert main(words) == 0
    net, found = sp.zoo.load("fashion-standard"), load_file(folder / "bags.safetensors")
    y = found["y"]
    bags = net(found["x_adv"]).argmax(1) == 8
    assert int((bags & (y != 8)).sum()) > 15
    assert torch.equal(found["met"], bags)
    told = capsys.readouterr().out
    first = int((net(found["x"]).argmax(1) != 8).sum())
    assert f"not {target} at first" in told
    assert f"{int(bags.sum()) - (24 - first)} of the {first} that were not {target}" in told


def test_a_walk_toward_a_class_begins_at_the_samples_of_that_class(folder, capsys):
    few = [
        "attack",
        "qeba",
        *FASHION,
        "--threat",
        "l2",
        "--steps",
        "2",
        "--first-draws",
        "10",
        "--out",
        "a.safetensors",
    ]
    assert main([*few, "--target", "Sneaker"]) == 0
    found = load_file(folder / "a.safetensors")
    assert bool(found["met"].all())
    assert main([*few, "--target", "Bug"]) == 2
    assert "--target Bug: no such class; take a number below 10, or T-shirt/top, Trouser" in capsys.readouterr().err
    few[few.index("fashion-mnist-1k[:24]")] = "fashion-mnist-1k[:2]"
    assert main([*few, "--target", "Shirt"]) == 2
    assert "begins at a sample of that class; fashion-mnist-1k[:2] has none" in capsys.readouterr().err


def test_an_attack_that_was_stopped_says_that_it_starts_anew(monkeypatch, capsys):
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("saddlepoint.cli.attack.prepare_labeled", stopped)
    assert main(ATTACK) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("saddlepoint: stopped; the same command starts anew: ")


# Lists, help, reports


def test_every_attack_is_one_line_with_what_it_needs(capsys):
    assert main(["list", "attacks"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["attack", "needs"]
    rows = {line.split()[0]: line for line in lines}
    assert sorted(rows) == sorted(attacks.catalog())
    assert len(lines) == len(rows)
    for name, recipe in attacks.catalog().items():
        line = rows[name]
        assert line.split()[1] == recipe.access.kind
        assert ("smallest" if recipe.minimal else "within radius") in line
        absent = [kind.__name__ for kind in sp.sets.kinds().values() if kind not in recipe.sets]
        by_name = all(kind.__name__ in line for kind in recipe.sets)
        assert by_name or f"all but {' '.join(absent)}" in line or (not absent and " all " in line)
        assert recipe.summary.replace("``", "") in line
        assert recipe.paper in line


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("sets", {f"{name}:RADIUS" for name in sp.sets.names()}),
        ("models", {f"zoo:{name}" for name in sp.zoo.models.NAMES} | set(FORMS)),
        ("data", set(sp.zoo.data.names()) | set(sp.zoo.data.FORMS)),
    ],
)
def test_everything_else_is_one_line_too(capsys, kind, first):
    assert main(["list", kind]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == first
    assert len(lines) == len(first)


def test_options_of_an_attack_are_in_its_help(capsys):
    assert main(["attack", "pgd", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"--{option.replace('_', '-')} " in out for option in attacks.get("pgd").options)
    assert attacks.get("pgd").paper in out


def test_help_answers_at_once_because_it_loads_nothing_heavy():
    code = """
        import sys, time
        from saddlepoint.cli import main
        commands = ("audit", "attack", "list", "report", "compare")
        for words in ([], ["--help"], ["--version"], *([c, "--help"] for c in commands)):
            assert main(words) == 0, words
        heavy = {"torch", "numpy", "scipy", "pyarrow", "jinja2", "PIL"} & set(sys.modules)
        assert not heavy, heavy
        assert time.process_time() < 1.5, time.process_time()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Examples:") == 5
    assert f"\n{sp.__version__}\n" in done.stdout


def test_examples_in_the_help_are_commands_that_parse(capsys):
    shown = []
    for command in ("audit", "attack", "list", "report", "compare"):
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out.partition("Examples:")[2].replace("\\\n", " ")
        shown += [line.split()[1:] for line in text.splitlines() if line.startswith(f"saddlepoint {command} ")]
    assert {words[0] for words in shown} == {"audit", "attack", "list", "report", "compare"}
    for words in (shlex.split(" ".join(words)) for words in shown):
        _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
        for entry in split_attacks(bound.arguments.get("attacks") or ["pgd"]):
            attack = parse(entry)
            attacks.get(attack.name).attack(sp.Linf(0.1), **attack.options)
        if words[0] == "attack":
            convert(bound.arguments.get("option", {}), attacks.get(words[1]).build, words[1], ())


def test_completion_script_is_bash_and_knows_the_commands(tmp_path, capsys):
    script = tmp_path / "completion.sh"
    assert main(["--install-completion", "--shell", "bash", "--output", str(script)]) == 0
    capsys.readouterr()
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    text = script.read_text()
    assert all(word in text for word in ("audit", "attack", "list", "report", "--threat", "--weights"))


def test_a_report_is_built_again_as_it_was(finished, tmp_path, capsys):
    _, run = finished
    assert main(["report", str(run), "--out", str(tmp_path / "page.html")]) == 0
    assert capsys.readouterr().out == f"report: {tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_bytes() == (run / "report.html").read_bytes()
    assert (tmp_path / "page.json").read_bytes() == (run / "report.json").read_bytes()


def test_a_run_compared_with_itself_is_the_same(finished, capsys):
    _, run = finished
    assert main(["compare", str(run), str(run)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    summary = Summary.from_json((run / "summary.json").read_text())
    share = f"{100 * summary.threats[0].robust.value:.1f} %"
    row = re.compile(rf"linf:0.1 {share} {share} \+0\.0 -(\d+\.\d) to \+\1 0 0 1 may be chance")
    assert any(map(row.fullmatch, lines)), lines
    assert main(["compare", str(run), str(run), "--json"]) == 0
    _, told, *_ = json.loads(capsys.readouterr().out)["comparisons"]
    assert told["difference"] == 0 < told["high"] == -told["low"] < 0.1
    assert told["first"] == told["second"] == dataclasses.asdict(summary.threats[0].robust)


def test_proofs_are_printed_as_a_lower_limit(folder, capsys):
    words = ["audit", "cli_tiny:build", "--data", "tiny.npz", "--threat", "linf:0.01", "--curve", "none"]
    assert main([*words, "--attacks", "triage,square(steps=5)", "--proofs", "--no-report", "--out", "runs/proved"]) == 0
    threat = json.loads((folder / "runs/proved/summary.json").read_text())["threats"][0]
    assert 0 < threat["certified"] <= threat["robust"]["correct"]
    assert f"{threat['certified']} of" in capsys.readouterr().out


def test_certify_proves_for_the_model_or_for_its_vote(capsys):
    words = ["certify", "cli_tiny:build", "--data", "tiny.npz"]
    assert main([*words, "--threat", "linf:0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    right, proved = (
        int(next(line for line in lines if name in line).split(" of ")[0].split()[-1]) for name in ("right", "linf")
    )
    assert right == N - WRONG
    assert 0 < proved <= right
    assert main([*words, "--sigma", "0.1", "--votes", "200"]) == 0
    counts = [int(line.split(" of ")[0].split()[-1]) for line in capsys.readouterr().out.splitlines() if "l2:" in line]
    assert len(counts) == 6
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_stand_ins_and_draws_reach_the_model(folder, capsys):
    words = ["--data", "tiny.npz", "--threat", "linf:0.1", "--curve", "none", "--attacks", "triage,square(steps=5)"]
    assert main(["audit", "cli_tiny:rounded", *words, "--bpda", "0", "--no-report", "--out", "runs/bpda"]) == 0
    spec = json.loads((folder / "runs/bpda/spec.json").read_text())
    assert list(spec["model"]["bpda"]) == ["0"]
    summary = json.loads((folder / "runs/bpda/summary.json").read_text())
    assert "no-slope" not in {doubt["name"] for doubt in summary["doubts"]}
    assert main(["audit", "cli_tiny:Noisy", *words, "--draws", "3", "--no-report", "--out", "runs/noisy"]) == 0
    forwards = pq.read_table(folder / "runs/noisy/records.parquet")["forwards"].to_pylist()
    assert all(count % 20 == 0 for count in forwards), "an audit takes at least 20 draws"
    out = capsys.readouterr().out
    assert "The model is random" in out
    assert main(["audit", "cli_tiny:rounded", *words, "--bpda", "7", "--no-report", "--out", "runs/none"]) == 2
    assert "no module '7'" in one_line(capsys.readouterr().err)


def test_a_report_as_json_goes_to_stdout_alone(finished, capsys):
    _, run = finished
    page = run / "report.html"
    before = page.stat().st_mtime_ns
    assert main(["report", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run / "report.json").read_text())
    assert page.stat().st_mtime_ns == before


def test_a_bar_that_is_not_cleared_is_exit_code_1_after_all_is_written(finished, capsys):
    _, run = finished
    summary = Summary.from_json((run / "summary.json").read_text())
    same = [*AUDIT, *PLAN, "--out", "runs/tiny", "--quiet"]
    assert main([*same, "--fail-under", str(summary.union.value)]) == 0
    capsys.readouterr()
    assert main([*same, "--fail-under", str(summary.union.value + 0.01)]) == 1
    out, err = capsys.readouterr()
    assert f"report:  {Path('runs/tiny/report.html')}" in out
    assert re.fullmatch(r"saddlepoint: robust accuracy .* % is below --fail-under .* %\n", err)


def test_a_bar_is_not_cleared_by_numbers_that_mean_nothing(folder, capsys):
    words = [*PLAN, "--quiet", "--no-report", "--fail-under", "0"]
    of = ["--data", "tiny.npz", "--threat", "linf:0.1"]
    assert main(["audit", "cli_tiny:mixing", *of, *words, "--out", "runs/mixing"]) == 1
    out, err = capsys.readouterr()
    assert "verdict: invalid" in out
    assert err == "saddlepoint: the verdict is invalid: no number of this audit clears --fail-under\n"
    assert main(["audit", "cli_tiny:rounded", *of, *words, "--out", "runs/rounded-bar"]) == 0
    assert main(["audit", "cli_tiny:rounded", *of, *words, "--out", "runs/rounded-bar", "--fail-on", "flagged"]) == 1
    assert "the verdict is flagged" in capsys.readouterr().err


def test_a_comparison_says_how_far_each_run_is_to_be_trusted(folder, capsys):
    of = ["--data", "tiny.npz", "--threat", "linf:0.1", "--quiet", "--no-report", "--curve", "none"]
    assert main(["audit", "cli_tiny:mixing", *of, "--attacks", "pgd(steps=4)", "--out", "runs/mixed"]) == 0
    assert main(["audit", "cli_tiny:build", *of, "--plan", "quick", "--out", "runs/quick"]) == 0
    capsys.readouterr()
    assert main(["compare", "runs/mixed", "runs/quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(r"first:  runs/mixed: invalid \(company.*\)", line) for line in lines), lines
    assert any(line.startswith("second: runs/quick: ") for line in lines)
    assert "note: the plan differs: attacks as named and quick" in lines
    assert not any("is better" in line for line in lines)
    assert main(["compare", "runs/mixed", "runs/quick", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["trust"]
    assert (first["verdict"], first["plan"], second["plan"]) == ("invalid", None, "quick")


def test_a_surrogate_is_named_on_the_command_line(folder, capsys):
    of = ["cli_tiny:build", "--data", "tiny.npz", "--threat", "linf:0.1", "--steps", "3", "--quiet"]
    assert main(["attack", "p_rgf", *of, "--surrogate", "cli_tiny:rounded", "--out", "guided.safetensors"]) == 0
    with safe_open("guided.safetensors", "pt") as file:
        assert json.loads(file.metadata()["options"])["surrogate"] == "cli_tiny:rounded"
    two = "cli_tiny:build,cli_tiny:rounded"
    assert main(["attack", "subspace", *of, "--surrogate", two, "--dropout", "0"]) == 0
    capsys.readouterr()
    assert main(["attack", "p_rgf", *of, "--surrogate", "zoo:fashion-fgsm"]) == 2
    assert "fashion-fgsm" in capsys.readouterr().err
    assert main(["attack", "pgd", *of, "--surrogate", "cli_tiny:build"]) == 2
    assert "pgd has no option --surrogate" in capsys.readouterr().err


def test_a_lower_number_from_elsewhere_is_told(folder, capsys):
    known = [*AUDIT, *PLAN, "--out", "runs/known", "--quiet"]
    assert main([*known, "--known", "l2:0.3=0.0", "--known", "linf:0.1=1"]) == 0
    out, _ = capsys.readouterr()
    assert "flag: A lower number is known from elsewhere (L2 0.3). 0.0% were found by others" in out
    assert "from elsewhere (Linf" not in out


# Errors


@pytest.mark.parametrize(("name", "message"), LABELS)
@pytest.mark.parametrize("command", [AUDIT[:2], ATTACK[:3], ["certify", AUDIT[1]], ["transfer", AUDIT[1], AUDIT[1]]])
def test_labels_that_do_not_fit_are_told_before_anything_is_shown(capsys, command, name, message):
    assert main([*command, "--data", name, "--threat", "linf:0.1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in one_line(err)


def test_labels_need_not_fit_where_they_do_not_matter(capsys):
    assert main(["universal", AUDIT[1], "--data", "named.npz", "--threat", "linf:0.1", "--quiet", "--epochs", "1"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["adit"], 'Unknown command "adit". Did you mean "audit"?'),
        (["list", "atacks"], 'Did you mean "attacks"?'),
        (["audit", "zoo:fashion-standrd", *AUDIT[2:]], "did you mean fashion-standard?"),
        (["audit", "cli_tinny:build", *AUDIT[2:]], "no module 'cli_tinny'"),
        (["audit", "cli_tiny:biuld", *AUDIT[2:]], "did you mean build?"),
        (["audit", "./cli_tiny.py:build", *AUDIT[2:]], "did you mean cli_tiny:...?"),
        ([*AUDIT[:3], "nowhere.npz", *AUDIT[4:]], "nowhere.npz does not exist"),
        ([*AUDIT[:3], "digit", *AUDIT[4:]], "did you mean digits?"),
        ([*AUDIT[:3], "other.npz", *AUDIT[4:]], "samples of other.npz, which are [1, 2, 7]"),
        ([*AUDIT[:4]], "parameter --threat requires an argument"),
        ([*AUDIT[:4], "--thret", "linf:0.1"], "Did you mean --threat"),
        ([*AUDIT[:4], "--threat", "lif:0.1"], "unknown perturbation set 'lif'"),
        ([*AUDIT[:4], "--threat", "linf:8"], "did you mean 8/255?"),
        ([*AUDIT[:4], "--threat", "linf:0.1", "--threat", "linf:0.1"], "given twice"),
        ([*AUDIT, "--fail-under", "40"], "between 0 and 1; got 40"),
        ([*AUDIT, "--known", "0.4"], "unknown perturbation set"),
        ([*AUDIT, "--known", "linf:0.1=a"], "linf:8/255=0.42: 'a' is no number"),
        ([*AUDIT, "--known", "linf:0.2=0.4"], "known is about linf:0.2, which is not audited here"),
        (["certify", *AUDIT[1:4]], "say what to prove"),
        (["certify", *AUDIT[1:4], "--threat", "l0:3"], "no certificate is known for L0"),
        (["certify", "cli_tiny:rounded", *AUDIT[2:4], "--threat", "linf:0.1"], "--sigma certifies the vote"),
        ([*AUDIT, "--plan", "fast"], 'Choose from: "quick", "standard", "thorough"'),
        ([*AUDIT, "--plan", "quick", "--attacks", "pgd"], "the plan 'quick' too: leave one out"),
        ([*AUDIT, "--attacks", "pdg", "--curve", "none"], "did you mean pgd?"),
        ([*AUDIT, "--attacks", "pgd(stesp=3)", "--curve", "none"], "did you mean steps?"),
        ([*AUDIT, "--attacks", "pgd("], "parentheses do not match"),
        ([*AUDIT, "--attacks", "pgd(steps=__import__('os'))", "--curve", "none"], "is no attack"),
        ([*AUDIT, "--curve", "pgd"], "looks for the smallest perturbation; pgd does not"),
        ([*AUDIT, "--seed", "x"], 'unable to convert "x" into int'),
        ([*AUDIT, "--dtype", "float3"], 'Did you mean "float32"?'),
        ([*AUDIT, "--batch-size", "0"], "--batch-size must be at least 1"),
        ([*AUDIT, "--budget", "1", "--curve", "none"], "at least"),
        ([*AUDIT, "--weights", "nowhere.pt"], "no file of weights at nowhere.pt"),
        ([*AUDIT, "--weights", "wrong.safetensors"], "layer.weight is [4, 9] in the file, [4, 16] in the model"),
        ([*AUDIT, "--mean", "0.1,0.2"], "mean and std have [2] entries; inputs have 1 channels"),
        ([*AUDIT, "--std", "0"], "--std must be above 0"),
        ([*AUDIT, "--bounds", "0,0.5"], "--bounds are [0, 0.5]"),
        ([*AUDIT, "--bounds", "1,0"], "low < high"),
        ([*AUDIT, *PLAN, "--out", "tiny.npz"], "there is a file in its place"),
        ([*AUDIT, *PLAN, "--out", "."], "holds other files"),
        ([*ATTACK, "--stesp", "5"], "pgd has no option --stesp (did you mean --steps?)"),
        ([*ATTACK, "--restarts", "many"], "--restarts: a whole number is expected"),
        ([*ATTACK, "--out", "examples.npz"], "ends in .safetensors"),
        (["attack", "pdg", *ATTACK[2:]], "did you mean pgd?"),
        (["attack", "pgd", "cli_tiny:build", "--data", "tiny.npz"], "pgd needs a perturbation set with a radius"),
        (["attack", "pgd", "cli_tiny:build", "--data", "tiny.npz", "--threat", "insertions:3"], "pgd works in"),
        (["report", "nowhere"], "nowhere holds no run"),
        (["compare", "nowhere", "runs/tiny"], "nowhere holds no run"),
        (["report", "nowhere", "--ot", "page.html"], "--out"),
    ],
)
def test_every_error_is_one_line_with_a_way_out(capsys, words, message):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in one_line(err)


def test_a_device_that_is_not_there(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main([*AUDIT, "--device", "cuda"]) == 2
    assert "no CUDA device" in one_line(capsys.readouterr().err)


def test_errors_of_a_process_leave_no_traceback():
    done = saddlepoint("audit", "zoo:nothing", "--data", "digits", "--threat", "linf:0.1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "shipped are" in one_line(done.stderr)


def test_what_others_say_does_not_steer_the_terminal(capsys):
    assert main(["audit", "\x1b[31mred\x9b2J", *AUDIT[2:]]) == 2
    text = one_line(capsys.readouterr().err)
    assert text.isprintable()
    assert "[31mred" in text


def test_debug_shows_where_an_error_came_from():
    with pytest.raises(sp.errors.OptionError, match="shipped are"):
        main(["audit", "zoo:nothing", "--data", "digits", "--threat", "linf:0.1", "--debug"])


def test_faults_of_the_users_model_are_one_line_with_their_own_code(capsys):
    assert main(["audit", "cli_tiny:Bug", *AUDIT[2:], *PLAN, "--out", "runs/bug", "--quiet"]) == 70
    text = one_line(capsys.readouterr().err)
    assert text.startswith("ZeroDivisionError: in the model (")
    assert "--debug" in text


def test_a_reader_that_goes_away_ends_it_in_silence():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "saddlepoint.cli", "list", "data"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
