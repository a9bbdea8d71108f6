"""Packages import in one direction only, without circles; TensorFlow only where training runs."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from paths import ROOT
from source_trees import tree_of

MODULES = sorted((ROOT / "harness/pytest_federated").rglob("*.py"))
HEAVY = {"tensorflow", "tensorflow_federated"}

# From the bottom up: a module imports from its own package and from those listed above it.
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
    {"plugin"},
    {"cli"},
    {"__main__"},
)
# The public API, which imports names when they are first used.
ABOVE_ALL = "__init__"


class Import(NamedTuple):
    module: str
    line: int
    at_module_level: bool
    names: tuple[str, ...] = ()


def imports(
    node: ast.AST, at_module_level: bool = True, for_types: bool = False
) -> Iterator[Import]:
    """All imports of a module, with `for_types` also those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not for_types and isinstance(child, ast.If) and _is_for_types(child):
            for other in child.orelse:
                yield from imports(ast.Module([other], []), at_module_level)
        elif isinstance(child, ast.Import):
            for name in child.names:
                yield Import(name.name, child.lineno, at_module_level)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: a relative import hides its package"
            names = tuple(name.name for name in child.names)
            yield Import(child.module or "", child.lineno, at_module_level, names)
        else:
            runs_later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from imports(child, at_module_level and not runs_later, for_types)


@functools.cache
def imports_of(tree: ast.Module, for_types: bool = False) -> tuple[Import, ...]:
    """The imports of a whole module; several tests ask for them."""
    return tuple(imports(tree, for_types=for_types))


def _is_for_types(block: ast.If) -> bool:
    return ast.unparse(block.test) == "TYPE_CHECKING"


def layer(package: str) -> int:
    (found,) = (i for i, packages in enumerate(LAYERS) if package in packages)
    return found


def package_of(module: Path) -> str:
    return module.relative_to(ROOT / "harness/pytest_federated").parts[0].removesuffix(".py")


@pytest.fixture(scope="module")
def parsed() -> dict[Path, ast.Module]:
    return {m: tree_of(m) for m in MODULES}


def test_every_package_has_a_layer() -> None:
    assert {package_of(m) for m in MODULES} - {ABOVE_ALL} == set().union(*LAYERS)


def test_no_module_imports_tensorflow_when_it_is_imported(parsed: dict[Path, ast.Module]) -> None:
    early = [
        f"{module.relative_to(ROOT)}:{found.line} imports {found.module}"
        for module, tree in parsed.items()
        for found in imports_of(tree)
        if found.at_module_level and found.module.split(".")[0] in HEAVY
    ]
    assert not early


def test_only_training_and_tff_import_tensorflow_at_all(parsed: dict[Path, ast.Module]) -> None:
    """Data sets that need TFF get it from `tff.imports`, which reports what is missing."""
    packages = {
        package_of(module)
        for module, tree in parsed.items()
        for found in imports_of(tree)
        if found.module.split(".")[0] in HEAVY
    }
    assert packages == {"tff", "training"}


def test_imports_go_down_the_layers(parsed: dict[Path, ast.Module]) -> None:
    """So do imports inside functions and those for type checkers."""
    upward = []
    for module, tree in parsed.items():
        package = package_of(module)
        if package == ABOVE_ALL:
            continue
        for found in imports_of(tree, for_types=True):
            parts = found.module.split(".")
            if parts[0] != "pytest_federated":
                continue
            assert len(parts) > 1, f"{module}:{found.line} imports the public API"
            if parts[1] != package and layer(parts[1]) >= layer(package):
                upward.append(f"{module.relative_to(ROOT)}:{found.line} imports {found.module}")
    assert not upward


def test_no_modules_import_each_other_in_a_circle(parsed: dict[Path, ast.Module]) -> None:
    """Not even by an import inside a function or one for type checkers."""
    assert not circles(module_graph(parsed))


def test_a_circle_of_imports_is_noticed(tmp_path: Path) -> None:
    """Three modules in a circle: by imports in a function, for type checkers, and at the top."""
    sources = {
        "pytest_federated.a": "def f():\n    from pytest_federated import b\n",
        "pytest_federated.b": "if TYPE_CHECKING:\n    import pytest_federated.c\n",
        "pytest_federated.c": "from pytest_federated.a import f\n",
        "pytest_federated.d": "from pytest_federated.a import f\n",
    }
    root = tmp_path / "harness"
    parsed = {}
    for name, source in sources.items():
        parsed[root.joinpath(*name.split(".")).with_suffix(".py")] = ast.parse(source)
    assert circles(module_graph(parsed, root)) == [
        "pytest_federated.a -> pytest_federated.b -> pytest_federated.c -> pytest_federated.a"
    ]


Graph = dict[str, set[str]]


def module_graph(parsed: dict[Path, ast.Module], root: Path = ROOT / "harness") -> Graph:
    """For each module of the package, the modules that it imports anywhere."""
    names = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): tree
        for path, tree in parsed.items()
    }
    graph: Graph = {}
    for module, tree in names.items():
        wanted = {
            name
            for found in imports_of(tree, for_types=True)
            for name in (found.module, *(f"{found.module}.{n}" for n in found.names))
        }
        graph[module] = (wanted & set(names)) - {module}
    return graph


def circles(graph: Graph) -> list[str]:
    """One circle for each group of modules that reach each other, written as a chain."""
    reached = {module: _reached(graph, module) for module in graph}
    seen: set[str] = set()
    chains = []
    for module in sorted(graph):
        if module in reached[module] and module not in seen:
            seen |= {other for other in reached[module] if module in reached[other]}
            chains.append(" -> ".join(_shortest_chain(graph, module)))
    return chains


def _reached(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    left = [start]
    while left:
        new = graph[left.pop()] - reached
        reached |= new
        left += new
    return reached


def _shortest_chain(graph: Graph, start: str) -> list[str]:
    """Returns the shortest chain from a module back to itself."""
    chains = [[start]]
    for chain in chains:
        for following in sorted(graph[chain[-1]]):
            if following == start:
                return [*chain, start]
            if following not in {module for known in chains for module in known}:
                chains.append([*chain, following])
    raise AssertionError(f"{start} is in no circle")
