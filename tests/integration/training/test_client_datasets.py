"""The data sets that clients train on in standard execution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from example_data import federation
from pytest_federated.clients.cohort import LocalWork, cohort_of_round
from pytest_federated.training.engine.standard import arguments

pytestmark = pytest.mark.usefixtures("running")


def is_rewritten(dataset: Any) -> bool:
    """Returns whether tf.data would rewrite a data set's graph before it is read."""
    options = dataset.options()
    rewrites = options.experimental_optimization.apply_default_optimizations is not False
    return rewrites or options.autotune.enabled is not False


@pytest.mark.parametrize("steps", [None, np.array([3, 1])])
def test_clients_batches_are_read_without_rewriting_their_graphs(steps: Any) -> None:
    data = federation([7, 4], 0)
    cohort = cohort_of_round(data, 2, 0, 1, LocalWork(3, 2))
    datasets = arguments(cohort.examples, LocalWork(3, 2), steps)
    assert [len(list(d)) for d in datasets] == ([6, 4] if steps is None else [3, 1])
    for dataset, examples in zip(datasets, cohort.examples):
        batch: Any = next(iter(dataset))
        np.testing.assert_array_equal(batch["x"], examples.x[:3])
        assert not is_rewritten(dataset)
    assert not is_rewritten(datasets[0].batch(1)), "nor what TFF makes of them"
