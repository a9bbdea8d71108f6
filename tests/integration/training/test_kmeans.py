"""Federated k-means follows its paper, and needs neither a model nor labels.

The reference is written in NumPy (float64) after algorithm 1 of Sculley, WWW 2010. Its learning
rate of a center, one over its number of examples, makes the center their mean.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_federated
from example_data import federation
from pydantic import ValidationError
from pytest_federated.clients.cohort import cohort_of_round
from pytest_federated.core.errors import FederatedError, ModelError
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.data.shifts.shift import shifts
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.references import compared
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import Step, steps, train
from pytest_federated.training.observer import Progress
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

SEED, ROUNDS, COHORT, CLUSTERS = 1, 3, 4, 4


@pytest.fixture(scope="module")
def data() -> FederatedData:
    return federation([30, 4, 17, 9, 1], 0)


def training(clusters: int = CLUSTERS, **more: Any) -> Training:
    chosen = {"kind": "kmeans", "clusters": clusters, **more}
    return Training.model_validate({"rounds": ROUNDS, "local_epochs": 2, "algorithm": chosen})


def run(data: FederatedData, settings: Training, cohort: int = COHORT) -> list[Step]:
    return list(steps(data, None, settings, cohort, SEED))


def first_centroids(data: FederatedData, settings: Training) -> np.ndarray:
    state = trainer_for(None, settings, data).initial_state(SEED, data)
    return np.asarray(state.global_model_weights).astype(np.float64)


def centroids(step: Step) -> np.ndarray:
    state: Any = step.state
    return np.asarray(state.global_model_weights)


def nearest(centers: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest center of each point, and its squared distance."""
    squares = ((x[:, None] - centers[None]) ** 2).reshape(len(x), len(centers), -1).sum(axis=2)
    return squares.argmin(axis=1), squares.min(axis=1)


def moved(centers: np.ndarray, counts: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns centers and counts after Sculley's lines 6 to 14.

    Points are first assigned to centers, and then added one after the other.
    """
    centers, counts = centers.copy(), counts.copy()
    for point, center in zip(x, nearest(centers, x)[0]):
        counts[center] += 1
        centers[center] += (point - centers[center]) / counts[center]
    return centers, counts


@pytest.mark.parametrize("initial", ["examples", "normal"])
def test_centroids_loss_and_purity_are_those_of_the_paper(
    data: FederatedData, initial: str
) -> None:
    settings = training(initial=initial)
    centers, counts = first_centroids(data, settings), np.ones(CLUSTERS)
    begin = centers
    for number, step in enumerate(run(data, settings), start=1):
        cohort = cohort_of_round(data, COHORT, SEED, number, settings.local_work)
        x = np.concatenate([own.x for own in cohort.examples]).astype(np.float64)
        centers, counts = moved(centers, counts, x)
        np.testing.assert_allclose(centroids(step), centers, rtol=0, atol=2e-6)
        state: Any = step.state
        np.testing.assert_array_equal(state.finalizer, counts)
        assert step.round.examples == step.planned_examples == len(x)
        clusters, squares = nearest(centers, data.test.x.astype(np.float64))
        assert step.round.loss == pytest.approx(squares.mean(), rel=1e-5)
        right = sum(np.bincount(data.test.y[clusters == c]).max() for c in set(clusters))
        assert step.round.accuracy == pytest.approx(right / len(data.test))
        assert step.round.train_loss is None
    assert np.abs(centers - begin).max() > 1e-2


def test_the_spread_of_examples_over_clients_does_not_matter(data: FederatedData) -> None:
    together = replace(data, clients=(np.concatenate(data.clients),), names=("all",))
    settings = training()
    for spread, pooled in zip(run(data, settings, 5), run(together, settings, 1)):
        # They begin with the same examples, which are numbered over all clients.
        np.testing.assert_allclose(centroids(spread), centroids(pooled), rtol=0, atol=1e-6)


def test_clusters_begin_at_different_examples(data: FederatedData) -> None:
    """With as many clusters as examples, they begin at all of them, as clients see them."""
    noisy = replace(data, shift=(shifts.parse({"kind": "noise", "level": 1.0}),))
    for clients in (data, noisy):
        held = np.concatenate([clients.examples(c).x for c in range(5)])
        found = first_centroids(clients, training(len(held)))
        assert sorted(map(bytes, found.astype(np.float32))) == sorted(map(bytes, held))


def test_a_history_records_centroids_and_bytes(data: FederatedData) -> None:
    history = train(data, None, training(), COHORT, SEED)
    assert history.parameters == CLUSTERS * 16
    assert history.model_summary == (("Centroids", "4 x 4 x 4 x 1", CLUSTERS * 16),)
    sent = 4 * CLUSTERS * 16
    assert history.rounds[0].bytes_down == COHORT * sent
    assert history.rounds[0].bytes_up == COHORT * (sent + 4 * CLUSTERS)
    assert history.client_accuracy == ()


def test_a_training_continues_from_a_checkpoint(data: FederatedData, tmp_path: Path) -> None:
    settings = training()
    whole = run(data, settings)
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.save(Progress((whole[0].round,), whole[0].state))
    first = trainer_for(None, settings, data).initial_state(SEED, data)
    begin = checkpoints.latest(first, settings.rounds)
    *_, last = steps(data, None, settings, COHORT, SEED, begin)
    assert last.round == whole[-1].round
    np.testing.assert_array_equal(centroids(last), centroids(whole[-1]))


def test_more_clusters_than_examples_are_refused(data: FederatedData) -> None:
    with pytest.raises(ModelError, match="clusters: got 62; the clients hold 61 examples"):
        run(data, training(62))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": Examples(np.zeros((61, 4), np.int32), np.zeros(61, np.int32))}, "of float32"),
        ({"task": "tags"}, "one label for each example; the data has tags"),
    ],
)
def test_data_without_clusters_is_refused(data: FederatedData, changed: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        trainer_for(None, training(), replace(data, **changed))


SCENARIO = {
    "name": "a",
    "data": {"dataset": "digits"},
    "clients": {"count": 4},
    "training": {"rounds": 2, "algorithm": {"kind": "kmeans", "clusters": 10}},
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "mlp"}, "got mlp; kmeans has no use for it, as it finds clusters"),
        (
            {"clients": {"count": 4, "stragglers": {"kind": "epochs", "share": 0.5}}},
            "got epochs; kmeans has no use for it, as its clients do no local steps",
        ),
        (
            {"clients": {"count": 4, "attacks": {"kind": "label_flip", "share": 0.5}}},
            "got label_flip; kmeans has no use for it, as it looks at no labels",
        ),
        ({"training": {"rounds": 2}}, "model\n  Field required"),
        ({"training": {"rounds": 2}, "model": None}, "got nothing; must be a name"),
    ],
)
def test_keys_that_kmeans_does_not_use_are_refused(changed: Any, said: str) -> None:
    assert Scenario.model_validate(SCENARIO).model is None
    with pytest.raises(ValidationError, match=said):
        Scenario.model_validate({**SCENARIO, **changed})


def test_kmeans_cannot_be_compared_with_other_algorithms() -> None:
    settings = {**SCENARIO, "expect": {"gap_to_centralized": {"at_most": 0.1}}}
    with pytest.raises(
        FederatedError, match="cannot be trained by centralized: model: got nothing"
    ):
        compared(Case(Scenario.model_validate(settings)))


def test_a_scenario_finds_the_clusters_of_digits() -> None:
    result = pytest_federated.run(Scenario.model_validate(SCENARIO))
    assert result.status == "reported"  # nothing is expected of it
    assert 0.4 < result.accuracies[0] < 0.9
