"""Comparing with the baselines that are committed beside scenario files, and writing them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from harness.checks.regression import compare_with_baseline, timed
from harness.plugin.settings import one_of, setting
from harness.results import Result, Verdict
from harness.results.baselines import (
    Baseline,
    baseline_file,
    baseline_of,
    changed,
    read_baseline,
    trained_settings,
    write_baseline,
)
from harness.scenario import Scenario

MODES = ("ignore", "check", "update")


class Settled(NamedTuple):
    """A result that was compared, and what the session says of that.

    Attributes:
        result: with what was found, and failed where that is so.
        kind: as before, better, worse, stale, missing, not compared, written or kept; empty where
            baselines are ignored.
        told: more about it.

    """

    result: Result
    kind: str = ""
    told: str = ""

    @property
    def properties(self) -> list[tuple[str, object]]:
        """For pytest's item: ``fed_baseline``, whose first part is the kind."""
        told = f": {self.told}" if self.told else ""
        return [("fed_baseline", f"{self.kind}: {self.result.id}{told}")] if self.kind else []


def settle(config: pytest.Config, result: Result, beside: Path) -> Settled:
    """Does what ``--fed-baseline`` says with a result of the scenario in the file `beside`.

    Raises:
        HarnessError: the file of the baseline is none.
        pytest.UsageError: the ini file has something else than a mode.

    """
    mode = one_of(config, "baseline", MODES)
    if mode == "ignore" or result.status == "skipped":
        return Settled(result)
    path = baseline_file(beside, result.id)
    if mode == "update":
        return _update(result, path)
    baseline = read_baseline(path)
    if result.status in ("diverged", "not judged"):
        return Settled(result, "not compared", result.reason)
    if baseline is None:
        return _missing(result, path, bool(setting(config, "strict")))
    return _check(result, baseline)


def _update(result: Result, path: Path) -> Settled:
    """Only what is good becomes a baseline."""
    if result.status != "passed":
        return Settled(result, "kept", f"the run is {result.status}")
    is_new = write_baseline(baseline_of(result, without=timed()), path)
    return Settled(result, "written" if is_new else "as before")


def _missing(result: Result, path: Path, is_strict: bool) -> Settled:
    told = f"{Path(*path.parts[-2:])}; --fed-baseline=update makes it"
    if is_strict:
        return Settled(_failed(result, f"none: {told}"), "missing", told)
    return Settled(result, "missing", told)


def _check(result: Result, baseline: Baseline) -> Settled:
    if keys := changed(_normal(baseline), trained_settings(result.settings)):
        told = "; ".join(keys)
        why = f"of another scenario: {told}; --fed-baseline=update makes it anew"
        return Settled(_failed(result, why), "stale", told)
    compared = compare_with_baseline(result, baseline)
    others = changed(baseline.versions, result.versions)
    made = f" (since then {'; '.join(others)})" if others else ""
    worse = [v.expectation.partition(",")[0] for v in compared if not v.passed]
    better = [v for v in compared if v.note]
    if worse:
        failed = result.model_copy(
            update={
                "compared": compared,
                "status": "failed",
                "reason": f"worse than the baseline{made}: {', '.join(worse)}",
            }
        )
        return Settled(failed, "worse", ", ".join(worse) + made)
    result = result.model_copy(update={"compared": compared})
    if better:
        told = "; ".join(
            f"{v.expectation.partition(',')[0]} {v.measured:.4g} ({v.expected})" for v in better
        )
        return Settled(result, "better", told + made)
    return Settled(result, "as before", made.strip(" ()"))


def _failed(result: Result, why: str) -> Result:
    verdict = Verdict(expectation="baseline", expected="comparable", passed=False, note=why)
    update = {"compared": (verdict,), "status": "failed", "reason": f"baseline {why}"}
    return result.model_copy(update=update)


def _normal(baseline: Baseline) -> dict[str, object]:
    """The settings of a baseline, with the defaults of keys that are younger than it."""
    try:
        scenario = Scenario.model_validate({**baseline.settings, "name": "baseline"})
    except ValidationError:
        return baseline.settings
    return trained_settings(scenario.settings())
