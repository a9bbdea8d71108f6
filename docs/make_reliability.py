"""Writes the table of faults in docs/reliability.md from the tests that cause them.

Run this after a change to a test with the marker ``fault``:
``uv run python docs/make_reliability.py [DIR]``.
tests/integration/docs/test_documentation.py compares the committed page with what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pages import write_between

ROOT = Path(__file__).parent.parent


class Faults:
    """Collects how often the tests cause each fault, and what happens then."""

    def __init__(self) -> None:
        self.tried: dict[tuple[str, str, str], int] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("fault"):
                file = item.path.relative_to(ROOT).as_posix()
                row = mark.args[0], mark.kwargs["outcome"], file
                self.tried[row] = self.tried.get(row, 0) + mark.kwargs["times"]


def main() -> None:
    """Writes the page into the folder named on the command line, or into its own."""
    page = Path(__file__).parent / "reliability.md"
    write_between(page, Path(__file__).name, "the tests", _table())


def _table() -> str:
    faults = Faults()
    tests = str(ROOT / "tests" / "integration" / "plugin")
    options = ["--collect-only", "-qq", "-p", "no:cacheprovider"]
    arguments = [*options, "-m", "fault and (slow or not slow)", tests]
    if code := pytest.main([f"--rootdir={ROOT}", *arguments], plugins=[faults]):
        sys.exit(int(code))
    rows = ["| fault | tried | what happens | test |", "|---|---:|---|---|"]
    for (what, outcome, file), tried in faults.tried.items():
        rows.append(f"| {what} | {tried} | {outcome} | [{Path(file).stem}](../{file}) |")
    rows.append(f"| all | {sum(faults.tried.values())} | | |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
