"""The benchmarks that use internals of pytest-federated run; their figures are not checked."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from paths import ROOT

PACKED, STANDARD = "pytest-federated, packed", "pytest-federated, standard"


@pytest.mark.slow
@pytest.mark.usefixtures("tff_programs")
def test_rounds_of_all_sides_are_compared_and_divided() -> None:
    sides = ["NumPy loop", PACKED, STANDARD, "bare TFF, DATASET_ITERATOR"]
    tables = output("rounds.py", "--quick", "--clients", "4", "--floor", "4", "--sides", *sides)
    rows = re.findall(r"^\| digits, 4 clients\s*\| (.+?)\s*\|", tables, re.MULTILINE)
    compared, overheads = sorted(sides), [PACKED, STANDARD]
    parts = ["NumPy loop", PACKED, f"{PACKED}: no steps", f"{PACKED}: local steps alone"]
    assert (sorted(rows[:4]), rows[4:6], rows[6:]) == (compared, overheads, parts)


@pytest.mark.slow
@pytest.mark.usefixtures("tff_programs")
def test_the_parts_of_a_session_are_measured() -> None:
    scenario = "scenarios/algorithms/control-variates.yaml"
    table = output("parts.py", scenario, "--fed-seeds=1", "--fed-rounds=1", "-k", "scaffold")
    calls = dict(re.findall(r"^\| (.+?)\s*\|\s*(\d+)\s*\|", table, re.MULTILINE))
    # A part that is never called is left out.
    assert len(calls) == 11 and "0" not in calls.values(), table


def output(script: str, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
