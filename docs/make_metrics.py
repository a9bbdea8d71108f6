"""Writes the table of metrics in docs/judging.md, from the registry.

Run after a change of a metric: ``uv run python docs/make_metrics.py [DIR]``.
tests/integration/docs/test_documentation.py compares what is committed with what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_federated.metrics.metric import metrics, spec_of

PAGE = Path(__file__).parent / "judging.md"
BEGIN = "<!-- Made by docs/make_metrics.py from the registry; not edited by hand. -->"
END = "<!-- End of what docs/make_metrics.py makes. -->"


def main() -> None:
    """Writes the page into the folder named on the command line, or here."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE.parent
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    (folder / PAGE.name).write_text(
        f"{before}{BEGIN}\n\n{_table()}\n\n{END}{after}", encoding="utf-8"
    )


def _table() -> str:
    heads = ["name", "title", "unit", "better", "resolution", "matters from", "what it is"]
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in metrics.names():
        spec = spec_of(name)
        cells = [f"`{name}`", spec.title, spec.unit, spec.direction, spec.steps.text]
        cells.append(str(spec.least))
        rows.append(f"| {' | '.join([*cells, metrics[name].summary])} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
