"""From a scenario to its result: data, training and judging, one after the other."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Optional, Union

from pytest_federated.core import collector, signals
from pytest_federated.core.errors import FederatedError, TimeLimitExceeded
from pytest_federated.data.datasets import external
from pytest_federated.data.datasets.dataset import Cache, TaskKind
from pytest_federated.data.federation import federate
from pytest_federated.expectations.ending_early import certain
from pytest_federated.expectations.judging import has_wall_time, judge, unfit
from pytest_federated.expectations.looks import Look
from pytest_federated.metrics.prediction import scores_of
from pytest_federated.results.record import Result, Status, Verdict
from pytest_federated.results.tuning import Tuning
from pytest_federated.running.fingerprint import (
    Fingerprint,
    of_any_rounds,
    surroundings_text,
    training_key,
)
from pytest_federated.running.observers import EarlyStop, Stopwatch, TimeLimit
from pytest_federated.running.options import Options
from pytest_federated.running.plan import Plan, plan
from pytest_federated.running.tuning import tuning_of
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.references import concerning
from pytest_federated.scenario.schema import Scenario
from pytest_federated.tff.addresses import parse_addresses
from pytest_federated.tff.compiler import keep_compiled
from pytest_federated.tff.context import runtime, shutdown
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.history import Round, TrainingHistory
from pytest_federated.training.loop import train
from pytest_federated.training.observer import Observer, Observers, Progress, Run

# TFF's context, Keras' global settings and what trainings share are the process's.
_one_at_a_time = threading.RLock()


def _renew_lock() -> None:
    """Forgets, in a copy of this process, who held the lock: that thread is not in the copy."""
    global _one_at_a_time
    _one_at_a_time = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)

_PACKAGES = ("pytest-federated", "tensorflow-federated", "tensorflow", "numpy")


def run(
    scenario: Union[Scenario, Case],
    options: Optional[Options] = None,
    observers: Iterable[Observer] = (),
) -> Result:
    """Runs a scenario through TFF, one training for each seed, and judges it.

    What its expectations compare it with is trained as well, after it. Calls from several threads
    are safe: they wait for each other, and none of them is faster than one after the other. It
    blocks, also in an event loop; `asyncio.to_thread` keeps that free.

    Args:
        scenario: what to run; a `Case` where it is one of a file, such as a variant of a matrix.
        options: see `Options`.
        observers: watch its trainings.

    Raises:
        DataError: the split cannot be made of this data.
        DataUnavailable: the data is not on this machine and cannot be fetched.
        ModelError: the model cannot be built or does not fit the data.
        RuntimeUnavailable: TFF is missing or broken, its worker died, remote workers do not
            answer, or this process was forked from one in which TFF ran.
        FederatedError: the address of a remote worker is misspelled, or an expectation compares
            with what is not there.
        TimeLimitExceeded: it took longer than `options.timeout`.

    """
    case = scenario if isinstance(scenario, Case) else Case(scenario)
    options = options or Options()
    return run_plan(plan(case, options), options, observers)


def run_plan(planned: Plan, options: Options, observers: Iterable[Observer] = ()) -> Result:
    """Runs the trainings of a plan, which was made under these options, and judges them.

    Raises:
        FederatedError: as `run`.
    """
    with _one_at_a_time:
        return _run_plan(planned, _anew(planned.case.scenario, options), observers)


def _run_plan(planned: Plan, options: Options, observers: Iterable[Observer]) -> Result:
    submit(planned, options)
    early_stop = _early_stop(planned, options)
    with collector.rare(), signals.delivered(options.timeout) as check:
        watching = [TimeLimit(check), *observers, *([early_stop] if early_stop else [])]
        done = _Done()
        if planned.points:
            planned = _tuned(planned, done, options, watching)
        result = _look(planned, planned.looks[0], done, options, watching, early_stop)
        for look in planned.looks[1:]:
            if all(verdict.outcome != "inconclusive" for verdict in result.verdicts):
                break
            result = _look(planned, look, done, options, watching, early_stop)
    return result


@dataclass
class _Done:
    """The trainings of a plan that are over.

    Attributes:
        references: of what is compared with, by expectation.
        histories: of the scenario itself.
        reused: how many of its own, those of all points that were tried included, had been done
            before.
        tuning: how its point was chosen.
        of_point: the trainings of that point by seed, from when it was chosen.

    """

    references: dict[str, list[TrainingHistory]] = field(
        default_factory=dict[str, list[TrainingHistory]]
    )
    histories: list[TrainingHistory] = field(default_factory=list[TrainingHistory])
    reused: int = 0
    tuning: Optional[Tuning] = None
    of_point: dict[int, TrainingHistory] = field(default_factory=dict[int, TrainingHistory])

    @property
    def diverged(self) -> str:
        """What diverged, and how; empty where nothing did."""
        if self.tuning and self.tuning.best is None:
            return f"all {len(self.tuning.points)} points of the grid: {self.tuning.notes}"
        return next((f"seed {h.seed} {h.diverged}" for h in self.histories if h.diverged), "")


def _look(
    planned: Plan,
    look: Look,
    done: _Done,
    options: Options,
    observers: Sequence[Observer],
    early_stop: Optional[EarlyStop],
) -> Result:
    """Does the trainings that a look needs and that are not done yet, and judges all."""
    of_look = slice(len(done.histories), look.seeds)
    trained = _train_all(
        planned.case.checkpoint_name(planned.point),
        planned.scenario,
        planned.runs(0)[of_look],
        options,
        observers,
        early_stop,
        done.of_point,
    )
    done.histories += trained[0]
    done.reused += trained[1]
    if not done.diverged:
        for place, (name, scenario) in enumerate(planned.compared.items(), start=1):
            runs = planned.runs(place)[of_look]
            others, _ = _train_all(planned.case.id, scenario, runs, options, observers)
            done.references.setdefault(name, []).extend(others)
    status, reason, verdicts = _judged(planned, look, done, options, early_stop)
    case = planned.case
    return Result(
        id=case.id,
        settings=settings_of_result(case.scenario, planned.seeds[: look.seeds], done.histories),
        matrix=dict(case.matrix),
        tuning=done.tuning,
        status=status,
        reason=reason,
        histories=tuple(done.histories),
        verdicts=verdicts,
        versions=_versions(),
        reused=done.reused,
    )


def _tuned(planned: Plan, done: _Done, options: Options, observers: Sequence[Observer]) -> Plan:
    """Trains all points of a grid; returns the trainings of the best one.

    Where all points diverged, those of the first one.

    Raises:
        FederatedError: no training has the figure that decides.
    """
    histories: dict[str, list[TrainingHistory]] = {}
    for name in planned.points:
        histories[name], reused = _train_all(
            planned.case.checkpoint_name(name),
            planned.scenario_of_point(name),
            planned.runs_of_point(name),
            options,
            observers,
        )
        done.reused += reused
    values = {name: point.values for name, point in planned.points.items()}
    assert planned.scenario.tune
    done.tuning = tuning_of(planned.scenario.tune, values, histories, planned.tuning_seeds)
    best = done.tuning.best or done.tuning.points[0]
    done.of_point = {history.seed: history for history in histories[best.name]}
    return planned.chosen(best.name)


def _judged(
    planned: Plan, look: Look, done: _Done, options: Options, early_stop: Optional[EarlyStop]
) -> tuple[Status, str, tuple[Verdict, ...]]:
    """Returns what a run comes to at a look: its status, the reason if there is one, verdicts."""
    case, histories = planned.case, done.histories
    if done.diverged:
        return "diverged", done.diverged, ()
    reason = _ended(planned, histories) if early_stop else ""
    if reason:
        finished, begun = _halves(planned, histories)
        verdicts = certain(case.scenario.expect, finished, begun, len(planned.seeds)) or ()
    elif planned.is_cut_short:
        of_all = case.scenario.training.rounds
        return "not judged", f"cut short after {options.rounds} of {of_all} rounds", ()
    else:
        verdicts = judge(
            concerning(case),
            histories,
            options.inconclusive,
            done.references,
            options.benchmark,
            look.confidence,
        )
    if not reason and all(v.outcome == "not judged" for v in verdicts):
        return "reported", "", verdicts
    return "passed" if all(v.passed for v in verdicts) else "failed", reason, verdicts


def settings_of_result(
    scenario: Scenario, seeds: Sequence[int], histories: Sequence[TrainingHistory]
) -> dict[str, Any]:
    """Returns the settings of a result: with the seeds that were run, and the model's outputs."""
    settings: dict[str, Any] = {**scenario.settings(), "seeds": list(seeds)}
    model = settings["model"]
    if model and histories and "outputs" in model and model["outputs"] is None:
        settings["model"] = {**model, "outputs": histories[0].outputs or "logits"}
    return settings


def submit(planned: Plan, options: Options) -> None:
    """Has the cluster, if there is one, begin with what the plan needs."""
    if options.cluster is None:
        return
    scenarios, seeds = planned.scenarios, planned.first_seeds
    if planned.points:  # what comes after them depends on which is chosen
        scenarios = tuple(planned.scenario_of_point(name) for name in planned.points)
        seeds = planned.tuning_seeds
    for scenario in scenarios:
        for seed in seeds:
            key = training_key(scenario, seed, cache=options.cache)
            if not (options.reuse and options.store.read(key)):
                options.cluster.submit(scenario, seed, options)


def train_seed(
    scenario: Scenario,
    seed: int,
    options: Options,
    observer: Observer = Observer(),  # noqa: B008  # does nothing
    checkpoints: Optional[Checkpoints] = None,
) -> TrainingHistory:
    """Does the training of one seed, on the cluster where there is one.

    Raises:
        FederatedError: as `run`.
    """
    if options.cluster is not None:
        history = options.cluster.history(scenario, seed, options)
        observer.after_round(Progress(history.rounds, None))
        return history
    data = federate(scenario.data, scenario.clients, seed, Cache(options.cache))
    _check_expectations(scenario, data.task)
    cohort_size = scenario.clients.cohort_size(len(data.names))
    try:
        # After the data, whose errors need no TensorFlow.
        keep_compiled(options.store.computations if options.reuse else None, surroundings_text())
        runtime(options.threads, parse_addresses(options.workers), options.workers_tls).start()
        return train(
            data,
            scenario.model,
            scenario.training,
            cohort_size,
            seed,
            observer,
            checkpoints,
            scenario.clients.participation,
            options.keep_models,
            scores_of(scenario.expect, data.task),
        )
    except (TimeLimitExceeded, KeyboardInterrupt):
        shutdown()  # the worker is still busy, or only half started
        raise


def _check_expectations(scenario: Scenario, task: TaskKind) -> None:
    """Raises FederatedError if something is expected that data of this task does not have."""
    if misfit := unfit(scenario.expect, task):
        name, reason = misfit
        raise FederatedError(f"expect.{name}: {reason}")


def _anew(scenario: Scenario, options: Options) -> Options:
    """Returns options that reuse nothing where time is judged or models are kept.

    What is reused took no time, and left no model.
    """
    options = replace(options, benchmark=options.benchmark and has_wall_time(scenario.expect))
    if options.benchmark or options.keep_models:
        return replace(options, reuse=False, store=options.store.without_memory())
    return options


def needs_all_rounds(planned: Plan, options: Options) -> str:
    """Says why a plan needs all rounds, whatever is certain before; empty where it may end early.

    What all plans under these options have in common goes before what only some have.
    """
    reasons = {
        "benchmarked": options.benchmark,
        "judged by intervals": options.inconclusive != "mean",
        "cut short": planned.is_cut_short,
        "seeds may be added": len(planned.looks) > 1,
        "tuned": planned.points,
        "compared with another training": planned.compared,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _early_stop(planned: Plan, options: Options) -> Optional[EarlyStop]:
    """Returns what may end the run early; None where it is not asked for, or not possible."""
    if not options.early_stop or needs_all_rounds(planned, options):
        return None
    return EarlyStop(planned.case.scenario.expect, len(planned.seeds))


def _train_all(
    name: str,
    scenario: Scenario,
    runs: Sequence[Run],
    options: Options,
    observers: Sequence[Observer],
    early_stop: Optional[EarlyStop] = None,
    known: Mapping[int, TrainingHistory] = {},
) -> tuple[list[TrainingHistory], int]:
    """Does some trainings of one scenario; and counts those that were done before.

    Where one diverges the rest is left out, unless others are compared with it; so it is where
    the run's verdicts are certain. Those that are `known`, by seed, are not done, and not counted.
    """
    histories: list[TrainingHistory] = []
    reused = 0
    keys = _Keys(scenario, options)
    for one in runs:
        is_over = False
        if one.seed in known:
            history = known[one.seed]
        else:
            stopwatch = Stopwatch()
            watching = Observers((stopwatch, *observers))
            history, is_reused = _train(name, scenario, one, options, watching, keys)
            if is_reused and history.task:
                _check_expectations(scenario, history.task)
            if options.benchmark:
                history = history.model_copy(update={"seconds": tuple(stopwatch.seconds)})
            is_over = early_stop is not None and early_stop.is_decided
            if is_over and _is_cut_off(history, scenario):
                history = history.model_copy(update={"ended_early": True})
            reused += is_reused
        histories.append(history)
        if is_over or (history.diverged and not one.is_reference):
            break
    return histories, reused


def _train(
    scenario_id: str,
    scenario: Scenario,
    one: Run,
    options: Options,
    observer: Observer,
    keys: _Keys,
) -> tuple[TrainingHistory, bool]:
    """Does one training, which the observer watches; and says whether it was done before."""
    observer.begin(one)
    try:
        history, is_reused = _history(scenario_id, scenario, one.seed, options, observer, keys)
        if is_reused:
            observer.after_round(Progress(history.rounds, None))
    except BaseException:
        observer.end(None)
        raise
    observer.end(history)
    return history, is_reused


def _history(
    scenario_id: str,
    scenario: Scenario,
    seed: int,
    options: Options,
    observer: Observer,
    keys: _Keys,
) -> tuple[TrainingHistory, bool]:
    """Takes a training from the store, or does it; and says whether it was done before."""
    key = keys.of(seed)
    store = options.store
    if known := store.remembered(key):
        return known, True
    with store.claim(key):
        if options.reuse and (known := store.read(key)):
            return known, True
        keys.forget()
        workers = _workers(options)
        states = training_key(of_any_rounds(scenario), seed, workers, options.cache)
        checkpoints = store.checkpoints(
            states, scenario_id, seed, options.checkpoint_every, keeps_last=options.resume
        )
        if checkpoints and not options.resume:
            checkpoints.clear()
        history = train_seed(scenario, seed, options, observer, checkpoints)
        if not _is_cut_off(history, scenario):
            store.add(key, history)
        store.clear_checkpoints(scenario_id, seed, except_key=states if options.resume else "")
    return history, False


class _Keys:
    """The keys of a scenario's trainings; what they share is looked at once, until one is done.

    A training takes long enough for code or data to change meanwhile.
    """

    def __init__(self, scenario: Scenario, options: Options) -> None:
        self._scenario, self._options = scenario, options
        self._fingerprint: Optional[Fingerprint] = None

    def of(self, seed: int) -> str:
        """Returns the key of the training of a seed.

        Raises:
            DataUnavailable: the data, which the key depends on, is not here and cannot be fetched.

        """
        if self._fingerprint is None:
            scenario, options = self._scenario, self._options
            if options.cluster is None:
                external.fetch(scenario.data.dataset, Cache(options.cache))
            self._fingerprint = Fingerprint(scenario, _workers(options), options.cache)
        return self._fingerprint.key(seed)

    def forget(self) -> None:
        """Forgets what was looked at, as a training begins."""
        self._fingerprint = None


def _workers(options: Options) -> int:
    return max(1, len(parse_addresses(options.workers)))


def _is_cut_off(history: TrainingHistory, scenario: Scenario) -> bool:
    return not history.diverged and len(history.rounds) < scenario.training.rounds


def _halves(
    planned: Plan, histories: Sequence[TrainingHistory]
) -> tuple[list[TrainingHistory], Sequence[Round]]:
    """Returns the trainings that are over, and the rounds of the one that was ended, if any."""
    finished = [h for h in histories if not h.ended_early]
    begun = [h.rounds for h in histories if h.ended_early]
    return finished, begun[0] if begun else ()


def _ended(planned: Plan, histories: Sequence[TrainingHistory]) -> str:
    """Says where a run was ended as its verdicts were certain; empty where it was not."""
    last = histories[-1]
    if len(histories) == len(planned.seeds) and not last.ended_early:
        return ""
    return f"ended early, after round {last.rounds[-1].round} of seed {last.seed}"


@functools.cache
def _versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # run from a source tree that is not installed
            versions[package] = "unknown"
    return versions
