"""Measures the processor time of the shipped scenarios, by folder, in one or more checkouts.

Run: ``uv run python benchmarks/suite.py [folders or files of scenarios]``. Prints a Markdown table.
Each folder runs in a pytest process of its own without a cache, so each row includes the imports of
TensorFlow and TFF and a start of TFF's worker, about six seconds. `--before CHECKOUT`, with an
environment of its own in .venv, runs each folder there, too, in turn, and compares.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

ROOT = Path(__file__).parent.parent
_RUN = """
import pathlib, pytest, resource, sys
code = pytest.main(sys.argv[2:])
own = resource.getrusage(resource.RUSAGE_SELF)
pathlib.Path(sys.argv[1]).write_text(str(own.ru_utime + own.ru_stime))
sys.exit(code)
"""


class Cost(NamedTuple):
    """Trainings that were done, and processor seconds of pytest and of TFF's worker."""

    trainings: int
    pytest: float
    worker: float

    @property
    def total(self) -> float:
        """Processor seconds of both."""
        return self.pytest + self.worker


def cost(checkout: Path, scenarios: str) -> Cost:
    """Runs scenarios of a checkout by its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        own, report = Path(folder, "own"), Path(folder, "report")
        options = ["-n0", "-q", "--fed-no-cache", "-p", "no:cacheprovider"]
        process = subprocess.Popen(
            [
                *(str(checkout / ".venv/bin/python"), "-c", _RUN, str(own)),
                *(scenarios, *options, f"--fed-report={report}"),
            ],
            cwd=checkout,
            stdout=sys.stderr,
        )
        _, status, usage = os.wait4(process.pid, 0)  # with those of its children that are over
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{scenarios} in {checkout} failed")
        pytest = float(own.read_text())
        records = [json.loads(file.read_text()) for file in report.glob("records/**/*.json")]
    trainings = sum(len(record["histories"]) for record in records)
    return Cost(trainings, pytest, usage.ru_utime + usage.ru_stime - pytest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--turns", type=int, default=1)
    arguments = parser.parse_args()
    folders = sorted(str(f.relative_to(ROOT)) for f in ROOT.glob("scenarios/*") if f.is_dir())
    heads = ["scenarios", "trainings", "pytest, s", "TFF's worker, s", "together, s"]
    if arguments.before:
        heads += ["before, s", "ratio"]
    rows: list[list[str]] = []
    for scenarios in arguments.scenarios or folders:
        now: list[Cost] = []
        before: list[Cost] = []
        for _ in range(arguments.turns):
            if arguments.before:
                before.append(cost(arguments.before.resolve(), scenarios))
            now.append(cost(ROOT, scenarios))
        least = min(now, key=lambda one: one.total)  # what else runs can only add to it
        figures = [f"{s:.1f}" for s in (least.pytest, least.worker, least.total)]
        rows.append([scenarios, str(least.trainings), *figures])
        if before:
            earlier = min(one.total for one in before)
            rows[-1] += [f"{earlier:.1f}", f"{least.total / earlier:.2f}"]
        print(tabulate([rows[-1]], heads, tablefmt="github"), file=sys.stderr)
    print(tabulate(rows, heads, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
