"""The verdicts on a scenario: which of its expectations hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.data.datasets.dataset import LABELED, TaskKind
from pytest_federated.expectations.bounds import Bounds, bounds_in, verdict_on
from pytest_federated.expectations.expectation import expectations
from pytest_federated.metrics.metric import Reference, metrics, spec_of
from pytest_federated.metrics.statistics import CONFIDENCE
from pytest_federated.results.record import Verdict
from pytest_federated.training.history import TrainingHistory

# What decides an inconclusive verdict: the mean, or always one way; `warn` passes with a warning.
Policy = Literal["mean", "fail", "pass", "warn"]
POLICIES: tuple[Policy, ...] = ("mean", "fail", "pass", "warn")


def references(expect: Mapping[str, Section]) -> dict[str, Reference]:
    """What expectations compare with, by the name of the expectation."""
    refer = {name: spec_of(name).reference for name in expect}
    return {name: of(expect[name]) for name, of in refer.items() if of}


def unfit(expect: Mapping[str, Section], task: TaskKind) -> Optional[tuple[str, str]]:
    """Of expectations, the first that is not for data of a task, and why; None where all are."""
    for name in expect:
        if (spec := spec_of(name)).is_for(task):
            continue
        specs = {other: spec_of(other) for other in metrics.names()}
        able = [
            n for n, s in specs.items() if s.is_for(task) and (s.tasks or s.is_in_every_baseline)
        ]
        needed = "labels" if {*LABELED} <= {*spec.tasks} else f"the task {' or '.join(spec.tasks)}"
        has = "labels" if task in LABELED else "numbers"
        return name, (
            f"is for {needed}; the data has {has} (task: {task}); such data has {', '.join(able)}"
        )
    return None


def has_wall_time(expect: Mapping[str, Section]) -> bool:
    """Whether something is expected of wall time, for which trainings must really run."""
    return any(spec_of(name).is_wall_time for name in expect)


def require_training(histories: Sequence[TrainingHistory]) -> None:
    """Raises DataError if no client trained in a whole training: its model is the initial one."""
    for history in histories:
        rounds = history.rounds
        if history.diverged or not rounds or any(done.held_examples for done in rounds):
            continue
        drawn = sum(done.clients + done.dropped for done in rounds)
        dropped = sum(done.dropped for done in rounds)
        why = "the cohorts hold no examples (clients.split)"
        if not drawn:
            why = "no client was available in any of them (clients.sampling)"
        elif dropped == drawn:
            why = f"all {drawn} that were drawn dropped out (clients.dropout, clients.stragglers)"
        raise DataError(
            f"clients: no client trained in the {len(rounds)} round(s) of seed {history.seed}, so "
            f"there is nothing to judge: {why}"
        )


def judge(
    expect: Mapping[str, Section],
    histories: Sequence[TrainingHistory],
    inconclusive: Policy = "mean",
    compared: Optional[Mapping[str, Sequence[TrainingHistory]]] = None,
    benchmark: bool = False,
    confidence: float = CONFIDENCE,
) -> tuple[Verdict, ...]:
    """Judges every expectation, in the order of the scenario file.

    Args:
        expect: expectations by name.
        histories: one for each seed.
        inconclusive: what decides where the interval of a mean straddles its threshold.
        compared: for each expectation that has a reference, the histories of that, by seed.
        benchmark: whether benchmarks are judged, too.
        confidence: of the intervals of means.

    Raises:
        DataError: no client took part in one of the trainings.

    """
    require_training(histories)
    verdicts: list[Verdict] = []
    for name, keys in expect.items():
        sides = [histories, compared[name]] if compared and name in compared else [histories]
        entry = expectations[name]
        verdict: Any = entry.call(keys, *sides)
        if not isinstance(verdict, Verdict):
            raise entry.gave(verdict, "a Verdict")
        if confidence != CONFIDENCE and name in metrics and verdict.figures:
            limits = Bounds.of(**bounds_in(keys))
            verdict = verdict_on(name, verdict.figures, limits, verdict.expected, confidence)
        if spec_of(name).is_wall_time and not benchmark:
            verdict = Verdict(
                expectation=name,
                expected=verdict.expected,
                passed=True,
                outcome="not judged",
                note="off without --fed-benchmark",
            )
        verdicts.append(_decided(verdict, inconclusive))
    return tuple(verdicts)


def _decided(verdict: Verdict, inconclusive: Policy) -> Verdict:
    if verdict.outcome != "inconclusive" or inconclusive == "mean":
        return verdict
    return verdict.model_copy(update={"passed": inconclusive != "fail"})
