"""The examples' server of a model to ask over HTTP, and a memory of its own for each test."""

import contextlib
import sys
import threading
import types
from pathlib import Path

import pytest

import saddlepoint as sp

sys.path.append(str(Path(__file__).parents[4] / "examples"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def served():
    """Starts servers of zoo:fashion-standard, and stops them."""
    from serve_model import Server

    with contextlib.ExitStack() as stack:

        def start(kind="scores", faults=()):
            classes = sp.zoo.data.load("fashion-mnist-1k[:1]").classes
            model = sp.wrap(sp.zoo.load("fashion-standard"))
            server = stack.enter_context(Server(model, classes, kind, 0, tuple(faults)))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            stack.callback(server.shutdown)
            return server

        yield start


@pytest.fixture
def waits(monkeypatch):
    """What a client waited for, with ``sleep=waits.append``: its clock goes on while it waits, and stands otherwise."""
    found = []
    clock = types.SimpleNamespace(monotonic=lambda: sum(found))
    monkeypatch.setattr("saddlepoint.access.adapters.remote.client.time", clock)
    return found
