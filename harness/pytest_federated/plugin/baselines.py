"""Comparing with the baselines that are committed beside scenario files, and writing them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.baselines import (
    Baseline,
    baseline_file,
    baseline_of,
    changed,
    read_baseline,
    short_name,
    trained_settings,
    write_baseline,
)
from pytest_federated.expectations.regression import (
    added,
    apart,
    compare_with_baseline,
    keys_of,
    timed,
    unmeasured,
)
from pytest_federated.plugin.options import session_options
from pytest_federated.results.record import Result, Verdict
from pytest_federated.scenario.schema import Scenario


class Settled(NamedTuple):
    """A result after the comparison with its baseline, and what the session says about that.

    Attributes:
        result: the result with the verdicts on the baseline, and failed if one of them says so.
        kind: as before, better, worse, stale, missing, incomplete, not compared, written or kept;
            empty where baselines are ignored.
        details: more about the kind; may be empty.

    """

    result: Result
    kind: str = ""
    details: str = ""

    @property
    def properties(self) -> list[tuple[str, object]]:
        """What pytest's item says: ``fed_baseline``, which begins with the kind."""
        details = f": {self.details}" if self.details else ""
        return [("fed_baseline", f"{self.kind}: {self.result.id}{details}")] if self.kind else []


def settle(config: pytest.Config, result: Result, beside: Path) -> Settled:
    """Compares a result with its baseline or writes it, as ``--fed-baseline`` says.

    `beside` is the scenario file.

    Raises:
        FederatedError: the baseline's file is not a baseline, is that of another scenario, or
            cannot be written.
        pytest.UsageError: the ini file names no mode.

    """
    mode = session_options(config).baseline
    if mode == "ignore" or result.status == "skipped":
        return Settled(result)
    path = baseline_file(beside, result.id)
    if mode == "update":
        return _update(result, path)
    if result.status in ("diverged", "not judged"):
        return Settled(result, "not compared", result.reason)
    is_strict = session_options(config).strict
    baseline = read_baseline(path)
    if baseline is None:
        return _missing(result, path, is_strict)
    if baseline.id != result.id:
        raise FederatedError(
            f"{short_name(path)}: baseline of {baseline.id!r}, not of {result.id!r}; "
            "--fed-baseline=update writes it anew"
        )
    return _check(result, baseline, is_strict)


def _update(result: Result, path: Path) -> Settled:
    """Writes the baseline of a result that passed, and of no other."""
    if result.status != "passed":
        return Settled(result, "kept", f"the run is {result.status}")
    baseline = baseline_of(result, without=timed(), keys=keys_of(result))
    is_new = write_baseline(baseline, path)
    return Settled(result, "written" if is_new else "as before")


def _missing(result: Result, path: Path, is_strict: bool) -> Settled:
    details = f"{short_name(path)}; --fed-baseline=update makes it"
    if is_strict:
        return Settled(_failed(result, f"none: {details}"), "missing", details)
    return Settled(result, "missing", details)


def _check(result: Result, baseline: Baseline, is_strict: bool) -> Settled:
    if keys := changed(_normal(baseline), trained_settings(result.settings)):
        return _stale(result, "of another scenario", keys)
    if names := unmeasured(result, baseline):
        return _stale(result, "of other figures", names)
    if why := apart(result, baseline):
        why += f"; {_way_out(baseline)}"
        settled = _failed(result, f"not compared: {why}") if is_strict else result
        return Settled(settled, "not compared", why)
    compared = compare_with_baseline(result, baseline)
    result = result.model_copy(update={"compared": compared})
    worse = ", ".join(_name(v) for v in compared if not v.passed)
    better = [v for v in compared if v.passed and v.note]
    new = ", ".join(added(result, baseline))
    others = "; ".join(changed(baseline.versions, result.versions))
    remarks = {
        "worse": worse,
        "incomplete": new and f"{new} not compared; --fed-baseline=update adds it",
        "better": "; ".join(f"{_name(v)} {v.measured:.4g} ({v.expected})" for v in better),
        "since then": others,
    }
    remarks = {kind: text for kind, text in remarks.items() if text}
    kind = next((kind for kind in remarks if kind != "since then"), "as before")
    details = [text if key == kind else f"{key} {text}" for key, text in remarks.items()]
    if new and is_strict:
        result = _failed(result, f"incomplete: {remarks['incomplete']}")
    if worse:
        since = f" (since then {others})" if others else ""
        reason = f"worse than the baseline{since}: {worse}"
        result = result.model_copy(update={"status": "failed", "reason": reason})
    return Settled(result, kind, "; ".join(details))


def _name(verdict: Verdict) -> str:
    return verdict.expectation.partition(",")[0]


def _stale(result: Result, why: str, what: list[str]) -> Settled:
    listed = "; ".join(what)
    failed = _failed(result, f"{why}: {listed}; --fed-baseline=update makes it anew")
    return Settled(failed, "stale", listed)


def _way_out(baseline: Baseline) -> str:
    """Returns what to do where no seed is in common."""
    if len(baseline.seeds) > 1:
        return "--fed-seeds=2 runs another, --fed-baseline=update makes the baseline anew"
    return "--fed-baseline=update makes the baseline anew"


def _failed(result: Result, why: str) -> Result:
    verdict = Verdict(expectation="baseline", expected="comparable", passed=False, note=why)
    compared = (*result.compared, verdict)
    update = {"compared": compared, "status": "failed", "reason": f"baseline {why}"}
    return result.model_copy(update=update)


def _normal(baseline: Baseline) -> dict[str, object]:
    """Returns the settings of a baseline, with the defaults of keys that are newer than it."""
    try:
        scenario = Scenario.model_validate({**baseline.settings, "name": "baseline"})
    except ValidationError:
        return baseline.settings
    return trained_settings(scenario.settings())
