"""From a scenario to its result: data, training and checks, one after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable, Optional, Protocol, Union

from pytest_federated.core import signals
from pytest_federated.core.errors import TimeLimitExceeded
from pytest_federated.data.datasets import external as files
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import federate
from pytest_federated.expectations.ending_early import certain
from pytest_federated.expectations.judging import Policy, checks, judge
from pytest_federated.results.record import Result, Status, Verdict
from pytest_federated.running.store import Histories, default_cache, training_key
from pytest_federated.scenario.references import compared, concerning
from pytest_federated.scenario.schema import Scenario
from pytest_federated.tff.addresses import parse_addresses
from pytest_federated.tff.context import runtime, shutdown
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.history import Round, TrainingHistory
from pytest_federated.training.loop import train

_PACKAGES = ("pytest-federated", "tensorflow-federated", "tensorflow", "numpy")

# Called after each round with the position of the seed among all seeds, and the round.
Progress = Callable[[int, Round], None]

# Called after each round of a training, which ends where it returns True.
Tell = Callable[[Round], Optional[bool]]

# Whether finished trainings, and the rounds of one that is not, decide a scenario.
Decide = Callable[[Sequence[TrainingHistory], Sequence[Round]], bool]


class Cluster(Protocol):
    """Other machines that do trainings."""

    def submit(self, scenario: Scenario, seed: int, options: Options) -> None:
        """Has a training begin as soon as there is room, unless it was submitted before."""
        ...

    def history(self, scenario: Scenario, seed: int, options: Options) -> TrainingHistory:
        """Waits for a training, which need not have been submitted.

        Raises:
            FederatedError: as `run`; or the cluster cannot do it.
        """
        ...


@dataclass(frozen=True)
class Options:
    """What the caller sets, as opposed to the scenario.

    Attributes:
        seeds: number of seeds to run instead of those listed: the first ones, then further ones
            counting up from the largest.
        rounds: cap on the rounds; a run that it cuts short is not judged.
        threads: compute threads of the local TFF worker; all cores when None.
        workers: remote TFF workers to run on, each as ``host:port``; none for a local one.
        cache: folder for downloaded data.
        kept: folder in which finished trainings are kept, and checkpoints of others; None keeps
            nothing.
        reuse: whether a training that is kept is not run again.
        resume: whether a training goes on from its last checkpoint.
        checkpoint_every: rounds between two checkpoints; every 30 seconds when None.
        timeout: seconds that one scenario may take, all its seeds together; without the import of
            TFF.
        cluster: does the trainings on other machines; None does them here.
        inconclusive: what decides an expectation whose threshold lies in the interval of the mean:
            the `mean`, or always `fail`, `pass`, or `warn`, which passes it.
        benchmark: whether expectations of wall time are judged, too; such scenarios are then
            always trained anew.
        early_stop: whether a run is ended where more rounds can change no verdict; only where the
            mean decides, and no other scenario is compared with.
        done: trainings of this session by key, which are not run twice in it; it is added to.

    """

    seeds: Optional[int] = None
    rounds: Optional[int] = None
    threads: Optional[int] = None
    workers: Union[str, Sequence[str]] = ()
    cache: Path = field(default_factory=default_cache)
    kept: Optional[Path] = None
    reuse: bool = True
    resume: bool = False
    checkpoint_every: Optional[int] = None
    timeout: Optional[float] = None
    cluster: Optional[Cluster] = None
    inconclusive: Policy = "mean"
    benchmark: bool = False
    early_stop: bool = False
    done: dict[str, TrainingHistory] = field(default_factory=dict)


def run(
    scenario: Scenario,
    options: Optional[Options] = None,
    *,
    variant: str = "",
    siblings: Optional[Mapping[str, Scenario]] = None,
    on_round: Optional[Progress] = None,
) -> Result:
    """Runs a scenario through TFF, one training for each seed, and judges it.

    What its expectations compare it with is trained as well, after it.

    Args:
        scenario: what to run.
        options: see `Options`.
        variant: the part of the id in brackets, for a variant of a matrix.
        siblings: all variants of that matrix.
        on_round: told about each finished round; the positions of the trainings to compare with
            come after those of the seeds.

    Raises:
        DataError: the split cannot be made of this data.
        DataUnavailable: the data is not on this machine and cannot be fetched.
        ModelError: the model cannot be built or does not fit the data.
        RuntimeUnavailable: TFF is missing or broken, its worker died, or remote workers do not
            answer.
        FederatedError: the address of a remote worker is misspelled, or an expectation compares
            with what is missing.
        TimeLimitExceeded: it took longer than `options.timeout`.

    """
    options = _timing(scenario, options or Options())
    seeds = seeds_to_run(scenario.seeds, options.seeds)
    shortened = _shortened(scenario, options)
    others = compared(scenario, variant, siblings or {})
    submit(scenario, options, variant, siblings)
    truncated = shortened.training.rounds < scenario.training.rounds
    sides: dict[str, Sequence[TrainingHistory]] = {}
    with signals.kept(options.timeout) as check:

        def train_all(one: Scenario, first: int) -> tuple[list[TrainingHistory], int]:
            def tell(position: int, done: Round) -> None:
                check()
                if on_round:
                    on_round(first * len(seeds) + position, done)

            decide = _decider(scenario, options) if not truncated and not others else None
            return _trainings(one, seeds, options, tell, decide, is_reference=first > 0)

        histories, reused = train_all(shortened, 0)
        diverged = next((f"seed {h.seed} {h.diverged}" for h in histories if h.diverged), "")
        if not truncated and not diverged:
            for place, (name, other) in enumerate(others.items(), start=1):
                sides[name] = train_all(other, place)[0]
    verdicts: tuple[Verdict, ...] = ()
    ended = "" if diverged or not options.early_stop else _ended(shortened, seeds, histories)
    if ended:
        verdicts = certain(scenario.expect, *_halves(shortened, histories), len(seeds)) or ()
    elif not truncated and not diverged:
        expect = concerning(scenario, variant)
        verdicts = judge(expect, histories, options.inconclusive, sides, options.benchmark)
    status: Status = "passed" if all(v.passed for v in verdicts) else "failed"
    reason = ""
    if diverged:
        status, reason = "diverged", diverged
    elif ended:
        reason = ended
    elif truncated:
        status, reason = (
            "not judged",
            f"cut short after {options.rounds} of {scenario.training.rounds} rounds",
        )
    return Result(
        id=scenario.id(variant),
        settings=settings_of_result(scenario, seeds, histories),
        status=status,
        reason=reason,
        histories=tuple(histories),
        verdicts=verdicts,
        versions=_versions(),
        reused=reused,
    )


def settings_of_result(
    scenario: Scenario, seeds: Sequence[int], histories: Sequence[TrainingHistory]
) -> dict[str, Any]:
    """The settings of a result: with the seeds that were run, and the outputs that were found."""
    settings = {**scenario.settings(), "seeds": list(seeds)}
    model = settings["model"]
    if model and histories and "outputs" in model and model["outputs"] is None:
        settings["model"] = {**model, "outputs": histories[0].outputs or "logits"}
    return settings


def submit(
    scenario: Scenario,
    options: Options,
    variant: str = "",
    siblings: Optional[Mapping[str, Scenario]] = None,
) -> None:
    """Has the cluster, if there is one, begin with what `run` will need."""
    if options.cluster is None:
        return
    others = {} if options.rounds else compared(scenario, variant, siblings or {})
    kept = Histories(options.kept) if options.kept and options.reuse else None
    for one in (_shortened(scenario, options), *others.values()):
        for seed in seeds_to_run(scenario.seeds, options.seeds):
            if kept is None or kept.get(training_key(one, seed, cache=options.cache)) is None:
                options.cluster.submit(one, seed, options)


def trainings(
    scenario: Scenario,
    options: Options,
    variant: str = "",
    siblings: Optional[Mapping[str, Scenario]] = None,
) -> int:
    """How many trainings `run` looks at: one for each seed, and those to compare with."""
    others = {} if options.rounds else compared(scenario, variant, siblings or {})
    return len(seeds_to_run(scenario.seeds, options.seeds)) * (1 + len(others))


def _timing(scenario: Scenario, options: Options) -> Options:
    """What was trained before took no time now: without it, where time is judged."""
    is_timed = any(checks[name].spec.is_benchmark for name in scenario.expect)
    if options.benchmark and is_timed:
        return replace(options, reuse=False, done={})
    return replace(options, benchmark=False)


def _trainings(
    scenario: Scenario,
    seeds: Sequence[int],
    options: Options,
    on_round: Progress,
    decide: Optional[Decide] = None,
    is_reference: bool = False,
) -> tuple[list[TrainingHistory], int]:
    """One training for each seed, and how many of them were done before.

    Where one diverges the rest is left out, unless others are compared with it; so it is where
    `decide` says that finished trainings and the rounds of one that is not are enough.
    """
    histories: list[TrainingHistory] = []
    reused = 0
    for position, seed in enumerate(seeds):
        times = [time.perf_counter()]
        begun: list[Round] = []

        def tell(
            done: Round,
            position: int = position,
            times: list[float] = times,
            begun: list[Round] = begun,
        ) -> Optional[bool]:
            times.append(time.perf_counter())
            begun.append(done)
            on_round(position, done)
            # Of a training that is resumed, or kept, not all rounds are told.
            return decide is not None and len(begun) == done.round and decide(histories, begun)

        history, is_reused = _history(scenario, seed, options, tell)
        if options.benchmark:
            seconds = tuple(end - begin for begin, end in zip(times, times[1:]))
            history = history.model_copy(update={"seconds": seconds})
        histories.append(history)
        reused += is_reused
        if history.diverged and not is_reference:
            break
        if decide and (_is_cut_off(history, scenario) or decide(histories, ())):
            break
    return histories, reused


def _shortened(scenario: Scenario, options: Options) -> Scenario:
    """The scenario with no more rounds than the options allow."""
    training = scenario.training
    rounds = min(training.rounds, options.rounds or training.rounds)
    shorter = training.model_copy(update={"rounds": rounds})
    return scenario.model_copy(update={"training": shorter})


def _history(
    scenario: Scenario, seed: int, options: Options, on_round: Tell
) -> tuple[TrainingHistory, bool]:
    """The training of one seed, and whether it was done before."""
    if options.cluster is None:
        files.fetch(scenario.data.dataset, Cache(options.cache))  # as the key depends on the data
    workers = max(1, len(parse_addresses(options.workers)))
    key = training_key(scenario, seed, workers, options.cache)
    if known := options.done.get(key):
        on_round(known.rounds[-1])
        return known, True
    history, is_reused = _kept_history(scenario, seed, key, options, on_round)
    if not _is_cut_off(history, scenario):
        options.done[key] = history
    return history, is_reused


def _is_cut_off(history: TrainingHistory, scenario: Scenario) -> bool:
    return not history.diverged and len(history.rounds) < scenario.training.rounds


def _halves(
    scenario: Scenario, histories: Sequence[TrainingHistory]
) -> tuple[list[TrainingHistory], Sequence[Round]]:
    """The trainings that are over, and the rounds of the one that was ended, if one was."""
    finished = [h for h in histories if not _is_cut_off(h, scenario)]
    begun = [h.rounds for h in histories if _is_cut_off(h, scenario)]
    return finished, begun[0] if begun else ()


def _decider(scenario: Scenario, options: Options) -> Optional[Decide]:
    """Says when a run's verdict is certain; None where it is not asked for, or not by the mean."""
    if not options.early_stop or options.inconclusive != "mean" or options.benchmark:
        return None
    seeds = len(seeds_to_run(scenario.seeds, options.seeds))
    return lambda finished, begun: certain(scenario.expect, finished, begun, seeds) is not None


def _ended(scenario: Scenario, seeds: Sequence[int], histories: Sequence[TrainingHistory]) -> str:
    """Where a run was ended as its verdict was certain; empty where it was not."""
    last = histories[-1]
    if len(histories) == len(seeds) and not _is_cut_off(last, scenario):
        return ""
    return f"ended early, after round {last.rounds[-1].round} of seed {last.seed}"


def _kept_history(
    scenario: Scenario, seed: int, key: str, options: Options, on_round: Tell
) -> tuple[TrainingHistory, bool]:
    if options.kept is None:
        return train_seed(scenario, seed, options, on_round), False
    cache = Histories(options.kept)
    with cache.claim(key):
        found = cache.get(key) if options.reuse else None
        if found:
            on_round(found.rounds[-1])
            return found, True
        checkpoints = Checkpoints(options.kept / "checkpoints" / key, options.checkpoint_every)
        if not options.resume:
            checkpoints.clear()
        history = train_seed(scenario, seed, options, on_round, checkpoints)
        if not _is_cut_off(history, scenario):
            cache.put(key, history)
        checkpoints.clear()
        return history, False


def train_seed(
    scenario: Scenario,
    seed: int,
    options: Options,
    on_round: Optional[Tell] = None,
    checkpoints: Optional[Checkpoints] = None,
) -> TrainingHistory:
    """Data and training of one seed, on the cluster where there is one.

    Raises:
        FederatedError: as `run`.
    """
    if options.cluster is not None:
        history = options.cluster.history(scenario, seed, options)
        if on_round:
            on_round(history.rounds[-1])
        return history
    data = federate(scenario.data, scenario.clients, seed, Cache(options.cache))
    cohort_size = scenario.clients.cohort_size(len(data.clients))
    try:
        # After the data, whose errors need no TensorFlow.
        runtime(options.threads, parse_addresses(options.workers)).start()
        return train(
            data,
            scenario.model,
            scenario.training,
            cohort_size,
            seed,
            on_round,
            checkpoints,
            scenario.clients.systems,
        )
    except (TimeLimitExceeded, KeyboardInterrupt):
        shutdown()  # the worker is still busy, or only half started
        raise


def seeds_to_run(listed: Sequence[int], count: Optional[int]) -> tuple[int, ...]:
    """The seeds of a scenario, or so many of them, and then further ones."""
    if count is None:
        return tuple(listed)
    further = range(max(listed) + 1, max(listed) + 1 + max(0, count - len(listed)))
    return (*listed[:count], *further)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree that is not installed
            found[package] = "unknown"
    return found
