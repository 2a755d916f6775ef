"""The Python in the pages on models runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import saddlepoint as sp

DOCS = Path(__file__).parents[1] / "docs"


def python(page):
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def filters(tmp_path, monkeypatch):
    code = next(block for block in python("models.md") if "def build" in block)
    (tmp_path / "docs_filters.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return sp.open_model("docs_filters:build")


def test_the_estimator_of_the_docs_is_a_model_with_slopes(filters):
    from sklearn.datasets import load_breast_cancer

    x, y = (torch.from_numpy(np.asarray(a)) for a in load_breast_cancer(return_X_y=True))
    scores = filters(x[:50].requires_grad_())
    assert scores.requires_grad
    assert float(((scores.squeeze(1) > 0).long() == y[:50]).float().mean()) > 0.9


def test_a_model_is_learned_from_labels_as_the_docs_say(capsys):
    exec(next(block for block in python("models.md") if "learn_substitute" in block), {})
    assert capsys.readouterr().out.startswith("(150, 300, 600) (0.")


def test_the_description_of_an_endpoint_in_the_docs_is_one(tmp_path):
    from saddlepoint.access.adapters.remote.description import read_description

    (text,) = re.findall(r"^```toml\n(.*?)^```", (DOCS / "endpoints.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "vision.toml").write_text(text)
    described = read_description(tmp_path / "vision.toml")
    assert (described.kind, described.batch, described.max_cost) == ("top", 16, 30.0)
