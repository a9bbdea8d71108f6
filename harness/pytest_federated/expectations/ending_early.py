"""What is certain of a scenario before its trainings are over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from pytest_federated.core.schema import Section
from pytest_federated.expectations.judging import (
    Bounds,
    NoFigure,
    bounds_given,
    checks,
    compare,
    expected_text,
)
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

    An expectation tells by its trait `so_far` within which bounds the figure of a training will
    be, given its rounds until now; of a finished training the figure itself is known. If that
    leaves the mean over all seeds on one side of a threshold, more rounds change nothing. Where
    the figures of all seeds are known, the verdict is that of the whole run.

    Args:
        expect: expectations by name.
        finished: trainings that are over.
        begun: rounds of the training that is not.
        seeds: how many trainings the scenario has.

    """
    decisions = [_decide(name, chosen, finished, begun, seeds) for name, chosen in expect.items()]
    holding = [decision.holds for decision in decisions]
    is_decided = False in holding or (holding and set(holding) == {True})
    return tuple(decision.verdict for decision in decisions) if is_decided else None


def _decide(
    name: str,
    chosen: Section,
    finished: Sequence[TrainingHistory],
    begun: Sequence[Round],
    seeds: int,
) -> _Decision:
    entry = checks[name]
    figure, so_far = entry.spec.figure, entry.spec.so_far
    bounds = bounds_given(chosen)
    limits = Bounds.of(**bounds)
    keys = {k: getattr(chosen, k) for k in entry.keywords if k not in bounds}
    expected = expected_text(limits, bounds, keys, entry.spec.phrase)
    undecided = Verdict(
        expectation=name,
        expected=expected,
        passed=True,
        outcome="not judged",
        note="not known, as the run was ended",
    )
    if figure is None or so_far is None:
        return _Decision(None, undecided)
    try:
        known = [figure(history, **keys) for history in finished]
    except NoFigure as none:
        return _certain(undecided, False, str(none))
    ranges = [(k, k) for k in known] + [so_far(begun, **keys)]
    ranges += [so_far((), **keys)] * (seeds - len(ranges))
    ranges = ranges[:seeds]
    low, high = (sum(r[end] for r in ranges) / seeds for end in (0, 1))
    if low >= limits.low and high <= limits.high:
        holds = True
    elif high < limits.low or low > limits.high:
        holds = False
    else:
        return _Decision(None, undecided)
    if all(least == greatest for least, greatest in ranges):
        return _Decision(holds, compare(name, [least for least, _ in ranges], limits, expected))
    note = "holds already" if holds else "can no longer hold"
    return _certain(undecided, holds, f"{note}: {_range_text(low, high)}")


def _certain(undecided: Verdict, holds: bool, note: str) -> _Decision:
    outcome = "pass" if holds else "fail"
    update = {"passed": holds, "outcome": outcome, "note": note}
    return _Decision(holds, undecided.model_copy(update=update))


def _range_text(low: float, high: float) -> str:
    """Within which bounds a mean will be."""
    if high == math.inf:
        return f"{low:.4g} or more"
    return f"{high:.4g} or less" if low == -math.inf else f"{low:.4g} to {high:.4g}"
