"""A model behind HTTP, to try attacks on what is only asked from afar; it can be made to fail as real ones do.

    python examples/serve_model.py zoo:fashion-standard --kind labels --port 8000
    saddlepoint audit http://localhost:8000/ --data 'fashion-mnist-1k[:20]' --threat l2:1.5 --budget 500

The protocol: GET / answers {"kind": ..., "classes": [...]}; POST / takes {"inputs": [...]}, the files of a form, or one
picture as it is, and answers {"labels": [...]}, {"scores": [[...], ...]} or {"top": [[["sandal", 0.9], ...], ...]}.
"""

from __future__ import annotations

import argparse
import email
import http.server
import json
import threading
import time
from typing import Any

import numpy as np
import torch

import saddlepoint as sp
from saddlepoint.access.adapters.remote.encoding import decoded, picture

FAULTS = ("slow", "busy", "error", "json", "cut", "labels", "count")
"""An answer after a second, status 429, status 500, no JSON, a connection cut, a new label, one answer too few."""


class Server(http.server.ThreadingHTTPServer):
    """Answers for ``model``; every third request meets the next of ``faults``.

    ``seen`` counts inputs answered, ``most`` the requests that were under way at a time; each takes ``delay`` seconds.
    ``last`` says that arrays come as [H, W, C].
    """

    daemon_threads = True

    def __init__(
        self,
        model: sp.Model,
        classes: tuple[str, ...],
        kind: str,
        port: int = 0,
        faults: tuple[str, ...] = (),
        top: int = 3,
    ):
        super().__init__(("127.0.0.1", port), Handler)
        self.model, self.classes, self.kind, self.faults = model, classes, kind, list(faults)
        self.every, self.requests, self.seen, self.lock, self.top = 3, 0, 0, threading.Lock(), top
        self.now, self.most, self.delay, self.last = 0, 0, 0.0, False

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def fault(self) -> str | None:
        """What goes wrong with this request, if anything."""
        with self.lock:
            self.requests += 1
            return self.faults.pop(0) if self.faults and self.requests % self.every == 0 else None

    def busy(self, more: int) -> None:
        """Count a request that begins (1) or ends (-1)."""
        with self.lock:
            self.now += more
            self.most = max(self.most, self.now)

    def inputs(self, kind: str, body: bytes) -> list[Any]:
        """The arrays in a request of that content type."""
        if kind.startswith("application/json"):
            arrays = [decoded(one) for one in json.loads(body)["inputs"]]
            return [np.moveaxis(one, 2, 0) for one in arrays] if self.last else arrays
        if kind.startswith("multipart/form-data"):
            form = email.message_from_bytes(f"content-type: {kind}\r\n\r\n".encode() + body)
            return [picture(part.get_payload(decode=True)) for part in form.get_payload() if part.get_filename()]
        return [picture(body)]

    def answer(self, inputs: list[Any]) -> dict[str, Any]:
        """What the model says of these."""
        x = torch.from_numpy(np.stack(inputs))
        with torch.no_grad(), self.lock, self.model.quiet():
            scores = self.model(x)
        if self.kind == "scores":
            return {"scores": scores.double().tolist()}
        if self.kind == "labels":
            return {"labels": [self.classes[k] for k in scores.argmax(1)]}
        best = scores.double().softmax(1).topk(self.top)
        rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return {"top": [[[self.classes[k], p] for k, p in zip(*row, strict=True)] for row in rows]}


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """What this is."""
        self.reply(json.dumps({"kind": self.server.kind, "classes": self.server.classes}).encode())

    def do_POST(self) -> None:
        """Answers, or a fault."""
        self.server.busy(1)
        try:
            time.sleep(self.server.delay)
            self.asked(self.rfile.read(int(self.headers["content-length"])))
        finally:
            self.server.busy(-1)

    def asked(self, body: bytes) -> None:
        """The answer to a request."""
        fault = self.server.fault()
        if fault == "busy":
            return self.reply(b"{}", 429, {"retry-after": "0.01"})
        if fault == "error":
            return self.reply(b"{}", 500)
        if fault == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
            self.close_connection = True
            return None
        if fault == "slow":
            time.sleep(1)
        inputs = self.server.inputs(self.headers["content-type"], body)
        out = self.server.answer(inputs)
        with self.server.lock:
            self.server.seen += len(inputs)
        if fault == "labels":
            out = {"labels": ["a class nobody knows"] * len(inputs)}
        if fault == "count":
            out = {key: value[:-1] for key, value in out.items()}
        return self.reply(b"<html>" if fault == "json" else json.dumps(out).encode())

    def reply(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send a response."""
        self.send_response(status)
        for key, value in {"content-length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="zoo:fashion-standard", help="what saddlepoint takes for a model")
    parser.add_argument("--kind", choices=["labels", "scores", "top"], default="labels")
    parser.add_argument("--top", type=int, default=3, help="how many of the likeliest classes --kind top names")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--faults", nargs="*", choices=FAULTS, default=[], help="what goes wrong, at every third request"
    )
    args = parser.parse_args()
    opened = sp.open_model(args.model)
    model = opened if isinstance(opened, sp.Model) else sp.wrap(opened)
    classes = sp.zoo.data.load("fashion-mnist-1k[:1]").classes
    with Server(model, classes, args.kind, args.port, tuple(args.faults), args.top) as server:
        print(f"{args.model} answers {args.kind} at {server.url}; stop it with Ctrl-C", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
