"""What is certain of a scenario before its trainings are over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from pytest_federated.core.schema import Section
from pytest_federated.core.text import significant
from pytest_federated.expectations.bounds import Bounds, bounds_in, expected_text, verdict_on
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import require_training
from pytest_federated.metrics.metric import NoValue, measured, metrics, spec_of
from pytest_federated.results.record import Verdict
from pytest_federated.training.history import Round, TrainingHistory


class _Decision(NamedTuple):
    """Whether an expectation holds for certain, None where rounds still decide it."""

    holds: Optional[bool]
    verdict: Verdict


def certain(
    expect: Mapping[str, Section],
    finished: Sequence[TrainingHistory],
    begun: Sequence[Round],
    seeds: int,
) -> Optional[tuple[Verdict, ...]]:
    """Verdicts of a scenario that can no longer pass, or can no longer fail; None of others.

    A metric's `so_far` says within which bounds the value of a training will be, given its rounds
    until now; of a finished training the value itself is known. If that
    leaves the mean over all seeds on one side of a threshold, more rounds change nothing. Where
    the values of all seeds are known, the verdict is that of the whole run.

    Args:
        expect: expectations by name.
        finished: trainings that are over.
        begun: rounds of the training that is not.
        seeds: how many trainings the scenario has.

    Raises:
        DataError: no client took part in one of the trainings that are over.

    """
    require_training(finished)
    decisions = [_decide(name, section, finished, begun, seeds) for name, section in expect.items()]
    holding = [decision.holds for decision in decisions]
    is_decided = False in holding or (holding and set(holding) == {True})
    return tuple(decision.verdict for decision in decisions) if is_decided else None


def _decide(
    name: str,
    section: Section,
    finished: Sequence[TrainingHistory],
    begun: Sequence[Round],
    seeds: int,
) -> _Decision:
    metric, spec = metrics.get(name), spec_of(name)
    bounds = bounds_in(section)
    limits = Bounds.of(**bounds)
    keys = {k: getattr(section, k) for k in expectations[name].keywords if k not in bounds}
    expected = expected_text(limits, bounds, keys, spec.phrase)
    undecided = Verdict(
        expectation=name,
        expected=expected,
        passed=True,
        outcome="not judged",
        note="not known, as the run was ended",
    )
    so_far = spec.so_far
    if metric is None or so_far is None:
        return _Decision(None, undecided)
    try:
        known = [measured(metric, history, **keys) for history in finished]
    except NoValue as reason:
        return _certain(undecided, False, str(reason))
    ranges = [(k, k) for k in known] + [so_far(begun, **keys)]
    ranges += [so_far((), **keys)] * (seeds - len(ranges))
    ranges = ranges[:seeds]
    low, high = (sum(r[end] for r in ranges) / seeds for end in (0, 1))
    if all(least == greatest for least, greatest in ranges):
        verdict = verdict_on(name, [least for least, _ in ranges], limits, expected)
        return _Decision(verdict.passed, verdict)
    holds = limits.holds(low, high)
    if holds is None:
        return _Decision(None, undecided)
    note = "holds already" if holds else "can no longer hold"
    return _certain(undecided, holds, f"{note}: {_range_text(low, high)}")


def _certain(undecided: Verdict, holds: bool, note: str) -> _Decision:
    outcome = "pass" if holds else "fail"
    update = {"passed": holds, "outcome": outcome, "note": note}
    return _Decision(holds, undecided.model_copy(update=update))


def _range_text(low: float, high: float) -> str:
    """Within which bounds a mean will be."""
    if high == math.inf:
        return f"{significant(low, 4)} or more"
    most = significant(high, 4)
    return f"{most} or less" if low == -math.inf else f"{significant(low, 4)} to {most}"
