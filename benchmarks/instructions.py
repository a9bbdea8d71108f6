"""The shipped suite against its baselines, on a processor with fewer instructions.

``uv run python benchmarks/instructions.py`` checks all scenarios while oneDNN, XLA and the
mathematical library do without AVX2, AVX-512 and FMA, so that every training rounds differently
from the baselines. Nothing else differs, so no scenario may be called worse; if one is, this
returns 1. Other arguments go to pytest, such as ``-n 2`` or ``scenarios/digits``. Nothing is taken
from a cache. Its table is in docs/judging.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from judging import OTHER_INSTRUCTIONS
from pytest_federated.expectations.baselines import Baseline, figures_of, read_baseline
from pytest_federated.metrics.metric import spec_of
from pytest_federated.results.record import Result
from pytest_federated.results.store import file_name, read_results
from tabulate import tabulate

ROOT = Path(__file__).parent.parent


def checked(arguments: list[str], folder: Path) -> Counter[str]:
    """Runs the suite on other instructions; returns the number of baselines by outcome."""
    junit = folder / "junit.xml"
    pytest = [sys.executable, "-m", "pytest", *arguments]
    options = ["--fed-baseline=check", f"--fed-report={folder / 'report'}", f"--junitxml={junit}"]
    subprocess.run(
        [*pytest, *options, "-o", f"cache_dir={folder / 'cache'}"],
        cwd=ROOT,
        env={**os.environ, **OTHER_INSTRUCTIONS},
        stdout=sys.stderr,
    )
    properties = ElementTree.parse(junit).iter("property")
    texts = [p.attrib["value"] for p in properties if p.attrib["name"] == "fed_baseline"]
    return Counter(text.partition(":")[0] for text in texts)


def pairs(folder: Path) -> Iterator[tuple[Result, Baseline]]:
    """Yields the results of a report that have figures, each with its committed baseline."""
    results = {file_name(r.id): r for r in read_results(folder) if r.histories and not r.is_earlier}
    for path in sorted((ROOT / "scenarios").rglob("baselines/*.json")):
        baseline = read_baseline(path)
        if baseline is not None and path.name in results:
            yield results[path.name], baseline


def moved(result: Result, baseline: Baseline, name: str) -> float:
    """Returns the largest move of one seed's figure; of a loss, as a share of what it was."""
    before = dict(zip(baseline.seeds, baseline.figures[name]))
    now = dict(zip(result.seeds, figures_of(result)[name]))
    common = [seed for seed in now if seed in before]
    unit = {s: 1.0 if spec_of(name).values.is_bounded else before[s] for s in common}
    return max(abs(now[seed] - before[seed]) / unit[seed] for seed in common)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    _, others = parser.parse_known_args()  # for pytest
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = checked(others or ["scenarios"], folder)
        compared = list(pairs(folder / "report"))
    rows = []
    for figure in ("accuracy", "accuracy_area", "loss"):
        moves = [moved(result, baseline, figure) for result, baseline in compared]
        rows.append([figure, sum(move > 0 for move in moves), f"{max(moves, default=0.0):.3f}"])
    heads = ["figure", "scenarios in which it moved", "largest move of one seed"]
    print(tabulate(rows, heads, tablefmt="github", disable_numparse=True))
    outcomes = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    print(f"\n{len(compared)} scenarios compared with their baselines: {outcomes}")
    has_moved = any(row[1] for row in rows)
    return int(not has_moved or kinds["worse"] > 0)


if __name__ == "__main__":
    sys.exit(main())
