"""A model behind HTTP: the answers of the model itself, every input paid for once, every fault one line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import saddlepoint as sp
from saddlepoint.access.adapters.remote import from_endpoint
from saddlepoint.access.adapters.remote.bodies import message
from saddlepoint.access.adapters.remote.cache import Cache
from saddlepoint.access.adapters.remote.client import Client
from saddlepoint.access.adapters.remote.description import Description, read_description
from saddlepoint.access.adapters.remote.encoding import decoded, encoded, row
from saddlepoint.auditing.spec import weights_digest
from saddlepoint.cli import main
from saddlepoint.errors import ModelError, OptionError
from saddlepoint.zoo.opening import open_model

EXAMPLES = Path(__file__).parents[4] / "examples"
SECRET = "swordfish-1234"


@pytest.fixture
def images():
    return sp.zoo.data.load("fashion-mnist-1k[:6]")


def described(server, **more):
    return Description(server.url, kind=server.kind, classes=server.classes, **more)


def test_endpoints_tell_themselves_apart_by_address_and_protocol(served):
    server = served("scores")
    same, again, other = (from_endpoint(described(server, **more)) for more in ({}, {"batch": 3}, {"encoding": "png"}))
    assert weights_digest(same.network) == weights_digest(again.network) != weights_digest(other.network)


def test_a_header_that_chooses_a_model_tells_it_from_others():
    a, b, again = (Description("http://a", headers={"x-model": name}).meaning for name in ("a", "b", "a"))
    assert a == again != b
    assert a != Description("http://a").meaning


def test_where_classes_are_called_by_numbers_a_number_is_a_name():
    numbers = {"classes": ("3", "4", "5")}
    assert mocked(numbers, lambda _: (200, '{"labels": [5, "3"]}'))(torch.rand(2, 2)).argmax(1).tolist() == [2, 0]
    with pytest.raises(ModelError, match="the label 0, which is none of its 3 classes"):
        mocked(numbers, lambda _: (200, '{"labels": [0, 1]}'))(torch.rand(2, 2))


@pytest.mark.parametrize("kind", ["labels", "scores", "top"])
@pytest.mark.parametrize("encoding", ["floats", "float32", "bytes", "png"])
def test_it_answers_as_the_model_does(served, images, kind, encoding):
    model = from_endpoint(described(served(kind), encoding=encoding))
    right = sp.zoo.load("fashion-standard")(images.x)
    answers = model(images.x)
    assert answers.argmax(1).tolist() == right.argmax(1).tolist()
    if kind == "scores":
        torch.testing.assert_close(answers, right, rtol=1e-4, atol=1e-4)
    if kind == "top":
        best = right.softmax(1).topk(3)
        torch.testing.assert_close(answers.exp().gather(1, best.indices), best.values, rtol=1e-3, atol=1e-4)


def test_of_the_likeliest_it_says_what_a_model_at_hand_says_that_is_wrapped_so(served, images):
    here = sp.wrap(sp.zoo.load("fashion-standard"), top=3)(images.x)
    torch.testing.assert_close(
        from_endpoint(described(served("top")))(images.x).exp(), here.exp(), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("answer", [[["dog", 1.0], ["cat", 1e-9]], [["dog", 0.0]]])
def test_no_class_is_likelier_than_those_that_are_named(answer):
    """What is left for the others is taken for at least one in a million, and a named one may have less."""
    of = Description("http://a", kind="top", classes=("cat", "dog", "owl", "fox"))
    said = row(of, answer)
    named = [said[of.classes.index(name)] for name, _ in answer]
    assert min(named, default=1.0) >= said[2] == said[3]


def test_it_says_itself_what_it_is(served, images):
    model = open_model(served("scores").url)
    assert model.kind.kind == "scores"
    assert model(images.x).shape == (6, 10)


@pytest.mark.parametrize(("kind", "attack"), [("labels", "hop_skip_jump"), ("scores", "square")])
def test_the_command_line_finds_what_it_finds_on_the_model_at_hand(served, tmp_path, capsys, kind, attack):
    words = ["--data", "fashion-mnist-1k[:4]", "--threat", "linf:0.05", "--budget", "120", "--quiet", "--out"]
    results = []
    for i, (model, access) in enumerate([(served(kind).url, []), ("zoo:fashion-standard", ["--access", kind])]):
        assert main(["attack", attack, model, *words, str(tmp_path / f"{i}.safetensors"), *access]) == 0, (
            capsys.readouterr()
        )
        from safetensors.torch import load_file

        results.append(load_file(tmp_path / f"{i}.safetensors"))
    torch.testing.assert_close(results[0]["x_adv"], results[1]["x_adv"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("command", [["attack", "nes"], ["audit"]])
def test_labels_are_compared_before_the_first_question(served, images, tmp_path, capsys, command):
    server = served("scores")
    np.savez(tmp_path / "off.npz", x=images.x.numpy(), y=np.full(6, 10))
    words = ["--data", str(tmp_path / "off.npz"), "--threat", "linf:0.1", "--out", str(tmp_path / "o.safetensors")]
    assert main([*command, server.url, *words]) == 2
    assert "the labels of" in capsys.readouterr().err
    assert server.seen == 0


def test_nothing_is_paid_for_twice(served, images):
    server = served("labels")
    model = from_endpoint(described(server, cost=0.5))
    twice = torch.cat([images.x, images.x])
    model(twice)
    assert server.seen == 6
    from_endpoint(described(server))(twice)
    assert server.seen == 6
    usage = model.network.usage
    assert (usage.asked, usage.remembered, usage.paid, usage.cost) == (12, 6, 6, 3.0)


def test_a_limit_stops_exactly_and_is_gone_on_from(served, images):
    server = served("scores")
    model = from_endpoint(described(server, max_queries=4, batch=2))
    with pytest.raises(ModelError, match="4 inputs were paid for, and max_queries is 4; raise it"):
        model(images.x)
    assert server.seen == 4
    assert from_endpoint(described(server, max_queries=6, batch=2))(images.x).shape == (6, 10)
    assert server.seen == 6
    with pytest.raises(ModelError, match=r"3 were spent, and max_cost is 3;"):
        from_endpoint(described(server, cost=0.5, max_cost=3.0))(images.x / 2)


@pytest.mark.parametrize("fault", ["busy", "error", "cut"])
def test_what_passes_is_tried_again(served, images, fault):
    server = served("scores", [fault])
    server.every = 1
    model = from_endpoint(described(server))
    torch.testing.assert_close(model(images.x), sp.zoo.load("fashion-standard")(images.x), rtol=1e-4, atol=1e-4)
    assert model.network.usage.retried == 1


def test_what_does_not_pass_is_given_up_and_nothing_is_lost(served, images):
    server = served("scores", ["error"] * 9)
    server.every = 2
    model = from_endpoint(described(server, batch=3, retries=0))
    with pytest.raises(ModelError, match=r"failed 1 times, last: status 500; what was answered is kept"):
        model(images.x)
    assert server.seen == 3
    server.faults.clear()
    model(images.x)
    assert server.seen == 6


def test_a_slow_answer_is_a_fault(served, images):
    server = served("scores", ["slow"])
    server.every = 1
    model = from_endpoint(described(server, timeout=0.2, retries=0))
    with pytest.raises(ModelError, match="failed 1 times, last: ReadTimeout"):
        model(images.x)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("json", "answered no JSON: <html>"),
        ("labels", "the label a class nobody knows, which is none of its 10 classes: its labels have changed"),
        ("count", "gave 5 answers to 6 inputs"),
    ],
)
def test_answers_that_are_none_are_told_and_not_kept(served, images, fault, words):
    server = served("labels", [fault])
    server.every = 1
    with pytest.raises(ModelError, match=words):
        from_endpoint(described(server))(images.x)
    assert from_endpoint(described(server))(images.x).argmax(1).tolist() == images_labels(images)


def images_labels(images):
    return sp.zoo.load("fashion-standard")(images.x).argmax(1).tolist()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"scores": [[1.0, float("nan"), 0.0]]}, "3 finite ones were expected"),
        ({"scores": [[1.0, 2.0]]}, "answered 2 scores"),
        ({"scores": [["a", "b", "c"]]}, "scores were expected"),
        ({"labels": ["cat"]}, "answered nothing at 'scores'"),
    ],
)
def test_scores_that_are_none(answer, words):
    model = mocked({"kind": "scores"}, lambda _: (200, json.dumps(answer)))
    with pytest.raises(ModelError, match=words):
        model(torch.zeros(1, 2))


@pytest.mark.parametrize("answer", [[], [["cat", 0.5], ["cat", 0.3]]])
def test_the_likeliest_are_some_and_each_of_them_once(answer):
    model = mocked({"kind": "top"}, lambda _: (200, json.dumps({"top": [answer]})))
    with pytest.raises(ModelError, match="one class or more were expected, each of them once"):
        model(torch.zeros(1, 2))


def mocked(said, answer, sleep=lambda _: None, url="http://user:word@nowhere/predict?version=1"):
    """A model at an address where ``answer(request)`` gives status and text."""
    import httpx2

    of = Description(url, **{"classes": ("cat", "dog", "owl"), **said})

    def handle(got):
        status, text = answer(got)
        return httpx2.Response(status, text=text)

    return from_endpoint(of, client=Client(of, sleep=sleep, transport=httpx2.MockTransport(handle)))


def test_others_protocols_are_described(tmp_path, monkeypatch):
    (tmp_path / "vision.toml").write_text(
        """
        url = "https://host/v1/images:annotate"
        kind = "top"
        classes = ["cat", "dog", "owl"]
        encoding = "bytes"
        answer = "responses.0.labels"
        batch = 1
        rate = 1000.0

        [body]
        requests = [{image = "$input", features = [{type = "LABEL_DETECTION"}]}]

        [headers]
        authorization = "Bearer ${VISION_KEY}"
        """
    )
    monkeypatch.setenv("VISION_KEY", SECRET)
    of = read_description(tmp_path / "vision.toml")
    seen = []

    def answer(got):
        seen.append((got.headers["authorization"], json.loads(got.content)))
        return 200, json.dumps({"responses": [{"labels": [["dog", 0.7], ["cat", 0.2]]}]})

    import httpx2

    transport = httpx2.MockTransport(
        lambda got: httpx2.Response(*[f(answer(got)) for f in (lambda a: a[0],)], text=answer(got)[1])
    )
    model = from_endpoint(of, client=Client(of, transport=transport))
    torch.testing.assert_close(model(torch.ones(1, 1, 1, 1)).exp(), torch.tensor([[0.2, 0.7, 0.1]]))
    assert seen[0] == (
        f"Bearer {SECRET}",
        {"requests": [{"image": [[[255]]], "features": [{"type": "LABEL_DETECTION"}]}]},
    )
    assert SECRET not in repr(of) + repr(model) + of.meaning
    monkeypatch.delenv("VISION_KEY")
    with pytest.raises(ModelError, match=r"takes \$\{VISION_KEY\}, which the environment does not hold"):
        of.filled_headers()


def test_a_secret_is_nowhere_in_a_run(served, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KEY", SECRET)
    server = served("labels")
    heard = heard_by(server)
    (tmp_path / "net.toml").write_text(
        f'url = "{server.url}?token=${{KEY}}"\nkind = "labels"\nclasses = {json.dumps(list(server.classes))}\n'
        '[headers]\nauthorization = "Bearer ${KEY}"\n'
    )
    words = ["--data", "fashion-mnist-1k[:3]", "--threat", "l2:1", "--budget", "60", "--plan", "quick", "--out"]
    assert main(["audit", str(tmp_path / "net.toml"), *words, str(tmp_path / "run")]) == 0
    assert f"/?token={SECRET}" in heard
    assert_nowhere(SECRET, tmp_path, capsys)


def heard_by(server):
    """The paths of the requests that a server gets, from now on."""
    heard = []

    class Listening(server.RequestHandlerClass):
        def reply(self, *said, **more):
            heard.append(self.path)
            super().reply(*said, **more)

    server.RequestHandlerClass = Listening
    return heard


def assert_nowhere(secret, folder, capsys):
    said = capsys.readouterr()
    files = [file for file in folder.rglob("*") if file.is_file()]
    for name, text in [("out", said.out.encode()), ("err", said.err.encode()), *((f, f.read_bytes()) for f in files)]:
        assert secret.encode() not in text, name


AUDIT = ["--data", "fashion-mnist-1k[:3]", "--threat", "l2:1", "--budget", "60", "--plan", "quick", "--out"]


def test_a_secret_in_an_address_is_sent_and_recorded_by_its_name(served, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KEY", "sword+fish/1234=")
    server = served("labels")
    heard = heard_by(server)
    assert main(["audit", server.url + "?key=${KEY}", *AUDIT, str(tmp_path / "run")]) == 0
    assert set(heard) == {"/?key=sword%2Bfish%2F1234%3D"}
    for name in ("spec.json", "report.html"):
        assert "?key=${KEY}" in (tmp_path / "run" / name).read_text()
    for form in ("sword+fish", "sword%2Bfish"):
        assert_nowhere(form, tmp_path, capsys)


def test_a_secret_that_is_half_written_into_an_address_is_refused():
    with pytest.raises(ModelError, match="the value of 'key' in the address would be written into the run"):
        Description(f"http://a/?key={SECRET}${{REST}}")


def test_a_secret_that_is_written_into_an_address_is_refused_before_anything_is_written(served, tmp_path, capsys):
    server = served("labels")
    heard = heard_by(server)
    assert main(["audit", f"{server.url}?key={SECRET}", *AUDIT, str(tmp_path / "run")]) != 0
    said = capsys.readouterr()
    assert "write '?key=${NAME}' instead" in said.err
    assert SECRET not in said.out + said.err
    assert_nowhere(SECRET, tmp_path, capsys)
    assert heard == []


SECRETS = (
    "key api_key apikey api-key KEY subscription-key token access_token X-Amz-Security-Token client_secret password"
)


@pytest.mark.parametrize("name", [*SECRETS.split(), "passwd", "sig", "signature", "X-Amz-Signature", "code", "auth"])
def test_names_of_secrets_in_addresses(name):
    with pytest.raises(
        ModelError, match=rf"^http://a/b: the value of '{name}' .*\?{name}=\$\{{NAME\}}' instead"
    ) as told:
        Description(f"http://a/b?version=1&{name}={SECRET}#top")
    assert SECRET not in str(told.value)
    Description(f"http://a/b?version=1&{name}=${{ANY}}")


@pytest.mark.parametrize("query", ["version=2", "max_tokens=5", "keywords=cat", "country_code=de", "author=me", "key="])
def test_what_is_no_secret_may_stand_in_an_address(query):
    Description(f"http://a/b?{query}")


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Api-Key", "x-auth-token", "X-Token-Id", "my-secret-word", "Cookie"]
)
def test_secrets_that_are_written_into_headers_are_refused(name, tmp_path):
    (tmp_path / "net.toml").write_text(f'url = "http://a"\n[headers]\n{name} = "Bearer {SECRET}"')
    with pytest.raises(ModelError, match=rf"the header '{name}' is written out.*write \$\{{NAME\}} instead") as told:
        read_description(tmp_path / "net.toml")
    assert SECRET not in str(told.value)
    Description("http://a", headers={name: "Bearer ${ANY}", "accept": "application/json"})


def test_a_host_is_not_taken_from_the_environment():
    with pytest.raises(ModelError, match="answers are kept by address, so its host is written out"):
        Description("http://${HOST}/predict")


@pytest.mark.parametrize(
    "said",
    [
        (403, "no such key: {}"),
        (200, "who is {}?"),
        (200, '{{"error": "{}"}}'),
        (200, '{{"labels": ["no such key: {}"]}}'),
    ],
)
def test_an_endpoint_that_repeats_a_secret_is_told_without_it(said, monkeypatch):
    monkeypatch.setenv("KEY", SECRET)
    model = mocked({}, lambda _: (said[0], said[1].format(SECRET)), url="http://a/${KEY}/b")
    with pytest.raises(ModelError, match=r"\$\{KEY\}") as told:
        model(torch.zeros(1, 2))
    assert SECRET not in str(told.value)


def test_a_variable_of_an_address_that_is_not_set():
    with pytest.raises(ModelError, match=r"http://a: the address takes \$\{NOBODYS\}, which the environment does not"):
        mocked({"classes": ()}, lambda _: (200, ""), url="http://a?key=${NOBODYS}")


@pytest.mark.parametrize("label", ["label", "name", "description", "class", "class_name"])
@pytest.mark.parametrize("number", ["score", "confidence", "probability", "prob"])
def test_the_likeliest_may_be_objects(label, number):
    likeliest = [{"id": 7, number: 0.7, label: "dog"}, {"id": 9, number: 0.2, label: "cat"}]
    model = mocked({"kind": "top", "answer": "*"}, lambda _: (200, json.dumps([likeliest, likeliest])))
    right = torch.tensor([[0.2, 0.7, 0.1]] * 2)
    torch.testing.assert_close(model(torch.eye(2)).exp(), right)


@pytest.mark.parametrize("answer", [{"label": "dog"}, {"score": 0.5}, {}, {"label": "dog", "score": "much"}])
def test_objects_without_a_name_or_a_number_are_told(answer):
    model = mocked({"kind": "top"}, lambda _: (200, json.dumps({"top": [[answer]]})))
    with pytest.raises(ModelError, match=r"^http://nowhere/predict answered .* were expected$"):
        model(torch.zeros(1, 2))


def grown(attempt):
    """A wait between a half and the whole of 0.1 s, doubled at each attempt."""
    return pytest.approx(0.1 * 2**attempt * 0.75, rel=1 / 3 + 0.01)


def test_the_first_question_is_tried_again_as_others_are(waits):
    left = [(503, ""), (429, ""), (200, '{"kind": "labels", "classes": ["cat", "owl"]}')]
    model = mocked({"classes": ()}, lambda _: left.pop(0), sleep=waits.append)
    assert model.class_names == ("cat", "owl")
    assert len(waits) == 2
    assert waits == [grown(0), grown(1)]


def test_a_first_question_that_is_never_answered_is_told_as_such():
    asked = []
    with pytest.raises(ModelError, match=r"http://nowhere/predict failed 3 times, last: status 503"):
        mocked({"classes": (), "retries": 2}, lambda got: (asked.append(got), (503, ""))[1])
    assert [got.method for got in asked] == ["GET"] * 3


def test_a_refusal_is_not_tried_again():
    asked = []
    model = mocked({}, lambda got: (asked.append(got), (403, "no such key"))[1])
    with pytest.raises(ModelError, match=r"http://nowhere/predict refused a request with status 403: 'no such key'"):
        model(torch.zeros(1, 2))
    assert len(asked) == 1


def test_json_that_is_nested_too_deep_is_none():
    with pytest.raises(ModelError, match="answered no JSON"):
        mocked({}, lambda _: (200, "[" * 100_000))(torch.zeros(1, 2))


def test_labels_written_as_floats_are_labels():
    assert mocked({}, lambda _: (200, '{"labels": [2.0, 1]}'))(torch.rand(2, 2)).argmax(1).tolist() == [2, 1]
    with pytest.raises(ModelError, match=r"the label 1\.5, which is none of its 3 classes"):
        mocked({}, lambda _: (200, '{"labels": [1.5, 1]}'))(torch.rand(2, 2))


def test_waits_are_those_that_the_server_asks_for(waits):
    left = [(503, ""), (429, ""), (200, '{"labels": ["owl"]}')]
    model = mocked({}, lambda _: left.pop(0), sleep=waits.append)
    assert model(torch.zeros(1, 2)).argmax(1).tolist() == [2]
    assert len(waits) == 2
    assert waits == [grown(0), grown(1)]


def test_requests_keep_to_a_rate(waits):
    model = mocked({"rate": 10.0, "batch": 1}, lambda _: (200, '{"labels": [0]}'), sleep=waits.append)
    model(torch.rand(5, 2))
    assert waits == pytest.approx([0.1] * 4)


KILLED = """
import os, signal, sys
import torch, saddlepoint as sp
from saddlepoint.access.adapters.remote import from_endpoint
from saddlepoint.access.adapters.remote.description import Description
url, classes = sys.argv[1], tuple(sys.argv[2].split("|"))
model = from_endpoint(Description(url, kind="scores", classes=classes, batch=2))
put = model.network.cache.put
def once(answers, count=[0]):
    put(answers)
    count[0] += 1
    if count[0] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
model.network.cache.put = once
model(sp.zoo.data.load("fashion-mnist-1k[:6]").x)
"""


def test_a_kill_loses_nothing_that_was_paid(served, images):
    server = served("scores")
    words = [sys.executable, "-c", KILLED, server.url, "|".join(server.classes)]
    done = subprocess.run(words, env=dict(os.environ), capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert server.seen == 4
    from_endpoint(described(server, batch=2))(images.x)
    assert server.seen == 6


def test_a_damaged_memory_is_told(tmp_path):
    cache = Cache("anything")
    cache.file.close()
    cache.path.write_bytes(b"no database at all, but long enough to look like one" * 40)
    with pytest.raises(ModelError, match=f"{cache.path.name} cannot be used to keep answers"):
        Cache("anything")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("url = 3 +", "is no TOML file"),
        ('kind = "labels"', "names no url"),
        ('url = "http://a"\nbtach = 3', "'btach' is not known; known are url"),
        ('url = "http://a"\nkind = "logits"', "kind is one of labels, scores, top; got 'logits'"),
        ('url = "http://a"\nbatch = 0', "batch, parallel and timeout are above 0"),
        ('url = "http://a"\nbody = "{"', "the body is no JSON"),
        ('url = "http://"', "'http://' is no address of an endpoint; https://HOST/PATH or http:// was expected"),
        ('url = "ftp://host/net"', "'ftp://host/net' is no address of an endpoint"),
        ("url = 5", "net.toml: url = 5; a text in quotes was expected"),
        ('url = "http://a"\nanswer = 3', "answer = 3; a text in quotes was expected"),
        ('url = "http://a"\ntimeout = "a"', "timeout = 'a'; a number was expected"),
        ('url = "http://a"\nbatch = 2.5', "batch = 2.5; a whole number was expected"),
        ('url = "http://a"\nretries = true', "retries = True; a whole number was expected"),
        ('url = "http://a"\nclasses = "abc"', "classes = 'abc'; a list of names was expected"),
        ('url = "http://a"\nclasses = ["a", "b", "a"]', "'a' is named twice among the classes"),
        ('url = "http://a"\nbody = "{}"', 'has neither "\\$inputs" nor "\\$input"'),
    ],
)
def test_descriptions_that_are_none(tmp_path, text, words):
    (tmp_path / "net.toml").write_text(text)
    with pytest.raises(ModelError, match=words):
        read_description(tmp_path / "net.toml")
    with pytest.raises(ModelError, match="no file at"):
        read_description(tmp_path / "none.toml")


def test_an_endpoint_that_says_nothing_of_itself():
    with pytest.raises(ModelError, match=r"127.0.0.1:9/predict failed 6 times, last: ConnectError: "):
        open_model("http://127.0.0.1:9/predict")


def test_credentials_do_not_belong_into_an_address():
    with pytest.raises(OptionError, match=r"credentials would be written into the run: put them into a header"):
        open_model("http://user:word@127.0.0.1/predict")


def test_slopes_are_not_to_be_had(served):
    with pytest.raises(OptionError, match="answers scores: it gives no gradients"):
        open_model(served("scores").url, access="gradients")
    with pytest.raises(OptionError, match="answers labels: it gives no scores"):
        open_model(served("labels").url, access="scores")
    assert open_model(served("scores").url, access="labels").kind.kind == "labels"


@pytest.mark.parametrize("encoding", ["floats", "float32", "bytes", "png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_inputs_come_back_as_they_were_sent(encoding, channels):
    x = torch.rand(channels, 4, 5, generator=torch.Generator().manual_seed(0))
    back = torch.from_numpy(decoded(json.loads(json.dumps(encoded(x, encoding)))).copy())
    torch.testing.assert_close(back, x, rtol=0, atol=0 if encoding.startswith("float") else 0.5 / 255 + 1e-6)


def test_a_body_takes_one_input_or_many():
    of = Description("http://a", body='{"image": "$input", "name": "$input.png"}')
    assert json.loads(message(of, [[1, 2]])["content"]) == {"image": [1, 2], "name": "$input.png"}
    of = Description("http://a")
    assert json.loads(message(of, [[1], [2]])["content"]) == {"inputs": [[1], [2]]}
