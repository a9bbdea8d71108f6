"""The papers' scenarios, which run only where they are asked for."""

from __future__ import annotations

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
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str], runs: bool
) -> None:
    monkeypatch.chdir(ROOT)
    options = ("--collect-only", "-q", "-p", "no:cacheprovider")
    done = pytester.runpytest_inprocess(*options, *arguments)
    output = done.stdout.str()
    assert done.ret == 0, output
    assert ("li-2020-fedprox[" in output) is runs
    assert (NOT_READ in output) is not runs
