"""Our splits compared with those of flwr-datasets and FedLab, which are run here.

Both are in a dependency group of their own: `uv run --group partitioners pytest
tests/unit/test_installed_partitioners.py`, 50 s.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from partitioners import KNOWN, OURS, compare
from paths import HELPERS

for package in ("flwr_datasets", "fedlab"):
    pytest.importorskip(package, reason=f"{package} is not installed: uv run --group partitioners")


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The script that runs their partitioners."""
    path = HELPERS / "comparison/other_libraries.py"
    spec: Any = importlib.util.spec_from_file_location("other_libraries", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_that_the_script_runs_is_compared(theirs: Any) -> None:
    assert set(theirs.CASES) == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_clients_come_out_alike(theirs: Any, name: str) -> None:
    clients = theirs.clients(name)
    compare(name, clients)
    assert clients == KNOWN[name]  # the record that other tests use is up to date
