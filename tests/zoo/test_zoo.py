from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import saddlepoint as sp
assert "fashion-mnist" in sp.zoo.data.names()
assert "fashion-standard" in sp.zoo.models.names()
assert "sklearn" not in sys.modules
"""


def test_the_zoo_is_reached_from_the_package_and_leaves_optional_dependencies_alone() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True)
