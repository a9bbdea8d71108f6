"""Functional models whose parts are called as they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable


def plain(
    initial_weights: Any, predict: Callable[..., Any], loss: Any, metrics: Any, spec: Any
) -> Any:
    """Returns a `tff.learning.models.FunctionalModel` that calls these functions as they are.

    TFF's own puts each call into a `tf.function`, and what it calls into more of them; each is
    traced, differentiated and optimized as a graph of its own.

    Args:
        initial_weights: arrays, the trainable ones and the others.
        predict: (weights, x, training) -> outputs.
        loss: (outputs, labels, weights of examples) -> float32 ().
        metrics: that initialize, update and finalize them.
        spec: the `tf.TensorSpec`s of features and labels.
    """
    return _plain_class()(
        predict, metrics, initial_weights=initial_weights, loss_fn=loss, input_spec=spec
    )


@lru_cache(maxsize=1)
def _plain_class() -> Any:
    """Returns the class `Plain`, defined only when TFF is there to inherit from."""
    import tensorflow as tf
    import tensorflow_federated as tff

    class Plain(tff.learning.models.FunctionalModel):
        """See `plain`."""

        def __init__(self, predict: Callable[..., Any], metrics: Any, **others: Any) -> None:
            function = tf.function(predict)  # TFF takes no other, and this class never calls it
            super().__init__(predict_on_batch_fn=function, metrics_fns=metrics, **others)
            self._predict, self._metrics = predict, metrics

        def predict_on_batch(self, model_weights: Any, x: Any, training: bool = True) -> Any:
            return self._predict(model_weights, x, training)

        def initialize_metrics_state(self) -> Any:
            return self._metrics[0]()

        def update_metrics_state(
            self, state: Any, labels: Any, batch_output: Any, sample_weight: Any = None
        ) -> Any:
            return self._metrics[1](state, labels, batch_output, sample_weight)

        def finalize_metrics(self, state: Any) -> Any:
            return self._metrics[2](state)

    return Plain
