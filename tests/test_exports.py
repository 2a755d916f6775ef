from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import saddlepoint

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(saddlepoint.__path__, "saddlepoint.") if "__main__" not in m.name
)
PACKAGES = ["saddlepoint", *(m for m in MODULES if importlib.util.find_spec(m).submodule_search_locations)]  # type: ignore[union-attr]


def own(module: ModuleType) -> list[tuple[str, object]]:
    """The public functions and classes a module defines itself."""
    return [
        (name, thing)
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
    ]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_and_every_public_thing_in_it_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    missing = [thing for thing, value in own(module) if not inspect.getdoc(value)]
    assert not missing, f"{name}: no docstring: {missing}"


@pytest.mark.parametrize("name", PACKAGES)
def test_all_names_exist_once_and_nothing_private_is_exported(name: str) -> None:
    package = importlib.import_module(name)
    exported = list(getattr(package, "__all__", []))
    assert len(exported) == len(set(exported))
    for public in exported:
        assert not public.startswith("_")
        assert getattr(package, public) is not None


def test_the_front_page_lists_what_it_offers() -> None:
    assert set(saddlepoint.__all__) <= set(dir(saddlepoint))
    for name in saddlepoint.__all__:
        assert getattr(saddlepoint, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        saddlepoint.nonsense  # noqa: B018


def test_all_errors_share_their_base() -> None:
    errors = importlib.import_module("saddlepoint.errors")
    for error in (one for _, one in own(errors) if isinstance(one, type)):
        assert issubclass(error, errors.SaddlepointError)


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ["torch", "numpy", "scipy", "pyarrow", "duckdb", "jinja2", "PIL"]
    code = f"import sys, saddlepoint; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_room_of_the_house_imports_the_test_tools() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {[m for m in MODULES if not m.startswith('saddlepoint.testing')]}:\n"
        "    importlib.import_module(name)\n"
        "print([m for m in sys.modules if m.startswith(('saddlepoint.testing', 'beartype', 'hypothesis', 'pytest'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
