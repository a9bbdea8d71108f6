"""The command line of TFF's worker."""

from __future__ import annotations

import pytest
from pytest_federated.core.cores import cores
from pytest_federated.tff.worker import command


@pytest.mark.parametrize(("threads", "at_once"), [(3, 3), (None, cores())])
def test_a_worker_prepares_a_computation_no_more_often_than_it_has_compute_threads(
    threads: int, at_once: int
) -> None:
    assert f"--max_concurrent_computation_calls={at_once}" in command(8000, threads)
