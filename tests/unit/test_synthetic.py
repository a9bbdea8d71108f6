"""The synthetic federation of FedProx: its distributions, and that it is always the same."""

from __future__ import annotations

import numpy as np
import pytest
from example_data import dataset
from pytest_federated.data.datasets.bundled.synthetic import _drawn
from pytest_federated.data.datasets.kept import forget


@pytest.mark.slow
def test_every_client_has_the_features_that_the_paper_says() -> None:
    """Of many clients, so that means and variances are certain to a few percent."""
    examples, natural = _drawn(1.0, 2.0, False, 500, 1)
    first = np.unique(natural, return_index=True)[1]
    means = np.add.reduceat(examples.x, first) / np.diff([*first, len(natural)])[:, None]
    center = means.mean(axis=1)  # of each client, from N(0, beta) and the mean of 60 from N(0, 1)
    assert center.std() == pytest.approx(np.hypot(2, 1 / np.sqrt(60)), rel=0.06)
    assert (means - center[:, None]).std() == pytest.approx(np.sqrt(59 / 60), rel=0.06)
    largest = np.bincount(np.unique(natural, return_inverse=True)[1]).argmax()
    x = examples.x[natural == natural[first[largest]]]
    variance = np.arange(1, 61) ** -1.2
    np.testing.assert_allclose(x.var(axis=0), variance, rtol=0.05)


def test_sizes_are_those_of_a_lognormal_number() -> None:
    _, natural = _drawn(1.0, 2.0, False, 500, 1)
    sizes = np.unique(natural, return_counts=True)[1] - 50
    assert sizes.min() >= 0
    quartiles = np.exp(4 + 2 * np.array([-0.6745, 0, 0.6745]))
    np.testing.assert_allclose(np.quantile(sizes, [0.25, 0.5, 0.75]), quartiles, rtol=0.2)


def test_labels_differ_between_clients_unless_iid() -> None:
    def spread(iid: bool) -> float:
        examples, natural = _drawn(0.0, 0.0, iid, 100, 1)
        rows = [np.bincount(examples.y[natural == n], minlength=10) for n in np.unique(natural)]
        shares = np.array([row / row.sum() for row in rows])
        return float(np.abs(shares - shares.mean(axis=0)).sum(axis=1).mean())

    assert spread(iid=True) < 0.3 < spread(iid=False)


def test_alpha_changes_no_label() -> None:
    """It adds the same number to all ten outputs of a client's model."""
    (without, _), (with_alpha, _) = (_drawn(a, 0.0, False, 20, 1) for a in (0.0, 2.0))
    np.testing.assert_array_equal(with_alpha.x, without.x)
    np.testing.assert_array_equal(with_alpha.y, without.y)


def test_it_is_the_same_each_time_and_another_by_another_draw() -> None:
    first = dataset(kind="synthetic", clients=5)
    loaded = first.load(None)
    forget()
    again = dataset(kind="synthetic", clients=5).load(None)
    np.testing.assert_array_equal(loaded.train.x, again.train.x)
    other = dataset(kind="synthetic", clients=5, draw=1).load(None)
    assert len(other.train) != len(again.train)
    assert list(first.natural) == [f"client-{n}" for n in range(5)]
    assert (loaded.train.x.dtype, loaded.train.y.dtype) == (np.float32, np.int32)
