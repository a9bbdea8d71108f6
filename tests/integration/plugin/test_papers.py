"""The papers' scenarios, which run only where they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOT_READ = "not read: scenarios/papers: "


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


def test_two_lines_of_a_narrow_terminal_say_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = pytester.runpytest_inprocess(
        "scenarios", "--collect-only", "-q", "-p", "no:cacheprovider"
    )
    said = [n for n, line in enumerate(done.outlines) if line.startswith("not read: ")]
    assert len(said) == 1
    both = done.outlines[said[0] : said[0] + 2]
    files = (ROOT / "scenarios/papers").glob("*.yaml")
    count = len([file for file in files if file.name != "defaults.yaml"])
    assert both[0] == f"not read: scenarios/papers: {count} files that pytest is told to ignore;"
    assert both[1].startswith("  to run them: pytest scenarios/papers ")
    assert max(map(len, both)) <= 80
