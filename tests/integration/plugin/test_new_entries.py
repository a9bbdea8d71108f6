"""A new split, model, metric, ... is one new file: lists, schema, docs and report find it."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from paths import HELPERS, ROOT
from pytest_federated.registry.concepts import concepts
from pytest_federated.registry.registry import Registry
from scenario_texts import TINY

# What entries of some concepts need besides a name, and code for those that the docs call.
TRAITS = {
    "splits": "sizes=True, any_labels=True",
    "shifts": 'of="features"',
}
BODIES = {
    "splits": "return rng.permutation(len(pool.labels)) % pool.clients",
    "sizes": "return rng.integers(1, 5, clients)",
}
# The pages that describe entries of a concept, if not the reference.
PAGES = {
    "aggregators": "algorithms.md",
    "algorithms": "algorithms.md",
    "datasets": "datasets.md",
    "optimizers": "algorithms.md",
    "schedules": "algorithms.md",
    "shifts": "splits.md",
    "sizes": "splits.md",
    "splits": "splits.md",
}

# Runs with the new entries installed; prints the lists, schema, docs and report as JSON.
PROGRAM = """
import contextlib, io, json, runpy, sys
from pathlib import Path
from types import SimpleNamespace

folder, docs = Path(sys.argv[1]), Path(sys.argv[2])

from pytest_federated.__main__ import main
from pytest_federated.registry.concepts import concepts


def printed(*words):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(list(words)) == 0
    return out.getvalue()


said = {"list": {plural: printed("list", plural) for plural in concepts()}}
said["schema"] = printed("schema")

# The docs are made without what no entry changes and is slow: the table of odd files, pictures,
# and the example that needs scikit-learn.
sys.path.insert(0, str(docs))
sys.modules["odd_table"] = SimpleNamespace(table=str)
for script in ("reference", "algorithms", "datasets"):
    sys.argv[1:] = [str(folder)]
    runpy.run_path(str(docs / f"make_{script}.py"), run_name="__main__")
import make_splits
examples = make_splits.example_federation
make_splits.example_federation = lambda clients: examples(
    {"count": 10, "split": "iid"} if clients["split"] == "semantic" else clients
)
(folder / "splits.md").write_text(make_splits.page())
said["docs"] = {page.name: page.read_text() for page in folder.glob("*.md")}

from example_results import example_result
from pytest_federated.report.pages import report

results = []
for place in ("new", "foreign"):
    result = example_result(place, split=f"{place}_splits", algorithm=f"{place}_algorithms")
    settings = json.loads(json.dumps(result.settings))
    settings["data"]["dataset"] = {"kind": f"{place}_datasets", "depth": 3}
    settings["model"] = {"kind": f"{place}_models", "depth": 3}
    settings["training"]["aggregator"] = {"kind": f"{place}_aggregators", "depth": 3}
    settings["training"]["client_optimizer"] = {"kind": f"{place}_optimizers", "depth": 3}
    settings["clients"].update(
        split={"kind": f"{place}_splits", "depth": 3},
        size={"kind": f"{place}_sizes", "depth": 3},
        shift=[{"kind": f"{place}_shifts", "depth": 3}],
        sampling={"kind": f"{place}_samplers", "depth": 3},
        dropout={"kind": f"{place}_dropouts", "depth": 3},
        stragglers={"kind": f"{place}_stragglers", "depth": 3, "share": 0.5},
        attacks={"kind": f"{place}_attacks", "depth": 3, "share": 0.5},
    )
    results.append(result.model_copy(update={"settings": settings}))
said["report"] = " ".join(report(results).values())
print(json.dumps(said))
"""


def new_file(plural: str, registry: Registry[Any, ..., Any], name: str) -> str:
    """Returns the text of a file that registers a new entry of a concept."""
    signature = inspect.signature(registry.function.__call__)
    taken = [
        name
        for name, p in signature.parameters.items()
        if p.kind is p.POSITIONAL_ONLY and name != "self"
    ]
    parameters = ", ".join([*taken, "*", "depth: int = 3"])
    traits = f", {TRAITS[plural]}" if plural in TRAITS else ""
    return (
        f"from {module_of(registry)} import {plural}\n\n\n"
        f'@{plural}("{name}"{traits})\n'
        f"def new({parameters}):\n"
        f'    """One more of the {plural}."""\n'
        f"    {BODIES.get(plural, 'raise NotImplementedError')}\n"
    )


def name_of(registry: Registry[Any, ..., Any]) -> str:
    """Returns the plural name of a registry's entries."""
    return next(plural for plural, one in concepts().items() if one is registry)


def module_of(registry: Registry[Any, ..., Any]) -> str:
    """Returns the module that creates a registry."""
    (home,) = {
        name
        for name, module in list(sys.modules.items())
        if name.startswith(f"{registry.package}.")
        and any(value is registry for value in vars(module).values())
        and f"\n{name_of(registry)} = " in inspect.getsource(module)
    }
    return home


def said_with(path: Path, folder: Path) -> dict[str, Any]:
    """Returns the output of PROGRAM, with `path` first on the search path."""
    folder.mkdir()
    paths = [str(path), str(HELPERS), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(ROOT / "docs")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Lists, schema, docs and report with two new files for each concept.

    `new_...` is a file of our own packages, `foreign_...` one of another distribution.
    """
    tmp_path = tmp_path_factory.mktemp("new")
    site = tmp_path / "site-packages"
    shutil.copytree(
        ROOT / "harness/pytest_federated",
        site / "pytest_federated",
        ignore=shutil.ignore_patterns("*.pyc.*"),  # which another process is writing
    )
    package, info = site / "more_entries", site / "more_entries-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").touch()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-entries\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest_federated]\nmore = more_entries\n")
    for plural, registry in concepts().items():
        foreign = new_file(plural, registry, f"foreign_{plural}")
        (package / f"{plural}.py").write_text(foreign)
        assert registry.package
        ours = site / registry.package.replace(".", "/") / f"one_more_{plural}.py"
        ours.write_text(new_file(plural, registry, f"new_{plural}"))
    return said_with(site, tmp_path / "docs")


PLACES = ("new", "foreign")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("plural", list(concepts()))
def test_one_new_file_is_enough(said: dict[str, Any], plural: str, place: str) -> None:
    new = f"{place}_{plural}"
    line = next(line for line in said["list"][plural].splitlines() if new in line)
    assert "depth" in line and f"One more of the {plural}." in line
    assert f"| `{new}` | `depth` | One more of the {plural}. |" in said["docs"]["reference.md"]
    assert f"### {new}\n" in said["docs"][PAGES.get(plural, "reference.md")]
    assert f'"{new}"' in said["schema"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "plural",
    [
        *("aggregators", "algorithms", "attacks", "datasets", "dropouts", "models", "optimizers"),
        *("samplers", "shifts", "sizes", "splits", "stragglers"),
    ],
)
def test_the_report_names_a_new_entry(said: dict[str, Any], plural: str, place: str) -> None:
    assert f"{place}_{plural} (depth 3" in said["report"].replace("\\", "")


@pytest.mark.parametrize(
    "command",
    [
        ["pytest"],
        *(
            pytest.param(command, marks=pytest.mark.slow)
            for command in (["pytest", "-n1"], ["pytest_federated", "check", "."])
        ),
    ],
    ids=" ".join,
)
def test_a_broken_distribution_is_named_in_one_line(tmp_path: Path, command: list[str]) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    info = site / "broken-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[pytest_federated]\nmine = broken_entries\n")
    (site / "broken_entries.py").write_text("raise RuntimeError('no server')\n")
    project.mkdir()
    (project / "tiny.scenario.yaml").write_text(TINY)
    line = "the entry point mine = broken_entries of an installed package cannot be loaded: "
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode and f"{line}RuntimeError: no server" in output
    assert "Traceback" not in output and "INTERNALERROR" not in output


def test_importing_modules_discovers_no_entries() -> None:
    code = (
        "from pytest_federated.registry.registry import REGISTRIES\n"
        "import pytest_federated.plugin.collection, pytest_federated.running.pipeline\n"
        "assert REGISTRIES and not any(r._is_discovered for r in REGISTRIES.values())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
