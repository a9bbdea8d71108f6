"""Trainings on a real Dask cluster of a scheduler and two worker processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest
from forked_programs import Program
from processes import is_running, pytest_run, wait_until, worker_pids
from pytest_federated import DataError, Options, RuntimeUnavailable, Scenario, run
from pytest_federated.running.dask import DaskCluster, _train_there
from pytest_federated.running.fingerprint import ingredients
from scenario_texts import TINY

pytestmark = [
    pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed"),
    pytest.mark.usefixtures("tff_programs"),
]

OWN = """\
import tensorflow as tf

def build(input_shape, num_classes):
    return tf.keras.Sequential([
        tf.keras.layers.Flatten(input_shape=input_shape),
        tf.keras.layers.Dense(32, activation="relu"),
        tf.keras.layers.Dense(num_classes),
    ])
"""
CONFTEST = """\
import pytest_federated
import numpy as np

@pytest_federated.split("by_turns")
def by_turns(pool, rng):
    return np.arange(len(pool.labels)) % pool.clients
"""

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a part of Dask: ``scheduler`` or ``worker``."""
    programs: list[Program] = []

    def begin(part: str, *arguments: str) -> Program:
        file = ["--scheduler-file", str(tmp_path / "scheduler.json")]
        more = [*file, "--no-dashboard", *arguments]
        programs.append(Program("dask", part, *more, cwd=tmp_path, discard=True))
        return programs[-1]

    yield begin
    for program in programs:
        program.kill()
        program.wait()


class Cluster(NamedTuple):
    address: str
    workers: list[Program]


@pytest.fixture
def cluster(start: Start, tmp_path: Path) -> Cluster:
    """A scheduler with two workers of one thread each."""
    start("scheduler", "--port", "0", "--host", "127.0.0.1")
    file = tmp_path / "scheduler.json"
    assert wait_until(file.exists)
    workers = [start("worker", "--nthreads", "1", "--no-nanny") for _ in range(2)]
    address = json.loads(file.read_text())["address"].replace("tcp://", "dask://")

    def both_are_there() -> bool:
        from distributed import Client

        with Client(address.replace("dask", "tcp"), set_as_default=False) as client:
            return len(client.scheduler_info()["workers"]) == 2

    assert wait_until(both_are_there)
    return Cluster(address, workers)


def project(folder: Path, **scenarios: str) -> Path:
    (folder / "scenarios").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "scenarios" / "conftest.py").write_text("# of the same name as the other\n")
    (folder / "scenarios" / "own.py").write_text(OWN)
    for name, text in scenarios.items():
        (folder / "scenarios" / f"{name}.yaml").write_text(
            text.replace("name: tiny", f"name: {name}")
        )
    return folder


def records(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in folder.glob("records/*.json")}


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_gives_the_same_records(
    tmp_path: Path, cluster: Cluster
) -> None:
    longer = TINY.replace("rounds: 2", "rounds: 100, eval_every: 50")
    own = project(
        tmp_path / "p",
        a=longer + "seeds: [0, 1, 2]\n",
        b=TINY.replace("{kind: mlp, hidden: [16]}", '{keras: "own:build"}'),
        c=TINY.replace("count: 4", "count: 4, split: by_turns"),
    )
    process = Program(
        "pytest", f"--fed-executor={cluster.address}", "--fed-report=cluster", cwd=own
    )
    first, second = cluster.workers
    assert wait_until(lambda: worker_pids(first.pid) and worker_pids(second.pid)), (
        "both should train"
    )
    assert not worker_pids(process.pid), "pytest itself should not train"
    (lost,) = worker_pids(first.pid)
    first.kill()
    output = process.communicate(timeout=150)
    assert "3 passed" in output
    assert not is_running(lost), "TFF's worker should end with Dask's"

    again = pytest_run(own, f"--fed-executor={cluster.address}")
    assert "5 of 5 trainings unchanged" in again
    assert "3 passed" in pytest_run(own, "--fed-no-cache", "--fed-report=local")
    assert len(records(own / "local")) == 3
    assert records(own / "local") == records(own / "cluster")


@pytest.fixture
def within() -> Iterator[DaskCluster]:
    """A cluster in this process."""
    from distributed import LocalCluster

    settings: dict[str, Any] = {"processes": False, "dashboard_address": None}
    local: Any
    with LocalCluster(n_workers=1, threads_per_worker=1, **settings) as local:
        cluster = DaskCluster(local.scheduler_address)
        yield cluster
        cluster.close()


SCENARIO: dict[str, Any] = {
    "name": "s",
    "data": {"dataset": "digits"},
    "clients": {"count": 4},
    "model": {"kind": "mlp", "hidden": [16]},
    "training": {"rounds": 2},
}


def test_other_code_or_packages_on_a_worker_are_an_error(within: DaskCluster) -> None:
    scenario = Scenario.model_validate(SCENARIO)
    here = ingredients(scenario, 0)
    other = {**here, "tensorflow": "2.13.0", "pytest-federated": "0"}
    future = within._client.submit(_train_there, scenario.settings(), 0, None, [], other)
    with pytest.raises(
        RuntimeUnavailable,
        match="would not run the same: it differs in pytest-federated, tensorflow; have",
    ):
        future.result()


def test_an_error_of_the_scenario_is_raised_here(within: DaskCluster) -> None:
    scenario = Scenario.model_validate({**SCENARIO, "clients": {"count": 5000}})
    with pytest.raises(DataError, match="5000 clients"):
        run(scenario, Options(cluster=within))


@pytest.mark.slow
def test_the_final_model_comes_back(within: DaskCluster) -> None:
    scenario = Scenario.model_validate(SCENARIO)
    there = run(scenario, Options(cluster=within, keep_models=True))
    here = run(scenario, Options(keep_models=True))
    assert [w.shape for w in there.model_weights[0]] == [(64, 16), (16,), (16, 10), (10,)]
    for one, other in zip(there.model_weights[0], here.model_weights[0]):
        assert (one == other).all()


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path) -> None:
    own = project(tmp_path / "p", a=TINY)
    output = pytest_run(own, "--fed-executor=dask://127.0.0.1:1")
    assert "dask://127.0.0.1:1: no Dask scheduler answers there" in output


def test_a_scheduler_without_workers_is_refused(tmp_path: Path, start: Start) -> None:
    start("scheduler", "--port", "0", "--host", "127.0.0.1")
    file = tmp_path / "scheduler.json"
    assert wait_until(file.exists)
    address = json.loads(file.read_text())["address"].replace("tcp://", "dask://")
    with pytest.raises(RuntimeUnavailable, match="the scheduler has no workers"):
        DaskCluster(address)


@pytest.mark.parametrize("address", ["ray://a:1", "dask://", "dask://a", "dask://a:b", "a:1"])
def test_invalid_addresses_are_refused(tmp_path: Path, address: str) -> None:
    own = project(tmp_path / "p", a=TINY)
    output = pytest_run(own, f"--fed-executor={address}")
    assert f"got {address!r}; allowed: dask://HOST:PORT" in output
