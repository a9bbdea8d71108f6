"""pytest's hooks. Importing this module imports neither TensorFlow nor NumPy."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import pytest

if TYPE_CHECKING:
    from pytest_federated.plugin.fixture import Federated


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, each also a key under [tool.pytest.ini_options]: --fed-x is fed_x there."""
    group = parser.getgroup("federated", "federated learning scenarios (pytest-federated)")

    def option(flag: str, metavar: str, text: str, kind: Any = str, **more: Any) -> None:
        group.addoption(flag, metavar=metavar, type=kind, default=None, help=text, **more)
        parser.addini(flag[2:].replace("-", "_"), text, default=None)

    option("--fed-report", "DIR", "write a Markdown report and result records into DIR")
    option("--fed-tensorboard", "DIR", "write the figures of all rounds into DIR for TensorBoard")
    option("--fed-mlflow", "DIR", "log each training as an MLflow run, in the file store DIR")
    option("--fed-seeds", "N", "run N seeds of each scenario instead of those it lists", _positive)
    option(
        "--fed-rounds", "N", "stop after N rounds; what this cuts short is not judged", _positive
    )
    option(
        "--fed-data-cache",
        "DIR",
        "where downloaded data is kept (default: the user's cache folder)",
    )
    option(
        "--fed-executor",
        "dask://HOST:PORT",
        "run the trainings on the machines of this Dask scheduler",
        _executor,
    )
    option(
        "--fed-workers",
        "HOST:PORT,...",
        "run on these TFF workers (pytest-federated worker) instead of one on this machine",
        _addresses,
    )
    option(
        "--fed-timeout",
        "SECONDS",
        "fail a scenario that takes longer than this; the import of TFF is not counted",
        _positive,
    )
    option(
        "--fed-checkpoint",
        "N",
        "keep the state of a training every N rounds (default: every 30 seconds)",
        _positive,
    )

    option(
        "--fed-inconclusive",
        "mean|fail|pass|warn",
        "what decides where the interval of a mean holds the threshold (default: the mean)",
        choices=("mean", "fail", "pass", "warn"),
    )

    option(
        "--fed-baseline",
        "check|update|ignore",
        "compare with the baselines beside the scenario files, or write them (default: ignore)",
        choices=("check", "update", "ignore"),
    )

    def switch(flag: str, text: str) -> None:
        group.addoption(flag, action="store_true", default=None, help=text)
        parser.addini(flag[2:].replace("-", "_"), text, type="bool", default=False)

    switch(
        "--fed-strict",
        "fail, not skip, scenarios whose data is not on this machine; and what "
        "--fed-baseline=check cannot compare",
    )
    switch("--fed-no-cache", "run trainings again that have not changed since they were run")
    switch("--fed-benchmark", "judge expectations of wall time, too; trains them anew")
    switch("--fed-early-stop", "end a scenario once it can no longer pass, or no longer fail")
    switch("--fed-resume", "go on with trainings that were cut off, from their last checkpoint")
    parser.addini(
        "fed_files",
        "patterns of scenario files, relative to the root folder",
        type="args",
        default=["scenarios/*", "*/scenarios/*", "*.scenario.yaml", "*.scenario.yml"],
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _executor(text: str) -> str:
    import argparse

    from pytest_federated.running.dask import is_address

    if not is_address(text):
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed: dask://HOST:PORT")
    return text


def _addresses(text: str) -> str:
    """Checks it; stays the text that it is, which xdist can carry to its processes."""
    from pytest_federated.core.errors import FederatedError
    from pytest_federated.tff.addresses import parse_addresses

    try:
        parse_addresses(text)
    except FederatedError as bad:
        raise ArgumentTypeError(str(bad)) from None
    return text


def pytest_configure(config: pytest.Config) -> None:
    """Registers what keeps the session's results."""
    from pytest_federated.plugin.session import FederatedSession

    config.pluginmanager.register(FederatedSession(config), "federated-session")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Optional[pytest.Collector]:
    """Takes the scenario files among what pytest finds."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    from pytest_federated.plugin.collection import ScenarioFile, is_scenario_file

    if not is_scenario_file(file_path, parent.config):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.fixture
def federated(request: pytest.FixtureRequest) -> Iterator[Federated]:
    """Runs a scenario written in Python, and fails the test unless its expectations hold.

    `federated(scenario)` takes a `pytest_federated.Scenario`, or a mapping as in a scenario file,
    and returns the `pytest_federated.Result`.
    """
    from pytest_federated.plugin.fixture import Federated

    yield Federated(request)
