"""What the caller of a run sets, as opposed to its scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Protocol, Union

import platformdirs

from pytest_federated.expectations.judging import Policy
from pytest_federated.running.store import Store
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.history import TrainingHistory


def default_cache() -> Path:
    """Returns the user's cache folder for downloaded data."""
    return Path(platformdirs.user_cache_dir("pytest-federated", appauthor=False))


class Cluster(Protocol):
    """Other machines that do trainings."""

    def submit(self, scenario: Scenario, seed: int, options: Options) -> None:
        """Has a training begin as soon as there is room, unless it was submitted before."""
        ...

    def history(self, scenario: Scenario, seed: int, options: Options) -> TrainingHistory:
        """Waits for a training, which need not have been submitted.

        Raises:
            FederatedError: as `pipeline.run`; or the cluster cannot do it.
        """
        ...


@dataclass(frozen=True)
class Options:
    """How scenarios are run.

    Attributes:
        seeds: number of seeds to run instead of those listed: the first ones, then further ones
            counting up from the largest.
        rounds: cap on the rounds; a run that it cuts short is not judged.
        threads: clients that the local TFF worker trains at once; one for each core when None.
        workers: remote TFF workers to run on, each as ``host:port``; none for a local one.
        workers_tls: key file of the remote workers (``pytest-federated worker --tls``), None where
            the connections are not encrypted.
        cache: folder for downloaded data.
        store: where finished trainings are kept, which are not run twice, and checkpoints of
            others; by default in memory, as long as these options are used.
        reuse: whether a training that is in the folder of the store is not run again.
        resume: whether a training goes on from its last checkpoint.
        checkpoint_every: rounds between two checkpoints; every 30 seconds when None.
        timeout: seconds that one scenario may take, all its seeds together; without the import of
            TFF.
        cluster: does the trainings on other machines; None does them here.
        inconclusive: what decides an expectation whose threshold lies in the interval of the mean:
            the `mean`, or always `fail`, `pass`, or `warn`, which passes it.
        decide: how many seeds a scenario may be run on until no expectation is inconclusive; None
            runs its own.
        benchmark: whether expectations of wall time are judged, too; such scenarios are then
            always trained again.
        keep_models: whether results have the final models, for `Result.save`; everything is then
            trained, as nothing else keeps them.
        early_stop: whether a run is ended where more rounds can change no verdict; only where the
            mean decides, no seeds are added, and no other scenario is compared with.

    """

    seeds: Optional[int] = None
    rounds: Optional[int] = None
    threads: Optional[int] = None
    workers: Union[str, Sequence[str]] = ()
    workers_tls: Optional[Path] = None
    cache: Path = field(default_factory=default_cache)
    store: Store = field(default_factory=Store)
    reuse: bool = True
    resume: bool = False
    checkpoint_every: Optional[int] = None
    timeout: Optional[float] = None
    cluster: Optional[Cluster] = None
    inconclusive: Policy = "mean"
    decide: Optional[int] = None
    benchmark: bool = False
    keep_models: bool = False
    early_stop: bool = False
