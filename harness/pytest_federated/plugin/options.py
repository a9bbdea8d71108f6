"""What the command line and the ini file say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, TypeVar

import pytest

from pytest_federated.core.errors import FederatedError, warn_not_kept
from pytest_federated.core.suggestions import suggest

if TYPE_CHECKING:
    from pytest_federated.expectations.judging import Policy
    from pytest_federated.running.pipeline import Options


W = TypeVar("W", bound=str)

# The Dask cluster that the session uses, while it does.
CLUSTER = pytest.StashKey[Any]()
# Trainings that the session has done, by key.
DONE = pytest.StashKey[dict[str, Any]]()


def setting(config: pytest.Config, name: str) -> Any:
    """The command line's value of `fed_<name>`, or else the ini file's, or None."""
    given = config.getoption(f"fed_{name}")
    if given is None:
        given = config.getini(f"fed_{name}")
    return given if given != "" else None


def folder(config: pytest.Config, name: str) -> Optional[Path]:
    """A folder: from the command line relative to where pytest runs, else to the root folder."""
    given = config.getoption(f"fed_{name}")
    if given is not None:
        return config.invocation_params.dir / given
    given = config.getini(f"fed_{name}")
    return config.rootpath / given if given else None


def number(config: pytest.Config, name: str) -> Optional[int]:
    """A positive whole number, or None.

    Raises:
        pytest.UsageError: the ini file has something else.

    """
    given = setting(config, name)
    if given is None or isinstance(given, int):
        return given
    if not given.isdigit() or int(given) < 1:
        raise pytest.UsageError(
            f"fed_{name} in {config.inipath}: got {given!r}; must be 1 or greater"
        )
    return int(given)


def workers(config: pytest.Config) -> tuple[str, ...]:
    """Addresses of the remote workers to run on.

    Raises:
        pytest.UsageError: the ini file has something else.

    """
    from pytest_federated.tff.addresses import parse_addresses

    try:
        return parse_addresses(setting(config, "workers") or "")
    except FederatedError as bad:
        raise pytest.UsageError(f"fed_workers in {config.inipath}: {bad}") from None


def one_of(config: pytest.Config, name: str, allowed: Sequence[W]) -> W:
    """One of a few words, the first when nothing is said.

    Raises:
        pytest.UsageError: the ini file has something else.

    """
    given = setting(config, name)
    if given is not None and given not in allowed:
        raise pytest.UsageError(
            f"fed_{name} in {config.inipath}: got {given!r}; {suggest(given, allowed)}"
        )
    return given or allowed[0]


def inconclusive(config: pytest.Config) -> Policy:
    """What decides where an interval straddles a threshold.

    Raises:
        pytest.UsageError: as `one_of`.

    """
    from pytest_federated.expectations.judging import POLICIES

    return one_of(config, "inconclusive", POLICIES)


def uses_baselines(config: pytest.Config) -> bool:
    """Whether results are compared with baselines, or become some: they need all rounds."""
    return setting(config, "baseline") in ("check", "update")


def run_options(config: pytest.Config) -> Options:
    """What `pytest_federated.run` is told."""
    from pytest_federated.running.pipeline import Options
    from pytest_federated.running.store import default_cache

    return Options(
        seeds=number(config, "seeds"),
        rounds=number(config, "rounds"),
        threads=_threads(),
        workers=workers(config),
        cache=folder(config, "data_cache") or default_cache(),
        kept=_kept(config),
        reuse=not setting(config, "no_cache"),
        resume=bool(setting(config, "resume")),
        checkpoint_every=number(config, "checkpoint"),
        timeout=number(config, "timeout"),
        cluster=config.stash.get(CLUSTER, None),
        inconclusive=inconclusive(config),
        benchmark=bool(setting(config, "benchmark")),
        early_stop=bool(setting(config, "early_stop")) and not uses_baselines(config),
        done=config.stash.setdefault(DONE, {}),
    )


def _kept(config: pytest.Config) -> Optional[Path]:
    """A folder of pytest's own cache, which ``--cache-clear`` empties; None where it is off."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return None
    try:
        return Path(cache.mkdir("federated"))
    except OSError as error:
        warn_not_kept("pytest's cache", error)
        return None


def _threads() -> Optional[int]:
    """Under xdist, each process's share of the cores; otherwise no limit."""
    processes = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if not processes:
        return None
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, cores // int(processes))


def is_quiet(config: pytest.Config) -> bool:
    """Whether TensorFlow's start-up messages are kept from the terminal: all but ``-vv``."""
    return config.get_verbosity() < 2
