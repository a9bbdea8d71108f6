"""Selecting scenarios by their tags: a tag that none has is a mistake, not an empty selection."""

from __future__ import annotations

import pytest
from scenario_texts import TINY

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A scenario with the tag `smoke`, and a test with a registered marker and another one."""
    pytester.makeini("[pytest]\nmarkers =\n    gpu: needs one\n    slow(reason): takes long\n")
    pytester.makefile(".scenario.yaml", tiny=TINY)
    pytester.makepyfile("import pytest\n\n@pytest.mark.filterwarnings\ndef test_it():\n    pass\n")
    return pytester


@pytest.mark.parametrize(
    ("expression", "name"),
    [("smoek", "smoek"), ("smoke or big", "big"), ("not (not biig)", "biig")],
)
def test_a_tag_that_no_scenario_has_is_an_error(
    project: pytest.Pytester, expression: str, name: str
) -> None:
    run = project.runpytest_inprocess("--collect-only", "-m", expression)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    line = f"ERROR: -m {expression}: no scenario has the tag '{name}'; allowed: smoke"
    run.stderr.fnmatch_lines([line + ("; did you mean 'smoke'?" if name == "smoek" else "")])


@pytest.mark.parametrize(
    "expression",
    [
        *("smoke", "not big", "smoke and not (big or bigger)", "smoke or gpu", "slow or smoke"),
        "smoke or filterwarnings",
    ],
)
def test_what_may_be_unknown_and_what_is_known(project: pytest.Pytester, expression: str) -> None:
    run = project.runpytest_inprocess("--collect-only", "-q", "-m", expression)
    run.stdout.fnmatch_lines(["tiny.scenario.yaml::tiny"])


def test_tests_without_scenarios_are_left_to_pytest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it():\n    pass\n")
    run = pytester.runpytest_inprocess("-m", "smoek")
    assert run.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_processes_of_xdist_stop_as_cleanly(project: pytest.Pytester) -> None:
    run = project.runpytest_subprocess("-n2", "-m", "smoek", "-p", "no:cacheprovider")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: -m smoek: no scenario has the tag 'smoek'; allowed: smoke*"])
    assert "INTERNALERROR" not in f"{run.stdout}{run.stderr}"
