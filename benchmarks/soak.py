"""Runs scenarios many times in one session and shows what each time leaves behind.

``uv run python benchmarks/soak.py --repeat 20`` runs the shipped suite in one process, with
``-n 2`` in two; other arguments, such as ``scenarios/digits``, are passed to pytest. Memory, in MB,
should be flat after the second time; descriptors, threads and processes should not grow at all, and
the numbers should be the same. No result is taken from a cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parent.parent
HELPERS = ROOT / "tests" / "helpers"
sys.path.insert(0, str(HELPERS))

from repeating import Sample, of_each_time, read_samples  # noqa: E402


def _row(time: int, samples: list[Sample]) -> dict[str, object]:
    """Returns what a process had in use after the scenarios of one time; memory in MB."""
    of_pytest = [sample.pytest_mb for sample in samples]
    return {
        "time": time,
        "pytest, most": round(max(of_pytest)),
        "pytest, mean": round(statistics.mean(of_pytest)),
        "TFF's worker, most": round(max(sample.worker_mb for sample in samples)),
        "descriptors": samples[-1].descriptors,
        "threads": samples[-1].threads,
        "processes": samples[-1].processes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("-n", "--processes", type=int, default=0)
    arguments, others = parser.parse_known_args()  # the others are for pytest
    named = any((ROOT / argument.split("::")[0]).exists() for argument in others)
    paths = [] if named else ["scenarios"]  # of "-k digits", digits is no path
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        soak = {"SOAK_REPEAT": str(arguments.repeat), "SOAK_LOG": str(log)}
        path = os.pathsep.join([str(HELPERS), os.environ.get("PYTHONPATH", "")])
        pytest = [sys.executable, "-m", "pytest", "-p", "repeating", "-p", "no:cacheprovider", "-q"]
        subprocess.run(
            [*pytest, f"-n{arguments.processes}", *others, *paths],
            cwd=ROOT,
            env={**os.environ, **soak, "PYTHONPATH": path},
            stdout=sys.stderr,
        )
        processes = read_samples(log)
    digests: dict[str, set[str]] = defaultdict(set)
    for samples in processes.values():
        parts = [part for part in of_each_time(samples, arguments.repeat) if part]
        rows = [_row(n, part) for n, part in enumerate(parts, start=1)]
        print(tabulate(rows, tablefmt="github", headers="keys"), end="\n\n")
        for sample in samples:
            digests[sample.scenario].add(sample.digest)
    differing = [name for name, found in digests.items() if len(found) > 1]
    print(f"{len(digests)} scenarios, the same numbers each time: {not differing}", *differing)


if __name__ == "__main__":
    main()
