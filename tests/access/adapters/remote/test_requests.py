"""How requests are written, sent side by side, held back and counted, with the examples' server and its faults."""

import datetime
import email.utils
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import saddlepoint as sp
from saddlepoint.access.adapters.remote import from_endpoint
from saddlepoint.access.adapters.remote.client import Client
from saddlepoint.access.adapters.remote.description import Description, read_description
from saddlepoint.access.adapters.remote.encoding import encoded, picture
from saddlepoint.cli import main
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.setup import prepare
from saddlepoint.errors import ModelError, OptionError

SECRET = "swordfish-1234"


@pytest.fixture
def x():
    return sp.zoo.data.load("fashion-mnist-1k[:6]").x


@pytest.fixture
def right(x):
    with torch.no_grad():
        return sp.zoo.load("fashion-standard")(x)


def described(server, **more):
    return Description(server.url, kind=server.kind, classes=server.classes, **more)


def mocked(said, answer, sleep=lambda _: None, url="http://nowhere/predict"):
    """A model at an address where ``answer(request)`` gives a response, and its client."""
    import httpx2

    of = Description(url, **{"classes": ("cat", "dog", "owl"), **said})
    return from_endpoint(of, client=Client(of, sleep=sleep, transport=httpx2.MockTransport(answer)))


def response(status, text="", **headers):
    import httpx2

    return httpx2.Response(status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("body", ['{"picture": "$inputs", "model": "v1"}', '{"picture": "$input"}'])
def test_files_of_a_form(served, x, right, encoding, body):
    server = served()
    answer = "scores" if "inputs" in body else "scores.0"
    model = from_endpoint(described(server, form="multipart", encoding=encoding, body=body, answer=answer, batch=4))
    torch.testing.assert_close(model(x), right, rtol=0, atol=1e-3 if encoding == "png" else 1.0)
    assert model.network.usage.requests == (2 if "inputs" in body else 6)


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_nothing_but_the_bytes_of_a_picture(served, x, right, encoding):
    model = from_endpoint(described(served(), form="raw", encoding=encoding, answer="scores.0"))
    torch.testing.assert_close(model(x), right, rtol=0, atol=1e-3 if encoding == "png" else 1.0)


def test_the_fields_of_a_form_and_the_bytes_of_arrays(monkeypatch):
    monkeypatch.setenv("USER_KEY", SECRET)
    seen = []

    def answer(got):
        seen.append((got.headers["content-type"].partition(";")[0], got.content))
        return response(200, '{"labels": "dog"}')

    body = json.dumps({"image": "$input", "token": "${USER_KEY}", "detail": "high"})
    x = torch.tensor([[[[0.0, 1.0]], [[0.5, 0.25]], [[1.0, 0.0]]]])
    mocked({"form": "multipart", "encoding": "png", "body": body}, answer)(x)
    kind, content = seen.pop()
    assert kind == "multipart/form-data"
    for part in (
        b'name="token"',
        SECRET.encode(),
        b'name="detail"',
        b'name="image"; filename="input0.png"',
        b"image/png",
    ):
        assert part in content
    mocked({"form": "raw", "encoding": "float32"}, answer)(x)
    mocked({"form": "raw", "encoding": "bytes", "channels_last": True}, answer)(x)
    assert seen[0] == ("application/octet-stream", x.numpy().astype("<f4").tobytes())
    assert seen[1][1] == bytes([0, 128, 255, 255, 64, 0])


@pytest.mark.parametrize("encoding", ["floats", "float32", "bytes"])
def test_arrays_with_channels_last(served, x, right, encoding):
    server = served()
    server.last = True
    model = from_endpoint(described(server, encoding=encoding, channels_last=True))
    torch.testing.assert_close(model(x), right, rtol=0, atol=1e-3)


def test_pictures_have_their_channels_where_files_have_them():
    x = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(0))
    for encoding in ("png", "jpeg"):
        import base64

        back = torch.from_numpy(picture(base64.b64decode(encoded(x, encoding, channels_last=True, quality=100))))
        assert back.shape == x.shape
        assert float((back - x).abs().max()) < (0.003 if encoding == "png" else 0.2)


def test_an_address_that_holds_a_picture():
    seen = []

    def answer(got):
        seen.append(json.loads(got.content))
        return response(200, '{"labels": "owl"}')

    body = '{"messages": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,$input"}}]}'
    mocked({"encoding": "png", "body": body}, answer)(torch.zeros(1, 1, 2, 2))
    url = seen[0]["messages"][0]["image_url"]["url"]
    assert url == "data:image/png;base64," + encoded(torch.zeros(1, 2, 2), "png")


def test_means_and_deviations_are_applied_before_it_is_sent(served, x, right, tmp_path):
    seen = []

    def answer(got):
        seen.append(json.loads(got.content)["inputs"])
        return response(200, '{"labels": ["owl"]}')

    mocked({"encoding": "floats", "mean": (0.5, 0.25), "std": (0.5,)}, answer)(torch.ones(1, 2, 1, 1))
    assert seen == [[[[[1.0]], [[1.5]]]]]
    server = served()
    address = ModelOptions(mean="0.5", std="2")
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=right.argmax(1).numpy(), classes=np.array(server.classes))
    ready = prepare(server.url, str(tmp_path / "data.npz"), address, WorkOptions())
    with torch.no_grad():
        shown = sp.zoo.load("fashion-standard")((x - 0.5) / 2)
    torch.testing.assert_close(ready.model(x), shown, rtol=1e-4, atol=1e-4)
    (tmp_path / "net.toml").write_text(
        f'url = "{server.url}"\nkind = "scores"\nencoding = "floats"\nmean = 0.5\nstd = [2.0]\n'
        f"classes = {json.dumps(list(server.classes))}"
    )
    torch.testing.assert_close(from_endpoint(read_description(tmp_path / "net.toml"))(x), shown, rtol=1e-4, atol=1e-4)
    with pytest.raises(OptionError, match="wrapped already, so --mean, --std cannot be given"):
        prepare(str(tmp_path / "net.toml"), str(tmp_path / "data.npz"), address, WorkOptions())


def test_levels_hold_no_numbers_beyond_their_range():
    with pytest.raises(ModelError, match=r"numbers beyond \[0, 1\], which encoding 'png' cannot hold"):
        Description("http://a", encoding="png", mean=(0.5,))
    with pytest.raises(ModelError, match=r"inputs from -1 to 1 \(mean and std\?\) cannot be sent as bytes"):
        encoded(torch.tensor([-1.0, 1.0]), "bytes")


@pytest.mark.parametrize("parallel", [1, 3])
def test_requests_go_side_by_side_and_their_answers_in_order(served, x, right, parallel):
    server = served()
    server.delay = 0.15
    model = from_endpoint(described(server, batch=1, parallel=parallel))
    torch.testing.assert_close(model(torch.cat([x, x.flip(0)])), torch.cat([right, right.flip(0)]), rtol=0, atol=1e-3)
    assert server.most == parallel
    assert (server.seen, model.network.usage.paid, model.network.usage.remembered) == (6, 6, 6)


def test_faults_side_by_side_lose_nothing_and_are_paid_once(served, x, right):
    server = served("scores", ["busy", "cut", "error", "slow"])
    server.every = 2
    model = from_endpoint(described(server, batch=1, parallel=3, timeout=0.5))
    torch.testing.assert_close(model(x), right, rtol=0, atol=1e-3)
    usage = model.usage
    assert usage.retried >= 3
    assert usage.requests == 6 + usage.retried
    assert usage.paid == 6


def test_one_failure_side_by_side_keeps_what_the_others_were_answered(served, x):
    server = served("scores", ["json"])
    server.every, server.delay = 2, 0.1
    model = from_endpoint(described(server, batch=1, parallel=3))
    with pytest.raises(ModelError, match="answered no JSON"):
        model(x)
    kept = model.network.cache.paid()
    assert 2 <= kept < 6
    model(x)
    assert model.network.cache.paid() == 6
    assert server.seen == 7  # the answer that was none had to be asked for again


def test_a_limit_stops_exactly_side_by_side(served, x):
    server = served()
    server.delay = 0.05
    with pytest.raises(ModelError, match="max_queries is 4; raise it"):
        from_endpoint(described(server, batch=1, parallel=3, max_queries=4))(x)
    assert server.seen == 4


def test_a_rate_holds_side_by_side(served, x):
    server = served()
    model = from_endpoint(described(server, batch=1, parallel=4, rate=20.0))
    began = time.monotonic()
    model(x)
    assert time.monotonic() - began >= 5 / 20


def test_a_redirection_is_not_followed_and_told(monkeypatch):
    monkeypatch.setenv("DOOR_KEY", SECRET)
    sent = {"location": f"https://elsewhere/{SECRET}/net?key={SECRET}"}
    model = mocked({"headers": {"X-Key": "${DOOR_KEY}"}}, lambda _: response(307, **sent))
    with pytest.raises(ModelError, match=r"points to https://elsewhere/\$\{DOOR_KEY\}/net: name that address") as told:
        model(torch.zeros(1, 2))
    assert SECRET not in str(told.value)


def test_waits_grow_and_are_never_quite_the_same(waits):
    def more():
        before, left = len(waits), [503, 429, 500, 200]
        model = mocked({}, lambda _: response(left.pop(0), '{"labels": ["owl"]}'), sleep=waits.append)
        model(torch.zeros(1, 2))
        model.network.cache.file.execute("delete from answers")
        model.network.cache.file.commit()
        return waits[before:]

    some = [more() for _ in range(5)]
    for found in some:
        assert len(found) == 3
        assert all(0.04 * 2**i <= wait <= 0.1 * 2**i for i, wait in enumerate(found))
    assert len({round(found[2], 6) for found in some}) > 1


@pytest.mark.parametrize("dated", [True, False])
def test_a_server_says_how_long_in_seconds_or_by_a_date(dated):
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=20)
    asked = email.utils.format_datetime(later, usegmt=True) if dated else "19"
    waits, left = [], [response(429, retry_after=asked), response(200, '{"labels": ["owl"]}')]
    mocked({}, lambda _: left.pop(0), sleep=waits.append)(torch.zeros(1, 2))
    assert len(waits) == 1
    assert 17 <= waits[0] <= 20


@pytest.mark.parametrize("said", ["Wed, 21 Oct 2015 07:28:00 GMT", "a while"])
def test_a_date_that_is_over_or_none_is_no_reason_to_wait_long(said):
    waits, left = [], [response(429, retry_after=said), response(200, '{"labels": ["owl"]}')]
    mocked({}, lambda _: left.pop(0), sleep=waits.append)(torch.zeros(1, 2))
    assert sum(waits) <= 0.1


def test_secrets_of_a_body_come_from_the_environment_and_go_nowhere_else(monkeypatch):
    seen = []

    def answer(got):
        seen.append(json.loads(got.content))
        return response(403, f"who is {SECRET}?")

    body = '{"auth": {"api_key": "${BODY_KEY}"}, "inputs": "$inputs"}'
    model = mocked({"body": body, "encoding": "floats"}, answer)
    with pytest.raises(ModelError, match=r"takes \$\{BODY_KEY\}, which the environment does not hold"):
        model(torch.zeros(1, 1))
    monkeypatch.setenv("BODY_KEY", SECRET)
    with pytest.raises(ModelError, match=r"who is \$\{BODY_KEY\}") as told:
        model(torch.zeros(1, 1))
    assert seen == [{"auth": {"api_key": SECRET}, "inputs": [[0.0]]}]
    assert SECRET not in str(told.value) + repr(model.network.of) + model.network.of.meaning


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"body": '{"auth": {"api_key": "abc"}, "x": "$input"}'}, "the value of 'api_key' in the body is written out"),
        ({"form": "raw", "body": '{"x": "$input"}'}, "so it takes no body"),
        ({"form": "multipart", "body": '["$input"]'}, "a text for each of its fields"),
        ({"form": "multipart", "body": '{"x": "$input", "n": 3}'}, "a text for each of its fields"),
        ({"form": "xml"}, "form is one of json, multipart, raw; got 'xml'"),
        ({"parallel": 0}, "batch, parallel and timeout are above 0"),
        ({"quality": 0}, "quality is from 1 to 100"),
        ({"body": '{"x": "see $input"}'}, "has neither"),
    ],
)
def test_descriptions_that_cannot_be_sent(said, words):
    with pytest.raises(ModelError, match=words):
        Description("http://a", **said)


def test_an_audit_says_what_it_asked_over_all_of_its_calls(served, tmp_path, capsys):
    server = served("labels", ["busy"])
    (tmp_path / "net.toml").write_text(
        f'url = "{server.url}"\nkind = "labels"\ncost = 0.5\nmax_queries = 40\nbatch = 5\n'
        f"classes = {json.dumps(list(server.classes))}"
    )
    words = ["--data", "fashion-mnist-1k[:3]", "--threat", "l2:1", "--budget", "60", "--plan", "quick", "--quiet"]
    typed = ["audit", str(tmp_path / "net.toml"), *words, "--out", str(tmp_path / "run")]
    assert main(typed) != 0
    assert "max_queries is 40" in capsys.readouterr().err
    text = (tmp_path / "net.toml").read_text()
    (tmp_path / "net.toml").write_text(text.replace("max_queries = 40\n", ""))
    assert main(typed) == 0
    said = capsys.readouterr().out
    usage = json.loads((tmp_path / "run" / "summary.json").read_text())["outlay"]["usage"]
    assert usage["paid"] == server.seen > 40
    assert usage["cost"] == server.seen / 2
    assert 0 <= usage["asked"] - usage["paid"] - usage["remembered"] <= 5  # those that the limit left unanswered
    assert usage["retried"] == 1
    assert usage["requests"] == server.requests
    assert f"paid {server.seen}" in " ".join(said.split())
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Questions" in page
    assert f"paid {usage['paid']}," in " ".join(said.split())
    assert main(["report", str(tmp_path / "run"), "--format", "json"]) == 0


KILLED = """
import os, signal, sys
import saddlepoint.auditing.atomic as atomic
from saddlepoint.cli import main
replace, count = os.replace, [0]
def once(source, target):
    replace(source, target)
    count[0] += os.path.basename(target) == "outlay.json"
    if count[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
atomic.os.replace = once
main(sys.argv[1:])
"""


def test_what_was_paid_before_a_kill_is_counted(served, tmp_path):
    server = served("scores")
    words = ["--data", "fashion-mnist-1k[:6]", "--threat", "linf:0.05", "--attacks", "square", "--curve", "none"]
    words += ["--budget", "20", "--piece-size", "2", "--quiet", "--no-report", "--out", str(tmp_path / "run")]
    typed = ["audit", server.url, *words]
    done = subprocess.run([sys.executable, "-c", KILLED, *typed], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = server.seen
    assert main(typed) == 0
    usage = json.loads((tmp_path / "run" / "summary.json").read_text())["outlay"]["usage"]
    assert usage["paid"] == server.seen > before > 0


def test_an_attack_says_what_it_asked(served, capsys):
    server = served("scores")
    words = ["--data", "fashion-mnist-1k[:2]", "--threat", "linf:0.05", "--budget", "20", "--quiet"]
    assert main(["attack", "square", server.url, *words]) == 0
    assert f"paid {server.seen}," in capsys.readouterr().out
