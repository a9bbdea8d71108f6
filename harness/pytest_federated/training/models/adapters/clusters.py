"""Centroids of clusters, in place of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.adapters.adapter import ModelAdapter, shape_text
from pytest_federated.training.models.model import Shape

if TYPE_CHECKING:
    import tensorflow_federated as tff


class ClustersAdapter(ModelAdapter):
    """Centroids, float32 (clusters, ...); an example belongs to the nearest one."""

    def __init__(self, clusters: int, shape: Shape) -> None:
        """Creates so many centroids, all zero.

        Raises:
            ModelError: examples are not float32, or have more than one label each.
        """
        if shape.inputs:
            raise ModelError(
                "training.algorithm: clusters need examples with one input; these have "
                f"{', '.join(shape.inputs)}"
            )
        if shape.input_dtype != "float32":
            raise ModelError(
                f"training.algorithm: clusters need examples of float32; these are of "
                f"{shape.input_dtype}"
            )
        if shape.kind != "label":
            raise ModelError(
                "training.algorithm: clusters are judged by one label for each example; the data "
                f"has {shape.kind}"
            )
        self.shape, self._clusters = shape, clusters
        self._centroids = np.zeros((clusters, *shape.input_shape), np.float32)

    def obstacle(self) -> Optional[str]:
        return "clusters are not trained by steps"

    def variable(self) -> Callable[[], tff.learning.models.VariableModel]:
        def model_fn() -> tff.learning.models.VariableModel:
            raise ModelError("clusters are not trained by steps")

        return model_fn

    def functional(self) -> tff.learning.models.FunctionalModel:
        raise ModelError("clusters are not trained by steps")

    def new_weights(self) -> tff.learning.models.ModelWeights:
        """Returns centroids drawn from the standard normal distribution."""
        import tensorflow as tf
        import tensorflow_federated as tff

        drawn = tf.random.normal((self._clusters, *self.shape.input_shape))
        return tff.learning.models.ModelWeights([drawn], [])

    def summary(self) -> tuple[tuple[str, str, int], ...]:
        shape = self._centroids.shape
        return (("Centroids", shape_text(shape), self.parameters()),)

    def set_weights(self, weights: tff.learning.models.ModelWeights) -> None:
        self._centroids = np.asarray(weights.trainable[0])

    def forward(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
        """Returns the mean squared distance to the nearest centroid, and its index, int (n,)."""
        from scipy.spatial.distance import cdist

        points, centroids = x.reshape(len(x), -1), self._centroids.reshape(self._clusters, -1)
        distances = cdist(points, centroids, "sqeuclidean")
        return float(distances.min(axis=1).mean()), distances.argmin(axis=1)
