"""The papers' scenarios, which run only where they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOT_READ = "not read: scenarios/papers/li-2020-fedprox.yaml"


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (["scenarios"], False),
        (["scenarios", "-m", "paper"], True),
        (["scenarios/papers"], True),
        (["scenarios/papers/li-2020-fedprox.yaml"], True),
    ],
)
def test_papers_are_left_out_unless_asked_for_and_pytest_says_so(
    arguments: list[str], runs: bool
) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert ("li-2020-fedprox[" in done.stdout) is runs
    assert (NOT_READ in done.stdout) is not runs
