"""Layers that draw random numbers, such as dropout, which follow from the seed.

Keras' random layers draw from a state inside TFF's worker that no seed reaches and that clients
running at the same time share: two trainings with one seed would differ. Here each step of each
client in each round has a key, from the training's seed, and all draws of the step follow from it
and from their place in the model. So no two steps draw the same numbers, but the same step always
does, whether execution is packed or standard. Outside of training, the few layers that draw there
always draw the same numbers.
"""

from __future__ import annotations

import contextlib
import functools
from collections import OrderedDict
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import tensorflow as tf

# The column of a batch that has its client's key, once for each example.
KEY = "key"


@dataclass
class Draws:
    """The random numbers of one step.

    Attributes:
        key: int32 (2,), of the step: its client's key of the round, and its number.
        count: how many draws the model has made.

    """

    key: Any
    count: int = 0

    def seed(self) -> Any:
        """Returns the seed of the next draw, int32 (2,)."""
        import tensorflow as tf

        self.count += 1
        return tf.random.fold_in(tf.convert_to_tensor(self.key), self.count)


_draws: ContextVar[Optional[Draws]] = ContextVar("_draws", default=None)


@contextlib.contextmanager
def drawing_from(key: Any) -> Iterator[Draws]:
    """Has the models that are called in the block draw their random numbers from a step's key."""
    token = _draws.set(draws := Draws(key))
    try:
        yield draws
    finally:
        _draws.reset(token)


def layers_of(model: tf.keras.Model) -> list[Any]:
    """Returns the layers of a model at all depths, without the model.

    Unlike `model.submodules` it takes recurrent layers that have been called in two graphs.
    """
    return list(model._flatten_layers(include_self=False))


@contextlib.contextmanager
def drawing_from_keys() -> Iterator[None]:
    """Makes random layers that draw in the block, while models are built, draw from keys for good.

    What they would draw from otherwise are variables, and operations that cannot be packed.
    """
    import tensorflow as tf

    initializer: Any = tf.keras.initializers.RandomUniform()
    generators: Any = type(initializer._random_generator)
    begin = generators._maybe_init

    def begin_from_key(generator: Any) -> None:
        if generator._rng_type == generator.RNG_STATELESS:  # as of initial weights
            begin(generator)
        else:
            _draw_from_key(generator)

    generators._maybe_init = begin_from_key
    try:
        yield
    finally:
        generators._maybe_init = begin


def draw_from_keys(model: tf.keras.Model) -> None:
    """Makes all random layers of a model draw from the key of the step."""
    for layer in layers_of(model):
        if hasattr(layer, "_random_generator"):
            _draw_from_key(layer._random_generator)


def _draw_from_key(generator: Any) -> None:
    """Makes Keras' generator, through which a random layer draws, take its seeds from keys."""
    generator._rng_type = generator.RNG_STATELESS
    generator._built = True
    generator.make_seed_for_stateless_op = _next_seed


def _next_seed() -> Any:
    import tensorflow as tf

    return (_draws.get() or Draws(tf.zeros((2,), tf.int32))).seed()


def with_keys(model: Any) -> Any:
    """Returns a `tff.learning.models.VariableModel` whose batches have a column of keys besides.

    Its layers draw from the client's key and the number of the step.
    """
    return _with_keys_class()(model)


@functools.lru_cache(maxsize=1)
def _with_keys_class() -> Any:
    """Returns the class `WithKeys`, defined only when TFF is there to inherit from."""
    import tensorflow as tf
    import tensorflow_federated as tff

    class WithKeys(tff.learning.models.VariableModel):
        """See `with_keys`."""

        def __init__(self, inner: tff.learning.models.VariableModel) -> None:
            self._inner = inner
            self._columns: Any = inner.input_spec
            self._key = tf.Variable(tf.constant([0, -1]), trainable=False)

        @property
        def trainable_variables(self) -> Any:
            return self._inner.trainable_variables

        @property
        def non_trainable_variables(self) -> Any:
            return self._inner.non_trainable_variables

        @property
        def local_variables(self) -> Any:
            return [*self._inner.local_variables, self._key]

        @property
        def input_spec(self) -> Any:
            keys = tf.TensorSpec((None,), tf.int32)
            return OrderedDict(self._columns, **{KEY: keys})

        @tf.function
        def forward_pass(self, batch_input: Any, training: bool = True) -> Any:
            batch = OrderedDict((name, batch_input[name]) for name in self._columns)
            if training:
                step = self._key[1] + 1
                self._key.assign(tf.stack([batch_input[KEY][0], step]))
            # Read where it is used: the inner function is traced once for several loops.
            with drawing_from(self._key):
                return self._inner.forward_pass(batch, training=training)

        @tf.function
        def predict_on_batch(self, batch_input: Any, training: bool = True) -> Any:
            with drawing_from(self._key):
                return self._inner.predict_on_batch(batch_input, training=training)

        def report_local_unfinalized_metrics(self) -> Any:
            return self._inner.report_local_unfinalized_metrics()

        def metric_finalizers(self) -> Any:
            return self._inner.metric_finalizers()

        def reset_metrics(self) -> None:
            self._inner.reset_metrics()

    return WithKeys
