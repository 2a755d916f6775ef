"""saddlepoint: find, fix, judge and explain the blind spots of neural networks.

>>> import saddlepoint as sp
>>> sp.Linf(8 / 255).radius
0.03137254901960784
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saddlepoint import attacks, auditing, zoo
    from saddlepoint.access import Model, ensemble, wrap
    from saddlepoint.access.adapters.arrays import from_numpy
    from saddlepoint.access.adapters.estimators import from_estimator
    from saddlepoint.access.adapters.onnx import from_onnx
    from saddlepoint.attacks.fool_all import fool_all
    from saddlepoint.attacks.patch import patch
    from saddlepoint.attacks.substitute import learn_substitute
    from saddlepoint.attacks.universal import universal
    from saddlepoint.attacks.unrestricted import unrestricted
    from saddlepoint.attacks.views import Views
    from saddlepoint.auditing import Audit, audit, transfer
    from saddlepoint.core import Goal, Result, Status, targeted, untargeted
    from saddlepoint.sets import (
        L0,
        L1,
        L2,
        Composed,
        Corruption,
        Flow,
        Insertions,
        Latent,
        Linf,
        Nuclear,
        Patch,
        Perceptual,
        Recolor,
        Spatial,
        Wasserstein,
    )
    from saddlepoint.zoo.opening import open_model

__version__ = "0.1.0"

_HOME = {
    "Audit": "auditing",
    "Composed": "sets",
    "Corruption": "sets",
    "Flow": "sets",
    "Goal": "core",
    "Insertions": "sets",
    "L0": "sets",
    "L1": "sets",
    "L2": "sets",
    "Latent": "sets",
    "Linf": "sets",
    "Model": "access",
    "Nuclear": "sets",
    "Patch": "sets",
    "Perceptual": "sets",
    "Recolor": "sets",
    "Result": "core",
    "Spatial": "sets",
    "Status": "core",
    "Views": "attacks.views",
    "Wasserstein": "sets",
    "audit": "auditing",
    "ensemble": "access",
    "fool_all": "attacks.fool_all",
    "from_estimator": "access.adapters.estimators",
    "from_numpy": "access.adapters.arrays",
    "from_onnx": "access.adapters.onnx",
    "learn_substitute": "attacks.substitute",
    "open_model": "zoo.opening",
    "patch": "attacks.patch",
    "targeted": "core",
    "transfer": "auditing",
    "universal": "attacks.universal",
    "unrestricted": "attacks.unrestricted",
    "untargeted": "core",
    "wrap": "access",
}
_ROOMS = ("attacks", "auditing", "zoo")

__all__ = [  # noqa: RUF022
    "Audit",
    "Composed",
    "Corruption",
    "Flow",
    "Goal",
    "Insertions",
    "L0",
    "L1",
    "L2",
    "Latent",
    "Linf",
    "Model",
    "Nuclear",
    "Patch",
    "Perceptual",
    "Recolor",
    "Result",
    "Spatial",
    "Status",
    "Views",
    "Wasserstein",
    "attacks",
    "audit",
    "auditing",
    "ensemble",
    "fool_all",
    "from_estimator",
    "from_numpy",
    "from_onnx",
    "learn_substitute",
    "open_model",
    "targeted",
    "transfer",
    "universal",
    "unrestricted",
    "untargeted",
    "wrap",
    "zoo",
    "patch",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for, so that the import itself stays light."""
    if name in _HOME:
        return getattr(importlib.import_module(f"saddlepoint.{_HOME[name]}"), name)
    if name in _ROOMS:
        return importlib.import_module(f"saddlepoint.{name}")
    raise AttributeError(f"module 'saddlepoint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
