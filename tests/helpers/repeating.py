"""A pytest plugin that runs all scenarios several times and logs the resources in use.

The environment variable `SOAK_REPEAT` says how often, `SOAK_LOG` names a file that gets a line of
JSON for each scenario run. Nothing is taken from a cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from processes import descendants, worker_pids


@dataclass(frozen=True)
class Sample:
    """The resources of a process after a scenario.

    Attributes:
        process: its process ID.
        scenario: the node ID of the scenario.
        digest: a hash of its result.
        pytest_mb: resident memory of the process.
        worker_mb: memory of its TFF worker.
        descriptors: open files.
        threads: its threads.
        processes: processes below it.
    """

    process: int
    scenario: str
    digest: str
    pytest_mb: float
    worker_mb: float
    descriptors: int
    threads: int
    processes: int


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _sample(item: Any) -> Sample:
    pid, own = os.getpid(), Path("/proc/self")
    result = item.result.model_dump_json() if item.result else ""  # none if it errored
    return Sample(
        process=pid,
        scenario=item.nodeid,
        digest=hashlib.sha256(result.encode()).hexdigest(),
        pytest_mb=_megabytes(pid),
        worker_mb=sum(map(_megabytes, worker_pids(pid))),
        descriptors=len(list((own / "fd").iterdir())),
        threads=len(list((own / "task").iterdir())),
        processes=len(descendants(pid)),
    )


def pytest_configure() -> None:
    from pytest_federated.running.store import Store

    Store.remembered = lambda self, key: None  # pyright: ignore  # results of earlier runs in memory


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = items * int(os.environ["SOAK_REPEAT"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.user_properties.clear()
    result = yield
    with Path(os.environ["SOAK_LOG"]).open("a") as log:
        log.write(json.dumps(asdict(_sample(item))) + "\n")
    return result


def read_samples(log: Path) -> dict[int, list[Sample]]:
    """Returns the samples of each process, in order."""
    processes: dict[int, list[Sample]] = {}
    for line in log.read_text().splitlines():
        sample = Sample(**json.loads(line))
        processes.setdefault(sample.process, []).append(sample)
    return processes


def of_each_time(samples: list[Sample], times: int) -> list[list[Sample]]:
    """Returns the samples in `times` parts that are equally long, or differ by one."""
    ends = [n * len(samples) // times for n in range(times + 1)]
    return [samples[start:end] for start, end in zip(ends, ends[1:])]


def after_each_time(samples: list[Sample], times: int) -> list[Sample]:
    """Returns the last sample of each of `times` equal parts."""
    return [part[-1] for part in of_each_time(samples, times)]
