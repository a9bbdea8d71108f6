"""The only name is pytest-federated: a project may have its own `harness`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT
from scenario_texts import TINY

OWN = """
import harness

def test_it_is_ours():
    assert harness.OURS == "the project's"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "form"), [("PYTHONPATH", "module"), ("-m", "package"), ("pythonpath", "package")]
)
def test_a_project_may_have_its_own_harness(form: str, way: str, tmp_path: Path) -> None:
    done = run_project(form, way, tmp_path, "-k", "ours")
    assert re.search(r"^1 passed, 1 deselected", done, re.MULTILINE)  # the scenario is the other


@pytest.mark.usefixtures("tff_programs")
def test_scenarios_run_in_a_project_with_its_own_harness(tmp_path: Path) -> None:
    done = run_project("package", "-m", tmp_path, "--fed-no-cache")
    assert re.search(r"^2 passed", done, re.MULTILINE)


def run_project(form: str, way: str, tmp_path: Path, *options: str) -> str:
    """Runs pytest in a project with its own `harness`; returns its output."""
    if form == "package":
        (tmp_path / "harness").mkdir(exist_ok=True)
    file = tmp_path / ("harness/__init__.py" if form == "package" else "harness.py")
    file.write_text('OURS = "the project\'s"\n')
    (tmp_path / "test_own.py").write_text(OWN)
    (tmp_path / "tiny.scenario.yaml").write_text(TINY)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\n" + ("pythonpath = .\n" if way == "pythonpath" else "")
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest"]
    if way != "-m":
        command = [str(Path(sys.executable).with_name("pytest"))]
    if way == "PYTHONPATH":
        environment["PYTHONPATH"] = "."
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_no_other_name() -> None:
    """`harness` is only the source folder, and former names are gone."""
    old = re.compile(
        r"import harness\b|from harness\b|\bharness\.[a-z]|fed_?harness|harnesserror|the harness\b"
    )
    files = [
        file
        for folder in ("harness", "tests", "docs", "scenarios", "benchmarks", "reports")
        for kind in ("*.py", "*.md", "*.yaml")
        for file in (ROOT / folder).rglob(kind)
    ]
    files = [
        f for f in [*files, ROOT / "README.md", ROOT / "pyproject.toml"] if f != Path(__file__)
    ]
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in files
        if "harness" in (text := file.read_text(encoding="utf-8").lower())
        for match in old.finditer(text)
    ]
    assert not found
