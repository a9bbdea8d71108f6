"""Whole trainings on other machines, through Dask.

Each training, one seed of one scenario, is a task of its own. Dask moves the task of a machine
that is lost to another one. (pytest-xdist is about to drop its copying of files over ssh; Ray would
do as well, but is far larger.)
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from pytest_federated.core.errors import FederatedError, RuntimeUnavailable
from pytest_federated.registry.choice import user_entries
from pytest_federated.running.fingerprint import ingredients, training_key
from pytest_federated.running.options import Options, default_cache
from pytest_federated.running.pipeline import train_seed
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.final_model import FinalModel
from pytest_federated.training.history import TrainingHistory
from pytest_federated.user.installed import is_installed
from pytest_federated.user.modules import folders, import_file, own_folders, root

_ADDRESS = re.compile(r"dask://(?P<host>\[[0-9A-Fa-f:]+\]|[^\s/:]+):(?P<port>\d{1,5})")
_CONNECT_SECONDS = 10
_ONE_AT_A_TIME = threading.Lock()  # TFF's runtime is one for each process


def is_address(text: str) -> bool:
    """Whether `text` is ``dask://host:port``."""
    return _ADDRESS.fullmatch(text) is not None


class DaskCluster:
    """The machines behind a Dask scheduler; an `options.Cluster`."""

    def __init__(self, address: str) -> None:
        """Connects to the scheduler at `address`, ``dask://host:port``.

        Raises:
            RuntimeUnavailable: Dask is not installed, the scheduler does not answer, or it has
                no workers.
        """
        try:
            from distributed import Client
        except ImportError:
            raise RuntimeUnavailable(
                f"{address}: Dask is not installed: pip install 'pytest-federated[dask]'"
            ) from None
        try:
            self._client: Any = Client(  # whose types are incomplete
                address.replace("dask://", "tcp://"), timeout=_CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, TimeoutError) as error:
            raise RuntimeUnavailable(
                f"{address}: no Dask scheduler answers there; 'dask scheduler' starts one"
            ) from error
        if not self._client.scheduler_info(n_workers=-1)["workers"]:
            self.close()
            raise RuntimeUnavailable(
                f"{address}: the scheduler has no workers; 'dask worker HOST:PORT' starts one"
            )
        self._futures: dict[str, Any] = {}

    def submit(self, scenario: Scenario, seed: int, options: Options) -> None:
        """Has a training begin as soon as there is room, unless it was submitted before."""
        self._future(scenario, seed, options)

    def history(self, scenario: Scenario, seed: int, options: Options) -> TrainingHistory:
        """Waits for a training, which need not have been submitted.

        Raises:
            FederatedError: as `train_seed`; or the cluster cannot do it.
        """
        from distributed.scheduler import KilledWorker

        future = self._future(scenario, seed, options)
        try:
            written, model = future.result()
            return TrainingHistory.model_validate({**written, "model": model})
        except FederatedError:
            raise
        except KilledWorker as error:
            raise RuntimeUnavailable(
                "the training was given up: it was on several Dask workers when they died"
            ) from error
        except Exception as error:  # Dask has many ways to say that it lost a task
            raise RuntimeUnavailable(
                f"the Dask cluster could not do the training: {type(error).__name__}: {error}"
            ) from error

    def close(self) -> None:
        """Takes back what has not begun, and leaves the cluster."""
        self._client.close()

    def _future(self, scenario: Scenario, seed: int, options: Options) -> Any:
        key = training_key(scenario, seed, cache=options.cache)
        if options.keep_models:
            key += "-with-model"
        if key not in self._futures:
            # The user's cache folder may be another one there.
            cache = None if options.cache == default_cache() else options.cache
            self._futures[key] = self._client.submit(
                _train_there,
                scenario.settings(),
                seed,
                cache,
                _folders(),
                ingredients(scenario, seed, cache=options.cache),
                root(),
                [str(e.registered_in) for e in user_entries(scenario).values()],
                options.keep_models,
                key=f"pytest-federated-{key}",
                pure=False,
            )
        return self._futures[key]


def _folders() -> list[str]:
    """Where this process looks for modules and files of the user's own."""
    others = [Path(p) for p in sys.path if Path(p).is_dir() and not is_installed(p)]
    return [str(folder.resolve()) for folder in dict.fromkeys([*folders(), *others])]


def _train_there(
    settings: dict[str, Any],
    seed: int,
    cache: Optional[Path],
    folders: list[str],
    expected: dict[str, Any],
    root: Optional[Path] = None,
    registering: Sequence[str] = (),
    keep_models: bool = False,
) -> tuple[dict[str, Any], Optional[FinalModel]]:
    """One training, in a Dask worker.

    `registering` are the files that register what the scenario chooses.

    Raises:
        FederatedError: as `train_seed`; or code or versions are not those of the submitter.
    """
    from distributed import get_worker

    options = Options(
        threads=get_worker().state.nthreads,
        cache=cache or default_cache(),
        keep_models=keep_models,
    )
    with _ONE_AT_A_TIME, own_folders(*map(Path, folders), root=root):
        try:
            for file in registering:
                import_file(Path(file))
            scenario = Scenario.model_validate(settings)
        except Exception as error:
            raise RuntimeUnavailable(f"{_here()} cannot read the scenario: {error}") from error
        here = ingredients(scenario, seed, cache=options.cache)
        if not all(here["cached files"]) or not all(expected["cached files"]):
            here["cached files"] = expected["cached files"]  # only one side has the data by now
        here["CPU"] = expected["CPU"]  # machines of one cluster may differ in the last bits
        if differing := [name for name in expected if here.get(name) != expected[name]]:
            raise RuntimeUnavailable(
                f"{_here()} would not run the same: it differs in {', '.join(differing)}; have the "
                "same files and packages there, and restart its Dask worker"
            )
        history = train_seed(scenario, seed, options)
        return history.model_dump(mode="json"), history.model


def _here() -> str:
    import socket

    return f"the Dask worker on {socket.gethostname()} (process {os.getpid()})"
