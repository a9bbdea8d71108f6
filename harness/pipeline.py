"""From a scenario to its result: data, training and checks, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Callable, Optional, Protocol, Union

import platformdirs

from harness.cache import Histories, training_key
from harness.checks import Policy, judge
from harness.data.datasets import Cache
from harness.data.federate import federate
from harness.errors import TimeLimitExceeded
from harness.results import Result, Status
from harness.runtime import interrupts
from harness.runtime.addresses import parse_addresses
from harness.runtime.context import runtime, shutdown
from harness.scenario.schema import Scenario
from harness.training.checkpoints import Checkpoints
from harness.training.history import Round, TrainingHistory
from harness.training.loop import train

_PACKAGES = ("pytest-federated", "tensorflow-federated", "tensorflow", "numpy")

# Called after each round with the position of the seed among all seeds, and the round.
Progress = Callable[[int, Round], None]


class Cluster(Protocol):
    """Other machines that do trainings."""

    def submit(self, scenario: Scenario, seed: int, options: Options) -> None:
        """Has a training begin as soon as there is room, unless it was submitted before."""
        ...

    def history(self, scenario: Scenario, seed: int, options: Options) -> TrainingHistory:
        """Waits for a training, which need not have been submitted.

        Raises:
            HarnessError: as `run`; or the cluster cannot do it.
        """
        ...


def default_cache() -> Path:
    """The user cache folder for downloaded data."""
    return Path(platformdirs.user_cache_dir("pytest-federated", appauthor=False))


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
        timeout: seconds that one scenario may take, all its seeds together.
        cluster: does the trainings on other machines; None does them here.
        inconclusive: what decides an expectation whose threshold lies in the interval of the mean:
            the `mean`, or always `fail`, `pass`, or `warn`, which passes it.

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


def run(
    scenario: Scenario,
    options: Optional[Options] = None,
    *,
    variant: str = "",
    on_round: Optional[Progress] = None,
) -> Result:
    """Runs a scenario through TFF, one training for each seed, and judges it.

    Args:
        scenario: what to run.
        options: see `Options`.
        variant: the part of the id in brackets, for a variant of a matrix.
        on_round: told about each finished round.

    Raises:
        DataError: the split cannot be made of this data.
        DataUnavailable: the data is not on this machine and cannot be fetched.
        ModelError: the model cannot be built or does not fit the data.
        RuntimeUnavailable: TFF is missing or broken, its worker died, or remote workers do not
            answer.
        HarnessError: the address of a remote worker is misspelt.
        TimeLimitExceeded: it took longer than `options.timeout`.

    """
    options = options or Options()
    seeds = _seeds(scenario.seeds, options.seeds)
    shortened = _shortened(scenario, options)
    submit(scenario, options)
    truncated = shortened.training.rounds < scenario.training.rounds
    histories: list[TrainingHistory] = []
    reused = 0
    with interrupts.kept(options.timeout) as check:
        for position, seed in enumerate(seeds):

            def tell(done: Round, position: int = position) -> None:
                check()
                if on_round:
                    on_round(position, done)

            history, is_reused = _history(shortened, seed, options, tell)
            histories.append(history)
            reused += is_reused
            if history.diverged:
                break
    diverged = next((f"seed {h.seed} {h.diverged}" for h in histories if h.diverged), "")
    verdicts = (
        () if truncated or diverged else judge(scenario.expect, histories, options.inconclusive)
    )
    status: Status = "passed" if all(v.passed for v in verdicts) else "failed"
    reason = ""
    if diverged:
        status, reason = "diverged", diverged
    elif truncated:
        status, reason = (
            "not judged",
            f"cut short after {options.rounds} of {scenario.training.rounds} rounds",
        )
    return Result(
        id=scenario.id(variant),
        settings={**scenario.settings(), "seeds": list(seeds)},
        status=status,
        reason=reason,
        histories=tuple(histories),
        verdicts=verdicts,
        versions=_versions(),
        reused=reused,
    )


def submit(scenario: Scenario, options: Options) -> None:
    """Has the cluster, if there is one, begin with what `run` will need."""
    if options.cluster is None:
        return
    scenario = _shortened(scenario, options)
    for seed in _seeds(scenario.seeds, options.seeds):
        kept = Histories(options.kept) if options.kept and options.reuse else None
        if kept is None or kept.get(training_key(scenario, seed)) is None:
            options.cluster.submit(scenario, seed, options)


def _shortened(scenario: Scenario, options: Options) -> Scenario:
    """The scenario with no more rounds than the options allow."""
    training = scenario.training
    rounds = min(training.rounds, options.rounds or training.rounds)
    shorter = training.model_copy(update={"rounds": rounds})
    return scenario.model_copy(update={"training": shorter})


def _history(
    scenario: Scenario, seed: int, options: Options, on_round: Callable[[Round], None]
) -> tuple[TrainingHistory, bool]:
    """The training of one seed, and whether it was done before."""
    if options.kept is None:
        return train_seed(scenario, seed, options, on_round), False
    key = training_key(scenario, seed, max(1, len(parse_addresses(options.workers))))
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
        cache.put(key, history)
        checkpoints.clear()
        return history, False


def train_seed(
    scenario: Scenario,
    seed: int,
    options: Options,
    on_round: Optional[Callable[[Round], None]] = None,
    checkpoints: Optional[Checkpoints] = None,
) -> TrainingHistory:
    """Data and training of one seed, on the cluster where there is one.

    Raises:
        HarnessError: as `run`.
    """
    if options.cluster is not None:
        history = options.cluster.history(scenario, seed, options)
        if on_round:
            on_round(history.rounds[-1])
        return history
    data = federate(scenario.data, scenario.clients, seed, Cache(options.cache))
    cohort_size = scenario.clients.cohort_size(len(data.clients))
    # After the data, whose errors need no TensorFlow.
    runtime(options.threads, parse_addresses(options.workers)).start()
    try:
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
    except TimeLimitExceeded:
        shutdown()  # the worker is still busy
        raise


def _seeds(listed: Sequence[int], count: Optional[int]) -> tuple[int, ...]:
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
