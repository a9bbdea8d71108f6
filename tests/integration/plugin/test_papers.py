"""The papers' scenarios, which run only where they are asked for."""

from __future__ import annotations

import shutil

import pytest
from paths import ROOT

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
    pytester: pytest.Pytester, arguments: list[str], runs: bool
) -> None:
    """In a copy of what decides it, as reading all shipped scenarios takes longer."""
    scenarios = ("papers/li-2020-fedprox", "papers/defaults", "digits/iid", "defaults")
    for file in ("conftest.py", *(f"scenarios/{name}.yaml" for name in scenarios)):
        (pytester.path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, pytester.path / file)
    options = ("--collect-only", "-q", "-p", "no:cacheprovider")
    done = pytester.runpytest_inprocess(*options, *arguments)
    output = done.stdout.str()
    assert done.ret == 0, output
    assert ("li-2020-fedprox[" in output) is runs
    assert (NOT_READ in output) is not runs
