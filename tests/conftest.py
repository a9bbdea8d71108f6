"""What the tests of running scenarios share."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The files that take longest, in this order.
_LONGEST = ("hygiene", "remote", "long_runs", "packed", "models", "cluster", "plugin", "algorithms")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes begins with the longest files, so that none is left for the end."""
    if hasattr(config, "workerinput"):
        rank = {f"test_{name}.py": place for place, name in enumerate(_LONGEST)}
        items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pytest runs, so that files in it are given by their names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of README.md, docs/ and reports/ as git has them, staged changes included.

    In the working tree anybody may have written another report, with any option.
    """
    root, copy = Path(__file__).parent.parent, tmp_path_factory.mktemp("committed")
    ours = ("README.md", "docs", "reports")
    git = ["git", "-c", "safe.directory=*"]  # whoever owns the checkout
    listed = subprocess.run([*git, "ls-files", "-z", *ours], cwd=root, capture_output=True)
    if listed.returncode or not listed.stdout:  # not a checkout of ours
        pytest.skip("what is committed is not known outside a git checkout")
    export = [*git, "checkout-index", "-z", "--stdin", f"--prefix={copy}/"]
    subprocess.run(export, cwd=root, input=listed.stdout, check=True)
    return copy


@pytest.fixture(scope="session")
def tff() -> Any:
    """TFF, imported before pytester takes its snapshot of sys.modules: it cannot be twice."""
    from pytest_federated.tff.imports import import_tff

    module = import_tff()
    gc.collect()
    gc.freeze()  # so that later collections need not walk through all of TensorFlow
    return module


@pytest.fixture
def worker(tff: Any) -> Iterator[None]:
    """A runtime for tests that train in this process; its worker ends with the test."""
    yield from _started()


@pytest.fixture(scope="module")
def running(tff: Any) -> Iterator[None]:
    """The same for all tests of a file."""
    yield from _started()


def _started() -> Iterator[None]:
    from pytest_federated.tff.context import runtime, shutdown

    runtime().start()
    yield
    shutdown()
