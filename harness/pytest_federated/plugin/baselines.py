"""Comparing with the baselines that are committed beside scenario files, and writing them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.suggestions import suggest
from pytest_federated.expectations.baselines import (
    SEEDS,
    Baseline,
    always_measured,
    baseline_file,
    baseline_of,
    changed,
    chosen_values,
    figures_of,
    read_baseline,
    short_name,
    task_of,
    trained_settings,
    write_baseline,
)
from pytest_federated.expectations.regression import (
    added,
    apart,
    keys_of,
    level_for,
    look_twice,
    timed,
    unmeasured,
)
from pytest_federated.metrics.metric import metrics
from pytest_federated.plugin.against import against
from pytest_federated.plugin.options import session_options
from pytest_federated.report.tables.cells import figure
from pytest_federated.results.record import Compared, Result
from pytest_federated.running.plan import seeds_to_run
from pytest_federated.scenario.schema import Scenario

# Runs the scenario again on other seeds; what was trained already is not trained again.
Rerun = Callable[[Sequence[int]], Result]

_COMPARED = pytest.StashKey[int]()  # how many scenarios of the session are compared


class Undecided(UserWarning):
    """The seeds that were run cannot tell whether a scenario is worse than its baseline."""


def share_false_alarms(config: pytest.Config, scenarios: int) -> None:
    """Notes how many scenarios share the chance of a false alarm that the session may give."""
    config.stash[_COMPARED] = scenarios


class Settled(NamedTuple):
    """A result after the comparison with its baseline, and what the session says about that.

    Attributes:
        result: the result with the verdicts on the baseline, and failed if one of them says so.
        kind: same, better, worse, undecided, stale, missing, new, incomplete, not compared,
            written, unchanged or kept; empty where baselines are ignored.
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


def require_known_margins(config: pytest.Config) -> None:
    """Checks ``--fed-margin`` once the metrics of all `conftest.py` are registered.

    Raises:
        pytest.UsageError: it names no metric.
    """
    margins = session_options(config).margin
    if unknown := sorted(margins.keys() - {*metrics.names()}):
        raise pytest.UsageError(
            f"--fed-margin: got {unknown[0]!r}; {suggest(unknown[0], metrics.names())}"
        )


def settle(config: pytest.Config, result: Result, beside: Path, rerun: Rerun) -> Settled:
    """Compares a result with its baseline or writes it, as ``--fed-baseline`` says.

    `beside` is the scenario file.

    Raises:
        FederatedError: the baseline's file is not a baseline, is that of another scenario, or
            cannot be written.
        pytest.UsageError: the ini file names no mode.

    """
    session = session_options(config)
    if result.status == "skipped" or (session.baseline == "ignore" and not session.against):
        return Settled(result)
    path = baseline_file(beside, result.id)
    if session.baseline == "update":
        return _update(result, path, rerun)
    if result.status in ("diverged", "not judged"):
        return Settled(result, "not compared", result.reason)
    if session.against:
        return _check_against(config, result, beside, rerun)
    baseline = read_baseline(path)
    if baseline is None:
        return _missing(result, path, session.strict)
    if baseline.id != result.id:
        raise FederatedError(
            f"{short_name(path)}: baseline of {baseline.id!r}, not of {result.id!r}; "
            "--fed-baseline=update rewrites it"
        )
    if keys := changed(_normal(baseline), trained_settings(result.settings)):
        return _stale(result, baseline, "of another scenario", keys)
    if names := unmeasured(result, baseline):
        return _stale(result, baseline, "of other figures", names)
    advice = "--fed-baseline=update adds it"
    reference = _Reference(baseline, baseline.seeds, lambda: baseline, advice)
    return _check(config, result, reference, rerun)


class _Reference(NamedTuple):
    """What a result is compared with.

    Attributes:
        baseline: its figures.
        seeds: all that it can have.
        on_all: gets the figures of all these.
        advice: what to do about a figure that it lacks.

    """

    baseline: Baseline
    seeds: Sequence[int]
    on_all: Callable[[], Baseline]
    advice: str


def _check_against(config: pytest.Config, result: Result, file: Path, rerun: Rerun) -> Settled:
    """Compares a result with the same scenario at the revision of ``--fed-against``.

    Settings may differ: a default that registered code has now is a change that is to be judged.
    """
    revision = against(config)
    before = revision.result(result.id) if revision else None
    if revision is None or before is None or not before.histories:
        why = before.reason if before else "it was not run there"
        return Settled(result, "new", why)
    if before.status in ("diverged", "errored", "not reached"):
        return Settled(result, "not compared", f"{before.status} there: {before.reason}")
    most = max(SEEDS, session_options(config).decide or 0, len(result.seeds))
    seeds = seeds_to_run(result.seeds, most)

    def on_all() -> Baseline:
        wider = revision.result_on_seeds(result.id, file, len(seeds))
        if wider is None or len(wider.histories) < len(seeds):
            raise FederatedError(
                f"{result.id}: {revision.name} has no result on {len(seeds)} seeds"
            )
        return _measured(wider)

    advice = f"it has no figure of every seed at {revision.name}"
    return _check(config, result, _Reference(_measured(before), seeds, on_all, advice), rerun)


def _measured(result: Result) -> Baseline:
    """Returns as a baseline the figures that a result, even a failed one, has of every seed.

    Raises:
        FederatedError: an accuracy or a loss is not finite.

    """
    figures = figures_of(result, without=timed())
    lacking = [n for n, values in figures.items() if len(values) < len(result.histories)]
    lacking = [name for name in lacking if name not in always_measured(task_of(result))]
    return baseline_of(result, without=[*timed(), *lacking], keys=keys_of(result))


def _update(result: Result, path: Path, rerun: Rerun) -> Settled:
    """Writes the baseline of a result that passed, and of no other."""
    if result.status not in ("passed", "reported"):
        return Settled(result, "kept", f"the run is {result.status}")
    seeds = seeds_to_run(result.seeds, max(SEEDS, len(result.seeds)))
    of_all = rerun(seeds) if seeds != result.seeds else result
    if of_all.status == "diverged":
        return Settled(result, "kept", f"with more seeds, {of_all.reason}")
    baseline = baseline_of(of_all, without=timed(), keys=keys_of(of_all))
    is_new = write_baseline(baseline, path)
    return Settled(result, "written" if is_new else "unchanged")


def _missing(result: Result, path: Path, is_strict: bool) -> Settled:
    details = f"{short_name(path)}; --fed-baseline=update makes it"
    if is_strict:
        return Settled(_failed(result, f"none: {details}"), "missing", details)
    return Settled(result, "missing", details)


def _check(config: pytest.Config, result: Result, reference: _Reference, rerun: Rerun) -> Settled:
    session, baseline = session_options(config), reference.baseline
    if why := apart(result, baseline):
        why += f"; {_way_out(baseline)}"
        settled = _failed(result, f"not compared: {why}") if session.strict else result
        return Settled(settled, "not compared", why)
    compared = _looked_twice(config, result, reference, rerun)
    result = result.model_copy(update={"compared": compared})
    by_change = {
        change: [c for c in compared if c.change == change]
        for change in ("worse", "undecided", "better")
    }
    new = ", ".join(added(result, baseline))
    chosen = changed(baseline.tuned, chosen_values(result))
    others = "; ".join([*chosen, *changed(baseline.versions, result.versions)])
    remarks = {
        "worse": ", ".join(map(_changed_text, by_change["worse"])),
        "incomplete": new and f"{new} not compared; {reference.advice}",
        "undecided": ", ".join(map(_undecided_text, by_change["undecided"])),
        "better": ", ".join(map(_changed_text, by_change["better"])),
        "since then": others,
    }
    remarks = {kind: text for kind, text in remarks.items() if text}
    kind = next((kind for kind in remarks if kind != "since then"), "same")
    details = [text if key == kind else f"{key} {text}" for key, text in remarks.items()]
    if new and session.strict:
        result = _failed(result, f"incomplete: {remarks['incomplete']}")
    since = f" (since then {others})" if others else ""
    if worse := by_change["worse"]:
        reason = f"worse than the baseline{since}: {', '.join(c.metric for c in worse)}"
        result = result.model_copy(update={"status": "failed", "reason": reason})
    elif "undecided" in remarks:
        result = _undecided(config, result, remarks["undecided"])
    return Settled(result, kind, "; ".join(details))


def _looked_twice(
    config: pytest.Config, result: Result, reference: _Reference, rerun: Rerun
) -> tuple[Compared, ...]:
    """Compares as `look_twice`, under the options of the session."""
    session = session_options(config)
    has_more = not {*reference.seeds} <= {*result.seeds}
    return look_twice(
        result,
        reference.baseline,
        (lambda: (rerun(reference.seeds), reference.on_all())) if has_more else None,
        level=level_for(config.stash.get(_COMPARED, 1)),
        margins=session.margin,
        decide=session.decide is not None,
    )


def _undecided(config: pytest.Config, result: Result, text: str) -> Result:
    """Does with an undecided result what ``--fed-inconclusive`` says."""
    policy = session_options(config).inconclusive
    if policy == "warn":
        warnings.warn(f"{result.id}: {text}", Undecided, stacklevel=2)
    if policy != "fail" or result.status not in ("passed", "reported"):
        return result
    compared = [
        c.model_copy(update={"passed": False}) if c.change == "undecided" else c
        for c in result.compared
    ]
    reason = f"not shown to be as its baseline: {text}"
    update = {"compared": tuple(compared), "status": "failed", "reason": reason}
    return result.model_copy(update=update)


def _changed_text(compared: Compared) -> str:
    """Says what a metric was and is, as ``accuracy 0.9 -> 0.41``."""
    if compared.now is None:
        return f"{compared.metric} {compared.note}"
    return f"{compared.metric} {figure(compared.before)} -> {figure(compared.now)}"


def _undecided_text(compared: Compared) -> str:
    more = compared.more_seeds
    return _changed_text(compared) + (f" ({more} more seed(s) would tell)" if more else "")


def _stale(result: Result, baseline: Baseline, why: str, what: list[str]) -> Settled:
    listed = "; ".join(what)
    failed = _failed(result, f"{why}: {listed}; --fed-baseline=update rewrites it")
    now = figures_of(result, without=timed())
    pairs = [
        f"{name} {figure(fmean(before))} -> {figure(fmean(now[name]))}"
        for name, before in baseline.figures.items()
        if now.get(name)
    ]
    return Settled(failed, "stale", f"{listed}; {', '.join(pairs)}" if pairs else listed)


def _way_out(baseline: Baseline) -> str:
    """Returns what to do where no seed is in common."""
    if len(baseline.seeds) > 1:
        return "--fed-seeds=2 runs another, --fed-baseline=update rewrites the baseline"
    return "--fed-baseline=update rewrites the baseline"


def _failed(result: Result, why: str) -> Result:
    problem = Compared(metric="baseline", change="undecided", passed=False, note=why)
    compared = (*result.compared, problem)
    update = {"compared": compared, "status": "failed", "reason": f"baseline {why}"}
    return result.model_copy(update=update)


def _normal(baseline: Baseline) -> dict[str, object]:
    """Returns the settings of a baseline, with the defaults of keys that are newer than it."""
    try:
        scenario = Scenario.model_validate({**baseline.settings, "name": "baseline"})
    except ValidationError:
        return baseline.settings
    return trained_settings(scenario.settings())
