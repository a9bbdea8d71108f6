"""Federated k-means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.core.errors import ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    Judge,
    TffComposition,
    algorithms,
)
from pytest_federated.training.engine.datasets import not_rewritten
from pytest_federated.training.evaluation.central import Evaluation
from pytest_federated.training.models.adapters.clusters import ClustersAdapter


@algorithms(
    "kmeans",
    example={"clusters": 10},
    has_no_global_model=True,
    has_no_predictions=True,
    adapter=lambda settings, shape: ClustersAdapter(settings.clusters, shape),
    unused=("local_epochs", "local_steps", "batch_size", "client_optimizer", "server_optimizer"),
    refuses={
        "model": "it finds clusters, and trains no model",
        "training.loss": "its loss is the squared distance to the nearest centroid",
        "training.class_weights": "it looks at no labels",
        "training.client_optimizer.schedule": "it has no learning rate",
        "training.server_optimizer.schedule": "it has no learning rate",
        "training.eval_clients_every": "its clusters are judged on the test set only",
        "clients.stragglers": "its clients do no local steps, of which one could do a part",
        "clients.attacks": "it looks at no labels, and scales no updates",
    },
    # Down the centroids; up, for each cluster, the sum of its examples and their number.
    traffic=lambda s: (s.trainable, s.weights),
    aggregates_itself=True,
    fixes_updates=True,
    tff=TffComposition(
        "build_fed_kmeans",
        client_work="sums and numbers of its examples by nearest centroid",
        aggregator="sum",
        finalizer="centroids as means of all examples so far",
        distributor="the centroids",
    ),
)
def kmeans(
    inputs: AlgorithmInputs,
    *,
    clusters: Annotated[int, Field(ge=1)],
    initial: Annotated[
        Literal["examples", "normal"],
        Field(
            description="Where centroids begin: at examples, or drawn from N(0, 1) as TFF has it."
        ),
    ] = "examples",
) -> Algorithm:
    """Mini-batch k-means over clients: finds clusters of the examples, without labels or a model.

    In each round the clients assign their examples to the nearest centroids, once, and the server
    moves each centroid to the mean of all examples that were assigned to it so far, the first
    centroid counting as one. So it does not matter how a round's examples are divided among its
    clients. Centroids begin at random examples of all clients. The loss is the mean squared
    Euclidean distance of test examples from the nearest centroid (scikit-learn's inertia over the
    number of examples), the accuracy is their purity: the share of test examples with the most
    frequent label of their cluster (Manning et al., Introduction to Information Retrieval, 2008,
    section 16.3). Purity rises with the number of clusters. Built by
    `tff.learning.algorithms.build_fed_kmeans`.

    Source: Sculley, Web-Scale K-Means Clustering, WWW 2010, algorithm 1; a round's examples are
    its mini-batch.
    """
    return _KMeans(inputs, clusters, initial)


class _KMeans(Algorithm):
    def __init__(self, inputs: AlgorithmInputs, clusters: int, initial: str) -> None:
        tff: Any = import_tff()
        self._adapter: ClustersAdapter = inputs.adapter
        self._clusters, self._initial = clusters, initial
        self._learning = tff.learning.algorithms.build_fed_kmeans(
            clusters, self._adapter.shape.input_shape, random_seed=(0, 0)
        )
        self.computation = self._learning.next

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> Any:
        drawn = np.asarray(weights.trainable[0])
        first = drawn if self._initial == "normal" else self._drawn(data, rng)
        return self._learning.set_model_weights(self._learning.initialize(), first)

    def _drawn(self, data: FederatedData, rng: np.random.Generator) -> np.ndarray:
        """As many examples as there are clusters, each with the same probability."""
        ends = np.cumsum(data.sizes)
        if self._clusters > ends[-1]:
            raise ModelError(
                f"training.algorithm.clusters: got {self._clusters}; the clients hold {ends[-1]} "
                "examples to begin with"
            )
        places = rng.choice(ends[-1], self._clusters, replace=False)
        owners = np.searchsorted(ends, places, side="right")
        return np.stack(
            [data.examples(c).x[p - ends[c]] for c, p in zip(owners, places)]  # from the end
        )

    def next(
        self, state: Any, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[Any, Mapping[str, Any]]:
        import tensorflow as tf

        points = [
            not_rewritten(tf.data.Dataset.from_tensor_slices(own.x)) for own in cohort.examples
        ]
        state, measured = self._learning.next(state, points)
        counted = measured["client_work"]["num_examples"]
        return state, {"num_examples": counted, "loss": None, "accuracy": None}

    def planned_examples(self, cohort: Cohort, work: LocalWork) -> int:
        return sum(map(len, cohort.examples))

    def sent(self, weights: Any) -> Any:
        tff: Any = import_tff()
        counts = np.zeros(self._clusters, np.float32)
        return tff.learning.models.ModelWeights(weights.trainable, [counts])

    def weights(self, state: Any) -> Any:
        tff: Any = import_tff()
        return tff.learning.models.ModelWeights([self._learning.get_model_weights(state)], [])

    def evaluate(
        self, state: Any, data: FederatedData, work: LocalWork, judge: Judge
    ) -> Evaluation:
        self._adapter.set_weights(self.weights(state))
        total, labels = 0.0, np.zeros((self._clusters, data.num_classes), np.int64)
        step = self._adapter.shape.batch()
        for begin in range(0, len(data.test), step):
            batch = data.test.take(slice(begin, begin + step))
            distance, nearest = self._adapter.forward(batch.x, batch.y)
            total += distance * len(batch)
            np.add.at(labels, (nearest, batch.y), 1)
        return Evaluation(total / len(data.test), float(labels.max(axis=1).sum() / labels.sum()))
