"""What is certain of a scenario before its trainings are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from harness.checks.base import Bounds, NoFigure, bounds_given, checks
from harness.results.record import Verdict
from harness.settings import Section
from harness.training.history import Round, TrainingHistory


def certain(
    expect: Mapping[str, Section],
    finished: Sequence[TrainingHistory],
    begun: Sequence[Round],
    seeds: int,
) -> Optional[tuple[Verdict, ...]]:
    """Verdicts of a scenario that can no longer pass, or can no longer fail; None of others.

    An expectation tells by its trait `so_far` within which bounds the figure of a training will
    be, given its rounds until now; of a finished training the figure itself is known. If that
    leaves the mean over all seeds on one side of a threshold, more rounds change nothing.

    Args:
        expect: expectations by name.
        finished: trainings that are over.
        begun: rounds of the training that is not.
        seeds: how many trainings the scenario has.

    """
    verdicts = [_verdict(name, chosen, finished, begun, seeds) for name, chosen in expect.items()]
    outcomes = [v.outcome for v in verdicts]
    is_decided = "fail" in outcomes or (outcomes and set(outcomes) == {"pass"})
    return tuple(verdicts) if is_decided else None


def _verdict(
    name: str,
    chosen: Section,
    finished: Sequence[TrainingHistory],
    begun: Sequence[Round],
    seeds: int,
) -> Verdict:
    entry = checks[name]
    figure, so_far = entry.traits.get("figure"), entry.traits.get("so_far")
    limits = Bounds.of(**bounds_given(chosen))
    open_verdict = Verdict(
        expectation=name,
        expected=str(limits),
        passed=True,
        outcome="not judged",
        note="not known, as the run was ended",
    )
    if figure is None or so_far is None:
        return open_verdict
    keys = {k: getattr(chosen, k) for k in entry.keywords if k not in bounds_given(chosen)}
    try:
        known = [figure(history, **keys) for history in finished]
    except NoFigure as none:
        return _decided(open_verdict, False, str(none))
    ranges = [(k, k) for k in known] + [so_far(begun, **keys)]
    ranges += [so_far((), **keys)] * (seeds - len(ranges))
    low = sum(r[0] for r in ranges[:seeds]) / seeds
    high = sum(r[1] for r in ranges[:seeds]) / seeds
    if low >= limits.low and high <= limits.high:
        return _decided(open_verdict, True, "")
    if high < limits.low or low > limits.high:
        return _decided(open_verdict, False, "")
    return open_verdict


def _decided(verdict: Verdict, passed: bool, why: str) -> Verdict:
    note = why or ("holds already" if passed else "can no longer hold")
    outcome = "pass" if passed else "fail"
    return verdict.model_copy(update={"passed": passed, "outcome": outcome, "note": note})
