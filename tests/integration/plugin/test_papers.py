"""The papers' scenarios, which run only where they are asked for."""

from __future__ import annotations

import shutil

import pytest
from paths import ROOT

NOT_READ = "not read: scenarios/papers: "


@pytest.fixture(autouse=True)
def copied(pytester: pytest.Pytester) -> None:
    """Copies what decides it, and a few scenarios: reading all that are shipped takes longer."""
    papers = ("defaults", "li-2020-fedprox", "li-2020-q-ffl")
    scenarios = ("defaults", "digits/iid", *(f"papers/{name}" for name in papers))
    for file in ("conftest.py", *(f"scenarios/{name}.yaml" for name in scenarios)):
        (pytester.path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, pytester.path / file)


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
    options = ("--collect-only", "-q", "-p", "no:cacheprovider")
    done = pytester.runpytest_inprocess(*options, *arguments)
    output = done.stdout.str()
    assert done.ret == 0, output
    assert ("li-2020-fedprox[" in output) is runs
    assert (NOT_READ in output) is not runs


def test_two_lines_of_a_narrow_terminal_say_so(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_inprocess(
        "scenarios", "--collect-only", "-q", "-p", "no:cacheprovider"
    )
    said = [n for n, line in enumerate(done.outlines) if line.startswith("not read: ")]
    assert len(said) == 1
    both = done.outlines[said[0] : said[0] + 2]
    assert both[0] == f"{NOT_READ}2 files that pytest is told to ignore;"
    assert both[1].startswith("  to run them: pytest scenarios/papers ")
    assert max(map(len, both)) <= 80
