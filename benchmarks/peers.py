"""The peers, made importable: what each needs, in one place.

    pip install GitPython requests six tqdm packaging scikit-learn
    pip install --no-deps torchattacks==3.5.1 foolbox==3.3.4 eagerpy pyautoattack==0.2.0 adv-lib==0.2.8 \
        adversarial-robustness-toolbox==1.20.1 torchvision==0.28.0

torchattacks and foolbox pin old versions of their needs, adv-lib needs a package that no longer builds (visdom), and
the torchvision wheel cannot be imported beside a CPU build of torch unless its operators are declared first.
"""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from typing import Any

import torch

_keep: list[Any] = []


def peer(name: str) -> Any:
    """The module ``name`` of a peer, or None with a line on how to get it."""
    warnings.filterwarnings("ignore")
    _prepare()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name} is not installed ({error}): see the top of benchmarks/peers.py", file=sys.stderr)
        return None


def _prepare() -> None:
    if _keep:
        return
    visdom = types.ModuleType("visdom")
    visdom.Visdom = object  # type: ignore[attr-defined]
    sys.modules.setdefault("visdom", visdom)
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _keep.append(library)
