"""pytest and `pytest-federated check` read the same files and name those they leave out."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pytest_federated.cli.collecting import collected
from pytest_federated.core.errors import FederatedError, ScenarioError
from scenario_texts import GOOD

Found = tuple[list[str], list[str], list[str]]  # ids; problems; files named as not read


def in_a_process(function: Callable[..., Found], *arguments: Any) -> Found:
    """Runs a function that imports conftest.py files in a process of its own."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result(timeout=100)


def by_check(root: Path, paths: tuple[str, ...]) -> Found:
    os.chdir(root)
    output, cases, problems = io.StringIO(), [], []
    with contextlib.redirect_stdout(output):
        try:
            cases = collected([Path(path) for path in paths])
        except ScenarioError as error:
            problems = [str(problem) for problem in error.problems]
        except FederatedError as error:
            output.write(str(error))
    ids = sorted(f"{case.file.name}::{case.id}" for case in cases)
    return ids, problems, _not_read(output.getvalue())


def by_pytest(root: Path, paths: tuple[str, ...], *options: str) -> Found:
    os.chdir(root)
    output = io.StringIO()
    arguments = ["--collect-only", "-q", "--capture=no", "-p", "no:cacheprovider", *options, *paths]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        pytest.main(arguments)
    lines = output.getvalue().splitlines()
    ids = sorted(line.rpartition("/")[2] for line in lines if "::" in line)
    start = next((n for n, line in enumerate(lines) if "problem(s) in" in line), len(lines))
    problems = [line.strip() for line in lines[start + 1 :] if line.startswith("  ")]
    return ids, problems, _not_read(output.getvalue())


def _not_read(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("not read: ")]


FOLDERS = [
    "scenarios",
    "scenarios/sub",
    "scenarios/build",
    "scenarios/.sub",
    "other",
    "a/scenarios",
]
NAMES = [
    *("a.yaml", "b.yml", "C.YAML", "_d.yaml", ".e.yaml", "f.scenario.yaml", "g.yaml.bak", "h.json"),
    *("i.YML", "defaults.yml", "defaults.yaml"),
]
TEXTS = {
    "scenario": GOOD,
    "mistake": GOOD.replace("count: 4", "coutn: 4"),
    "no scenario": "services: {db: {image: postgres}}\n",
    "nothing": "",
}
LINKS = ["a.yaml", "gone", ".", "..", "../other", "/dev/zero"]


@st.composite
def trees(draw: Any) -> dict[str, tuple[str, str]]:
    """Paths, each with its type and its text, or where it leads."""
    files = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES))
    tree = {
        f"{folder}/{name}": ("file", draw(st.sampled_from(sorted(TEXTS))))
        for folder, name in draw(st.lists(files, unique=True, min_size=1, max_size=8))
    }
    for folder in draw(st.lists(st.sampled_from(FOLDERS), unique=True, max_size=2)):
        tree[f"{folder}/link{draw(st.sampled_from(['', '.yaml']))}"] = (
            "link",
            draw(st.sampled_from(LINKS)),
        )
    if draw(st.booleans()):
        tree["scenarios/pipe.yaml"] = ("pipe", "")
    ini = draw(st.sampled_from(["", "norecursedirs = sub", "fed_files = other/* *.scenario.yaml"]))
    tree["pytest.ini"] = ("text", f"[pytest]\n{ini}\n")
    for folder in draw(
        st.lists(st.sampled_from([".", "scenarios", "other"]), unique=True, max_size=2)
    ):
        ignore = draw(
            st.sampled_from(["collect_ignore = ['a.yaml']", "collect_ignore_glob = ['*.yml']"])
        )
        tree[f"{folder}/conftest.py"] = ("text", f"{ignore}\n")
    return tree


def build(root: Path, tree: dict[str, tuple[str, str]]) -> None:
    for place, (kind, content) in tree.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            path.symlink_to(content)
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            name = "".join(filter(str.isalnum, place))
            path.write_text(TEXTS.get(content, content).replace("tiny", name))


@pytest.mark.slow
@settings(
    max_examples=20,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(map(HealthCheck, HealthCheck)),
)
@given(trees(), st.sampled_from([(".",), ("scenarios",), ("scenarios", "other"), ("other", ".")]))
def test_check_and_pytest_read_the_same_files_of_any_tree(
    tree: dict[str, tuple[str, str]], paths: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        build(root, tree)
        paths = tuple(path for path in paths if (root / path).exists()) or (".",)
        checked = in_a_process(by_check, root, paths)
        by_session = in_a_process(by_pytest, root, paths)
        if problems := checked[1]:
            assert problems == by_session[1] == in_a_process(by_pytest, root, paths, "-n1")[1]
        else:
            assert checked == by_session
