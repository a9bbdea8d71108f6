"""pytest's hooks; importing them imports neither TensorFlow nor NumPy."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

from pytest_federated.plugin.options import add_options

if TYPE_CHECKING:
    from pytest_federated.plugin.fixture import Federated


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options, each also a key under [tool.pytest.ini_options]: --fed-x is fed_x there."""
    add_options(parser)
    parser.addini(
        "fed_files",
        "patterns of scenario files, relative to the root folder",
        type="args",
        default=["scenarios/*", "*/scenarios/*", "*.scenario.yaml", "*.scenario.yml"],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the plugin that collects the session's results."""
    from pytest_federated.plugin.session import FederatedSession

    config.pluginmanager.register(FederatedSession(config), "federated-session")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Optional[pytest.Collector]:
    """Collects a scenario file, and leaves other files to pytest."""
    from pytest_federated.plugin.finding import is_scenario_file

    if not is_scenario_file(file_path, parent.config):
        return None
    from pytest_federated.core import collector

    with collector.paused():  # it would take a tenth of the imports, and free nothing
        from pytest_federated.plugin.collection import ScenarioFile

    return ScenarioFile.from_parent(  # pyright: ignore[reportUnknownMemberType]  # **kw
        parent, path=file_path
    )


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> None:
    """Notes what pytest does not see in a folder, such as links that lead nowhere."""
    from pytest_federated.plugin.finding import unreadable_files

    for file in unreadable_files(path, parent.config):
        from pytest_federated.plugin.collection import note_problems

        note_problems(file, parent.config)


@pytest.hookimpl(wrapper=True)
def pytest_ignore_collect(
    collection_path: Path, config: pytest.Config
) -> Generator[None, Optional[bool], Optional[bool]]:
    """Notes the scenario files that pytest is told to ignore."""
    is_ignored = yield
    if is_ignored:
        from pytest_federated.plugin.finding import note_ignored

        note_ignored(collection_path, config)
    return is_ignored


@pytest.fixture
def federated(request: pytest.FixtureRequest) -> Iterator[Federated]:
    """Runs a scenario written in Python, and fails the test unless its expectations hold.

    `federated(scenario)` takes a `pytest_federated.Scenario`, or a mapping as in a scenario file,
    and returns the `pytest_federated.Result`.
    """
    from pytest_federated.plugin.fixture import Federated

    yield Federated(request)
