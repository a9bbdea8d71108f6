"""From a scenario to its result: data, training and checks, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Callable, Optional, Union

import platformdirs

from harness.checks import judge
from harness.data.datasets import Cache
from harness.data.federate import federate
from harness.results import Result, Status
from harness.runtime.addresses import parse_addresses
from harness.runtime.context import runtime
from harness.scenario.schema import Scenario
from harness.training.history import Round, TrainingHistory
from harness.training.loop import train

_PACKAGES = ("pytest-federated", "tensorflow-federated", "tensorflow", "numpy")

# Called after each round with the position of the seed among all seeds, and the round.
Progress = Callable[[int, Round], None]


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

    """

    seeds: Optional[int] = None
    rounds: Optional[int] = None
    threads: Optional[int] = None
    workers: Union[str, Sequence[str]] = ()
    cache: Path = field(default_factory=default_cache)


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

    """
    options = options or Options()
    training = scenario.training
    truncated = options.rounds is not None and options.rounds < training.rounds
    if truncated:
        training = training.model_copy(update={"rounds": options.rounds})
    seeds = _seeds(scenario.seeds, options.seeds)
    histories = []
    for position, seed in enumerate(seeds):
        history = _train(
            scenario.model_copy(update={"training": training}), seed, options, position, on_round
        )
        histories.append(history)
        if history.diverged:
            break
    diverged = next((f"seed {h.seed} {h.diverged}" for h in histories if h.diverged), "")
    verdicts = () if truncated or diverged else judge(scenario.expect, histories)
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
    )


def _train(
    scenario: Scenario,
    seed: int,
    options: Options,
    position: int,
    on_round: Optional[Progress],
) -> TrainingHistory:
    data = federate(scenario.data, scenario.clients, seed, Cache(options.cache))
    cohort_size = scenario.clients.cohort_size(len(data.clients))
    # After the data, whose errors need no TensorFlow.
    runtime(options.threads, parse_addresses(options.workers)).start()
    return train(
        data,
        scenario.model,
        scenario.training,
        cohort_size,
        seed,
        (lambda done: on_round(position, done)) if on_round else None,
    )


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
