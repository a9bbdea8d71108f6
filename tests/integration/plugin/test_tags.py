"""Selecting scenarios by tags: an unknown tag is a mistake, not an empty selection."""

from __future__ import annotations

import pytest
from scenario_texts import TINY

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A scenario with the tag `smoke`, a test with a marker, and two registered markers."""
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
def test_excluded_tags_and_known_markers_are_accepted(
    project: pytest.Pytester, expression: str
) -> None:
    run = project.runpytest_inprocess("--collect-only", "-q", "-m", expression)
    assert run.ret == pytest.ExitCode.OK, run.stderr
    run.stdout.fnmatch_lines(["tiny.scenario.yaml::tiny"])


def test_tags_are_markers_that_are_known(project: pytest.Pytester) -> None:
    run = project.runpytest_inprocess("--collect-only", "-q", "--strict-markers")
    assert run.ret == pytest.ExitCode.OK, f"{run.stdout}"
    run.stdout.no_fnmatch_line("*UnknownMark*")


def test_tests_without_scenarios_are_left_to_pytest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it():\n    pass\n")
    run = pytester.runpytest_inprocess("-m", "smoek")
    assert run.ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.slow
def test_an_unknown_tag_stops_xdist_cleanly(project: pytest.Pytester) -> None:
    run = project.runpytest_inprocess("-n1", "-m", "smoek", "-p", "no:cacheprovider")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: -m smoek: no scenario has the tag 'smoek'; allowed: smoke*"])
    assert "INTERNALERROR" not in f"{run.stdout}{run.stderr}"
