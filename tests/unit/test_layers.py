"""The packages import one way only, and TensorFlow only where something runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from paths import ROOT

MODULES = sorted((ROOT / "harness/pytest_federated").rglob("*.py"))
HEAVY = {"tensorflow", "tensorflow_federated"}

# From the bottom up: a module imports from its own package and from the lines above its own.
LAYERS = (
    {"core"},
    {"user"},
    {"registry"},
    {"tff"},
    {"data"},
    {"clients"},
    {"training"},
    {"results"},
    {"metrics"},
    {"expectations"},
    {"scenario"},
    {"report"},
    {"running"},
    {"cli", "plugin"},
    {"__main__"},
)
# The public API, whose names are imported when they are first used.
ABOVE_ALL = "__init__"


class Import(NamedTuple):
    module: str
    line: int
    at_module_level: bool


def imports(node: ast.AST, at_module_level: bool = True) -> Iterator[Import]:
    """All that a module imports when it runs; what only type checkers read is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from imports(ast.Module([other], []), at_module_level)
        elif isinstance(child, ast.Import):
            for name in child.names:
                yield Import(name.name, child.lineno, at_module_level)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: a relative import hides its package"
            yield Import(child.module or "", child.lineno, at_module_level)
        else:
            runs_later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from imports(child, at_module_level and not runs_later)


def layer(package: str) -> int:
    (found,) = (i for i, packages in enumerate(LAYERS) if package in packages)
    return found


def package_of(module: Path) -> str:
    return module.relative_to(ROOT / "harness/pytest_federated").parts[0].removesuffix(".py")


@pytest.fixture(scope="module")
def parsed() -> dict[Path, ast.Module]:
    return {m: ast.parse(m.read_text(encoding="utf-8")) for m in MODULES}


def test_every_package_has_a_layer() -> None:
    assert {package_of(m) for m in MODULES} - {ABOVE_ALL} == set().union(*LAYERS)


def test_no_module_imports_tensorflow_when_it_is_imported(parsed: dict[Path, ast.Module]) -> None:
    early = [
        f"{module.relative_to(ROOT)}:{found.line} imports {found.module}"
        for module, tree in parsed.items()
        for found in imports(tree)
        if found.at_module_level and found.module.split(".")[0] in HEAVY
    ]
    assert not early


def test_only_what_runs_imports_tensorflow_at_all(parsed: dict[Path, ast.Module]) -> None:
    """The data sets that need TFF get it from `tff.imports`, which says what is missing."""
    packages = {
        package_of(module)
        for module, tree in parsed.items()
        for found in imports(tree)
        if found.module.split(".")[0] in HEAVY
    }
    assert packages == {"tff", "training"}


def test_imports_go_down_the_layers(parsed: dict[Path, ast.Module]) -> None:
    upward = []
    for module, tree in parsed.items():
        package = package_of(module)
        if package == ABOVE_ALL:
            continue
        for found in imports(tree):
            parts = found.module.split(".")
            if parts[0] != "pytest_federated":
                continue
            assert len(parts) > 1, f"{module}:{found.line} imports the public API"
            if parts[1] != package and layer(parts[1]) >= layer(package):
                upward.append(f"{module.relative_to(ROOT)}:{found.line} imports {found.module}")
    assert not upward
