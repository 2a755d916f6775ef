"""The specification of a run: what it is, in one JSON file, and the key made of everything that identifies it."""

from __future__ import annotations

import dataclasses as dc
import datetime
import hashlib
import json
import math
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import saddlepoint
from saddlepoint.auditing.piece import SCHEMA
from saddlepoint.auditing.plan import Plan, Threat
from saddlepoint.auditing.stages import PROOF, AttackStage, ProofStage, Stage
from saddlepoint.auditing.subject import Subject
from saddlepoint.errors import RunError

Spec = dict[str, Any]
LIBRARIES = ("torch", "numpy", "onnx", "onnxruntime", "scikit-learn", "timm", "transformers", "datasets", "torchvision")
"""What may have taken part."""
COSMETIC = frozenset(
    {
        "key",
        "title",
        "created",
        "command",
        "notices",
        "diagnosis",
        "landscapes",
        "spread",
        "outlay",
        "votes",
        "known",
        "settings",
        "versions.python",
        *(f"versions.{name}" for name in LIBRARIES),
        "model.name",
        "model.source",
        "model.device",
        "data.name",
        "data.classes",
    }
)
"""What a run does not owe its results to, or only up to rounding: these may differ when it goes on."""
CPUINFO = Path("/proc/cpuinfo")
"""Where Linux names the processor."""
SHOWN = 4
"""So many differences are named in an error."""


def make_spec(
    subject: Subject, plan: Plan, *, seed: int, piece_size: int | None, budget: int | None, command: str | None
) -> Spec:
    """The specification of an audit that begins now."""
    spec: Spec = {
        "schema": SCHEMA,
        "title": f"{subject.model.name} on {subject.data_name}",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "versions": {"saddlepoint": saddlepoint.__version__, "python": platform.python_version(), **_libraries()},
        "model": _model(subject),
        "data": _data(subject),
        "threats": [_threat(one) for one in plan.threats],
        "curves": [_threat(one) for one in plan.curves],
        "stages": [_stage(stage) for stage in plan.stages],
        **({} if subject.target is None else {"target": subject.target}),
        "seed": seed,
        "piece_size": piece_size,
        "budget": budget,
        "notices": list(plan.notices),
        "settings": {
            "plan": plan.name,
            "batch_size": subject.model.batch_size,
            "threads": torch.get_num_threads(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_processor()}",
            "device": _device(subject),
        },
    }
    return {**spec, "key": key_of(spec)}


def _libraries() -> dict[str, str]:
    """The versions of the libraries that are loaded."""
    loaded = {name: sys.modules.get(name.replace("scikit-learn", "sklearn")) for name in LIBRARIES}
    return {name: str(getattr(module, "__version__", "unknown")) for name, module in loaded.items() if module}


def _processor() -> str:
    """Its name, as far as the system tells one."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unnamed processor")


def _device(subject: Subject) -> str:
    device = torch.device(subject.model.device or subject.x.device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def key_of(spec: Spec) -> str:
    """SHA-256 over everything that identifies the run."""
    return hashlib.sha256(json.dumps(dict(_identity(spec)), sort_keys=True).encode()).hexdigest()


def check_same(stored: Spec, new: Spec, where: object) -> None:
    """Refuse to go on with a run that another specification began.

    Raises:
        RunError: naming what differs, and the way out.
    """
    if stored.get("schema") != SCHEMA:
        raise RunError(
            f"{where} was written in schema {stored.get('schema')}, this version of saddlepoint knows {SCHEMA}: use the"
            " version that wrote it, or give another folder"
        )
    if stored.get("key") == new["key"]:
        return
    old, now = ({path: json.dumps(value) for path, value in _identity(spec)} for spec in (stored, new))
    paths = sorted(p for p in old.keys() | now.keys() if old.get(p) != now.get(p))
    lines = [f"{p}: {_short(old.get(p))} → {_short(now.get(p))}" for p in paths[:SHOWN]]
    more = f", and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    differ = ", ".join(lines) or "its key, which does not fit its content"
    raise RunError(f"{where} holds another run ({differ}{more}): give another folder, or the arguments it began with")


def _identity(spec: Spec) -> Iterator[tuple[str, Any]]:
    for path, value in _flat("", spec):
        parts = path.split(".")
        if not any(".".join(parts[:depth]) in COSMETIC for depth in range(1, len(parts) + 1)):
            yield path, value


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path, value
        return
    for name, item in inner:
        yield from _flat(f"{path}.{name}" if path else str(name), item)


def _short(text: str | None) -> str:
    if text is None:
        return "(absent)"
    return text if len(text) <= 20 else f"{text[:12]}…{text[-4:]}"


def _threat(threat: Threat) -> dict[str, Any]:
    """Unlimited is null: JSON knows no infinity."""
    radius = threat.radius
    return {
        "label": threat.label,
        "family": threat.family,
        "set": threat.set.family,
        "radius": None if radius == math.inf else radius,
    }


def _stage(stage: Stage) -> dict[str, Any]:
    base = {"name": stage.name, "threat": stage.label, "over": stage.over}
    if isinstance(stage, ProofStage):
        return {**base, "attack": PROOF, "options": {}}
    if not isinstance(stage, AttackStage):
        return {**base, "attack": "clean", "options": {}}
    options = _plain(stage.options)
    if stage.surrogate is not None:
        other = stage.surrogate
        options |= {"recipe": stage.recipe.name, "surrogate": other.name, "sha256": weights_digest(other.network)}
    return {**base, "attack": stage.called, "options": options}


def _model(subject: Subject) -> dict[str, Any]:
    model = subject.model
    return {
        "name": model.name,
        "source": subject.source,
        "network": _qualified(model.network),
        "structure": _structure(model.network),
        "sha256": weights_digest(model.network),
        "bounds": [float(model.box.low), float(model.box.high)],
        "normalization": _plain(model.normalize),
        "access": model.kind.kind,
        "output": model.output,
        "mode": model.mode,
        "draws": model.draws,
        **({} if model.top is None else {"top": model.top}),
        "bpda": {name: _qualified(standin) for name, standin in model.stand_ins.items()},
        "dtype": _type(model.dtype or subject.x.dtype),
        "device": str(model.device or subject.x.device),
    }


def _data(subject: Subject) -> dict[str, Any]:
    return {
        "name": subject.data_name,
        "n": len(subject),
        "shape": list(subject.x.shape[1:]),
        "dtype": _type(subject.x.dtype),
        "sha256": subject.digest(),
        "classes": list(subject.classes),
    }


def weights_digest(network: Callable[[Tensor], Any]) -> str | None:
    """SHA-256 of names, types, shapes and content of all parameters and buffers, and of the network's ``identity``.

    That attribute is a text by which what holds no tensors (a file run elsewhere, an endpoint, an estimator) tells
    itself from others of its kind; None for a plain callable without it.
    """
    identity = getattr(network, "identity", None)
    sha = hashlib.sha256(identity.encode() if isinstance(identity, str) else b"")
    if not isinstance(network, nn.Module):
        return sha.hexdigest() if isinstance(identity, str) else None
    for name, tensor in sorted(network.state_dict().items()):
        if isinstance(tensor, Tensor):
            sha.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()


def _structure(network: object) -> str | None:
    """A digest of how a module prints: tells networks apart that share their weights but not their layers."""
    if not isinstance(network, nn.Module):
        return None
    return hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", repr(network)).encode()).hexdigest()


def _qualified(thing: object) -> str:
    """Where a function or class, or the class of an object, is defined."""
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    return f"{getattr(thing, '__module__', None) or type(thing).__module__}.{name}"


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, Tensor):
        return value.tolist()
    if dc.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dc.fields(value)}
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, float):
        return str(value)  # JSON knows no infinity
    return _qualified(value)
