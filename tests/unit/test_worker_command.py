"""The command line of TFF's worker, and its environment."""

from __future__ import annotations

from typing import Optional

import pytest
from pytest_federated.core.cores import cores
from pytest_federated.tff.worker import command, environment


@pytest.mark.parametrize(("threads", "at_once"), [(3, 3), (None, cores())])
def test_a_worker_prepares_a_computation_no_more_often_than_it_has_compute_threads(
    threads: int, at_once: int
) -> None:
    assert f"--max_concurrent_computation_calls={at_once}" in command(8000, threads)


@pytest.mark.parametrize(("threads", "heaps"), [(3, "6"), (None, str(2 * cores()))])
def test_a_worker_has_two_heaps_for_each_compute_thread(
    threads: int, heaps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert environment(threads)["MALLOC_ARENA_MAX"] == heaps


def test_a_worker_has_as_many_heaps_as_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "8")
    assert environment(3)["MALLOC_ARENA_MAX"] == "8"


@pytest.mark.parametrize(
    ("name", "value"), [("TF_NUM_INTEROP_THREADS", "-1"), ("TF_NUM_INTRAOP_THREADS", "1")]
)
@pytest.mark.parametrize("threads", [None, 3])
def test_a_call_and_its_operations_compute_in_one_thread(
    name: str, value: str, threads: Optional[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    assert environment(threads)[name] == value
    monkeypatch.setenv(name, "4")
    assert environment(threads)[name] == "4", "the user says otherwise"
