"""Writes the table of metrics in docs/judging.md from the registry.

Run this after a change to a metric: ``uv run python docs/make_metrics.py [DIR]``.
tests/integration/docs/test_documentation.py compares the committed page with what this writes.
"""

from __future__ import annotations

from pathlib import Path

from pages import write_between
from pytest_federated.metrics.metric import metrics, spec_of


def main() -> None:
    """Writes the page into the folder named on the command line, or into this one."""
    page = Path(__file__).parent / "judging.md"
    write_between(page, Path(__file__).name, "the registry", _table())


def _table() -> str:
    heads = ["name", "title", "unit", "better", "resolution", "matters from", "meaning"]
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in metrics.names():
        spec = spec_of(name)
        cells = [f"`{name}`", spec.title, spec.unit, spec.direction, spec.steps.text]
        cells.append(str(spec.least))
        rows.append(f"| {' | '.join([*cells, metrics[name].summary])} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
