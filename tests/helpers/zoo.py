"""Keras models like those of users, for test_model_zoo.py, which names them zoo:function."""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

layers = tf.keras.layers
Model, Sequential = tf.keras.Model, tf.keras.Sequential


def begin(shape: Any) -> tuple[Any, Any]:
    """Returns an input, and the input as a row."""
    given = tf.keras.Input(shape)
    return given, layers.Flatten()(given)


def rows(shape: Any) -> tuple[Any, Any]:
    """Returns an input, and the input as a sequence."""
    given = tf.keras.Input(shape)
    return given, layers.Reshape((shape[0], -1))(given)


# Custom layers, none with compute_output_shape.


class Scaled(layers.Layer):
    """Creates one weight in __init__ and one in build."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 4))

    def call(self, x: Any) -> Any:
        return tf.matmul(x, self.kernel) * self.scale


class Raw(layers.Layer):
    """Has a tf.Variable."""

    def build(self, shape: Any) -> None:
        self.kernel = tf.Variable(tf.ones((shape[-1], 4)) / 4)

    def call(self, x: Any) -> Any:
        return tf.matmul(x, self.kernel)


class Backwards(layers.Layer):
    """Calls its second layer first, and creates its own weights in between."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.second, self.first = layers.Dense(units), layers.Dense(units)
        self.units = units

    def build(self, shape: Any) -> None:
        self.first.build(shape)
        self.shift = self.add_weight(name="shift", shape=(self.units,), initializer="ones")

    def call(self, x: Any) -> Any:
        return self.second(self.first(x) + self.shift)


class Late(layers.Layer):
    """Creates its layer when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = None

    def call(self, x: Any) -> Any:
        if self.inner is None:
            self.inner = layers.Dense(4)
        return self.inner(x)


class Hidden(layers.Layer):
    """Has a layer that Keras does not see."""

    def __init__(self) -> None:
        super().__init__()
        inner = layers.Dense(4)
        self.inner = lambda x: inner(x)

    def call(self, x: Any) -> Any:
        return self.inner(x)


class Forked(layers.Layer):
    """Depends on values, which needs autograph."""

    def call(self, x: Any) -> Any:
        if tf.reduce_sum(x) > 0:
            return x
        return -2.0 * x


class Counting(layers.Layer):
    """Changes a weight when it is called."""

    def build(self, shape: Any) -> None:
        self.calls = self.add_weight(name="calls", shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        return x


class Checking(layers.Layer):
    """Has an operation with an effect of its own."""

    def call(self, x: Any) -> Any:
        tf.debugging.assert_less(tf.abs(x), 1e9)
        return x


class Dropped(layers.Dropout):
    """A random layer of one's own."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        return 2.0 * super().call(inputs, training)  # pyright: ignore[reportCallIssue]


class Raising(layers.Layer):
    """Raises at the stage `when`."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when

    def build(self, shape: Any) -> None:
        if self.when == "build":
            raise ValueError("raised in build")

    def call(self, x: Any, training: Any = None) -> Any:
        if self.when == "call":
            raise ValueError("raised in call")
        if self.when == "training" and training:
            raise ValueError("raised in training")
        return x


class Noise(layers.Layer):
    """Draws what no seed decides: in TensorFlow, in NumPy, or in Python that the graph calls."""

    def __init__(self, draw: str) -> None:
        super().__init__()
        self.draw = draw
        self.fixed = np.random.normal()

    def call(self, x: Any, training: Any = None) -> Any:
        if self.draw == "tensorflow":
            return x + tf.random.normal(tf.shape(x))
        if self.draw == "in training" and training:
            return tf.nn.dropout(x, 0.5)
        if self.draw == "numpy":
            return x + np.random.normal()
        if self.draw == "numpy, once":
            return x + self.fixed
        if self.draw == "python":
            return tf.ensure_shape(tf.numpy_function(lambda t: t, [x], tf.float32), x.shape)
        if self.draw == "in a loop":
            first: Any = (0, x)
            return tf.while_loop(
                lambda step, _: step < 2, lambda step, t: (step + 1, tf.random.shuffle(t)), first
            )[1]
        return x


class AddsLoss(layers.Layer):
    """Adds a loss in training only."""

    def call(self, x: Any, training: Any = None) -> Any:
        if training:
            self.add_loss(tf.reduce_mean(tf.square(x)))
        return x


class Normalized(layers.Layer):
    """Gives values that sum to 1, without a softmax."""

    def call(self, x: Any) -> Any:
        return tf.square(x) / tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)


class Subclassed(Model):
    """A model of its own class, whose call has no argument `training`."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.flat, self.last = layers.Flatten(), layers.Dense(num_classes)
        self.unused = layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.last(self.flat(x))


class Two(Subclassed):
    """Gives two outputs."""

    def call(self, x: Any) -> Any:
        return self.last(self.flat(x)), self.flat(x)


# Models that train.


def operators(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    twice = layers.Dense(x.shape[-1], "tanh")
    inner = Sequential([layers.Dense(5, "relu"), Sequential([layers.Dense(4)])])
    x = tf.nn.relu(twice(twice(x)))
    return Model(given, layers.Dense(num_classes)(inner(x) + layers.Dense(4)(x)))


def tutorial(input_shape: Any, num_classes: int) -> Any:
    """As in tutorials."""
    return Sequential(
        [
            layers.Flatten(input_shape=input_shape),
            layers.Dense(128, activation="relu"),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def divided(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, layers.Dense(num_classes)(x[:, 3:] / 2.0))


def attention(input_shape: Any, num_classes: int) -> Any:
    given, x = rows(input_shape)
    x = layers.Attention()([x, x]) + layers.MultiHeadAttention(2, 3)(x, x)
    return Model(given, layers.Dense(num_classes)(layers.GlobalAveragePooling1D()(x)))


def convolutions(num_classes: int) -> Any:
    given = tf.keras.Input((None, None, 1))
    x = layers.GroupNormalization(2)(layers.SeparableConv2D(4, 2)(given))
    x = layers.RepeatVector(2)(layers.GlobalMaxPooling2D()(layers.LayerNormalization()(x)))
    return Model(given, layers.Dense(num_classes)(layers.Flatten()(layers.Conv1D(4, 2)(x))))


def recurrent(input_shape: Any, num_classes: int) -> Any:
    given, x = rows(input_shape)
    x = layers.GRU(2)(layers.LSTM(3, return_sequences=True)(x))
    return Model(given, layers.Dense(num_classes)(x))


def own(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    for layer in (Scaled(), Late(), Raw(), Forked()):
        x = layer(x)
    return Model(given, layers.Dense(num_classes)(x))


def own_backwards(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, Backwards(4))


def normalizations(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    adapted = layers.Normalization()
    adapted.build(x.shape)
    x = adapted(layers.Normalization(mean=0.5, variance=2.0)(x))
    x = layers.BatchNormalization(trainable=False)(x)
    x = layers.Dense(num_classes, kernel_constraint="non_neg")(x)
    return Model(given, tf.cast(x, tf.float64))


def embedded(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape[:2])  # Keras takes the last dimension of 1 away
    x = layers.Flatten()(layers.Embedding(8, 2)(layers.Lambda(lambda t: tf.abs(t))(x)))
    return Model(given, layers.Dense(num_classes)(x))


def deferred(num_classes: int) -> Any:
    return Sequential([layers.Flatten(), Scaled(), layers.Dense(num_classes)])


def subclassed(num_classes: int) -> Any:
    return Subclassed(num_classes)


def frozen(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    x = layers.Dense(5, "relu", trainable=False)(x)
    x = layers.Dense(5, "relu")(x)
    return Model(given, layers.Dense(num_classes)(layers.Dense(5, trainable=False)(x)))


def pretrained(input_shape: Any, num_classes: int) -> Any:
    base = Sequential(
        [tf.keras.Input(input_shape), layers.Conv2D(3, 2), layers.BatchNormalization()]
    )
    base.trainable = False
    given = tf.keras.Input(input_shape)
    return Model(given, layers.Dense(num_classes)(layers.Flatten()(base(given, training=False))))


def mixed(input_shape: Any, num_classes: int) -> Any:
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    given, x = begin(input_shape)
    return Model(given, layers.Dense(num_classes)(layers.Dense(4)(x)))


def double(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, layers.Dense(num_classes, dtype="float64")(x))


def checking(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, Checking())


def random(input_shape: Any, num_classes: int, layer: str) -> Any:
    """A layer that draws random numbers, before any that is trained."""
    given = tf.keras.Input(input_shape)
    if layer in RANDOM_OF_IMAGES:
        x = RANDOM_OF_IMAGES[layer]()(given)
    else:
        x = RANDOM_OF_ROWS[layer](layers.Reshape((input_shape[0], -1))(given))
    return Model(given, layers.Dense(num_classes)(layers.Flatten()(x)))


RANDOM_OF_IMAGES: dict[str, Any] = {
    "Dropout, subclassed": lambda: Dropped(0.5),
    "SpatialDropout2D": lambda: layers.SpatialDropout2D(0.5),
    "GaussianNoise": lambda: layers.GaussianNoise(0.5),
    "GaussianDropout": lambda: layers.GaussianDropout(0.5),
    "AlphaDropout": lambda: layers.AlphaDropout(0.5),
    "RandomFlip": lambda: layers.RandomFlip(),
    "RandomRotation": lambda: layers.RandomRotation(0.2),
    "RandomBrightness": lambda: layers.RandomBrightness(0.5, value_range=(0, 1)),
    "RandomCrop": lambda: layers.RandomCrop(3, 3),
}
RANDOM_OF_ROWS: dict[str, Any] = {
    "LSTM": lambda x: layers.LSTM(4, dropout=0.3)(x),
    "GRU": lambda x: layers.GRU(4, dropout=0.3, recurrent_dropout=0.3)(x),
    "Attention": lambda x: layers.Attention(dropout=0.3)([x, x]),
    "MultiHeadAttention": lambda x: layers.MultiHeadAttention(2, 3, dropout=0.3)(x, x),
}


def operators_with_dropout(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, layers.Dense(num_classes)(layers.Dropout(0.3)(layers.Dense(6)(x))))


def masked(input_shape: Any, num_classes: int) -> Any:
    """Dropout of ones: those rows of its kernel change that are not dropped."""
    given, x = begin(input_shape)
    x = layers.Dropout(0.5)(layers.Lambda(tf.ones_like)(x))
    return Model(given, layers.Dense(num_classes, use_bias=False)(x))


def application(input_shape: Any, num_classes: int, name: str, trainable: bool = False) -> Any:
    """One of the architectures that come with Keras, without its weights, at a small size."""
    make = getattr(tf.keras.applications, name)
    small = {"MobileNetV2": {"alpha": 0.35}, "MobileNet": {"alpha": 0.25}}.get(name, {})
    base = make(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg", **small)
    base.trainable = trainable
    given = tf.keras.Input(input_shape)
    x = layers.Concatenate()([layers.Resizing(32, 32)(given)] * 3)
    x = base(x) if trainable else base(x, training=False)
    return Model(given, layers.Dense(num_classes)(x))


def regularized(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, layers.Dense(num_classes, kernel_regularizer="l2")(x))


def compiled(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    model = Model(given, layers.Dense(num_classes)(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def unused(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    layers.Dense(2)(x)
    return Model(given, layers.Dense(num_classes)(x))


# Models that are refused.


def batch_normalization(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, layers.BatchNormalization())


def old_normalization(input_shape: Any, num_classes: int, trainable: bool) -> Any:
    old = tf.compat.v1.keras.layers.BatchNormalization
    return own_layer(input_shape, num_classes, old(trainable=trainable))


def active(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, layers.Dense(3, activity_regularizer="l2"))


def noisy(input_shape: Any, num_classes: int, draw: str) -> Any:
    return own_layer(input_shape, num_classes, Noise(draw))


def noisy_function(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, layers.Lambda(lambda x: tf.nn.dropout(x, 0.5)))


def own_layer(input_shape: Any, num_classes: int, layer: Any) -> Any:
    given, x = begin(input_shape)
    return Model(given, layers.Dense(num_classes)(layer(x)))


def raising(input_shape: Any, num_classes: int, when: str) -> Any:
    if when == "function":
        raise ValueError("raised in the function")
    if when == "graph" and not tf.executing_eagerly():
        raise ValueError("raised in a graph")
    return own_layer(input_shape, num_classes, Raising(when))


def deferred_raising(num_classes: int) -> Any:
    return Sequential([layers.Flatten(), Raising("build"), layers.Dense(num_classes)])


def for_others(num_classes: int, shape: Any) -> Any:
    return own_layer(tuple(shape), num_classes, layers.ReLU())


def integers(input_shape: Any, num_classes: int) -> Any:
    given = tf.keras.Input(input_shape, dtype="int32")
    return Model(given, layers.Dense(num_classes)(layers.Flatten()(tf.cast(given, tf.float32))))


def chosen(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, tf.one_hot(tf.argmax(layers.Dense(num_classes)(x), 1), 3, dtype=tf.int32))


def two_outputs(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, [layers.Dense(num_classes)(x), layers.Dense(num_classes)(x)])


def named_output(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, {"labels": layers.Dense(num_classes)(x)})


def two_inputs(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    other, z = begin(input_shape)
    return Model([given, other], layers.Dense(num_classes)(x + z))


def two_of_a_class(num_classes: int) -> Any:
    return Two(num_classes)


def counting(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, Counting())


def adds_loss(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, AddsLoss())


def hidden(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, Hidden())


def hidden_by_lambda(input_shape: Any, num_classes: int) -> Any:
    inner = layers.Dense(16)
    inner.build((None, 16))
    return own_layer(input_shape, num_classes, layers.Lambda(lambda x: inner(x)))


def nothing(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, x[:, :num_classes])


def all_frozen(input_shape: Any, num_classes: int) -> Any:
    given, x = begin(input_shape)
    return Model(given, layers.Dense(num_classes, trainable=False)(x))


_kept: list[Any] = []
_layer = layers.Dense(4)


def same(input_shape: Any, num_classes: int) -> Any:
    if not _kept:
        _kept.append(operators(input_shape, num_classes))
    return _kept[0]


def same_layer(input_shape: Any, num_classes: int) -> Any:
    return own_layer(input_shape, num_classes, _layer)


def growing(input_shape: Any, num_classes: int) -> Any:
    _kept.append(None)
    return own_layer(input_shape, num_classes, layers.Dense(1 + len(_kept)))


# Ends of a model, for tests of its outputs.


def ending(input_shape: Any, output_shape: Any, end: str) -> Any:
    given, x = begin(input_shape)
    x = layers.Dense(6, "relu")(x)
    return Model(given, ENDS[end](x, output_shape[-1]))


def ending_of_positions(input_shape: Any, num_classes: int, end: str) -> Any:
    given = tf.keras.Input(input_shape)
    x = layers.Dense(6)(layers.Reshape((*input_shape, 1))(given))
    return Model(given, ENDS[end](x, num_classes))


def _zeros(x: Any, n: int, activation: Any = None) -> Any:
    return layers.Dense(n, activation, kernel_initializer="zeros")(x)


def _nested(x: Any, n: int) -> Any:
    inner = tf.keras.Input(x.shape[1:])
    return Model(inner, layers.Dense(n, "softmax")(inner))(x)


def _mixture(x: Any, n: int) -> Any:
    gate = layers.Dense(1, "sigmoid")(x)
    return gate * layers.Dense(n, "softmax")(x) + (1.0 - gate) * layers.Dense(n, "softmax")(x)


@tf.function
def _soft(x: Any) -> Any:
    return tf.nn.softmax(x)


@tf.function
def _sigmoid(x: Any) -> Any:
    return tf.nn.sigmoid(x)


ENDS: dict[str, Any] = {
    "linear": lambda x, n: layers.Dense(n)(x),
    "activation linear": lambda x, n: layers.Activation("linear")(layers.Dense(n)(x)),
    "zeros": _zeros,
    "log softmax": lambda x, n: tf.nn.log_softmax(layers.Dense(n)(x)),
    "relu": lambda x, n: layers.Dense(n, "relu")(x),
    "relu of zeros": lambda x, n: _zeros(x, n, "relu"),
    "tanh": lambda x, n: layers.Dense(n, "tanh")(x),
    "softmax": lambda x, n: layers.Dense(n, "softmax")(x),
    "softmax of zeros": lambda x, n: _zeros(x, n, "softmax"),
    "softmax layer": lambda x, n: layers.Softmax()(layers.Dense(n)(x)),
    "softmax activation": lambda x, n: layers.Activation("softmax")(layers.Dense(n)(x)),
    "softmax function": lambda x, n: layers.Dense(n, tf.nn.softmax)(x),
    "softmax, then linear": lambda x, n: layers.Activation("linear", dtype="float32")(
        layers.Dense(n, "softmax")(x)
    ),
    "softmax lambda": lambda x, n: layers.Lambda(tf.nn.softmax)(layers.Dense(n)(x)),
    "softmax of zeros lambda": lambda x, n: layers.Lambda(tf.nn.softmax)(_zeros(x, n)),
    "softmax operation": lambda x, n: tf.nn.softmax(layers.Dense(n)(x)),
    "softmax in a function": lambda x, n: layers.Lambda(_soft)(_zeros(x, n)),
    "softmax of 16 bits": lambda x, n: layers.Dense(n, "softmax", dtype="mixed_float16")(x),
    "softmax by hand": lambda x, n: layers.Lambda(
        lambda t: tf.exp(t) / tf.reduce_sum(tf.exp(t), -1, keepdims=True)
    )(layers.Dense(n)(x)),
    "nested softmax": _nested,
    "mixture of softmax": _mixture,
    "layer that normalizes": lambda x, n: Normalized()(layers.Dense(n)(x)),
    "sigmoid": lambda x, n: layers.Dense(n, "sigmoid")(x),
    "sigmoid layer": lambda x, n: layers.Activation("sigmoid")(layers.Dense(n)(x)),
    "sigmoid of zeros": lambda x, n: _zeros(x, n, "sigmoid"),
    "sigmoid operation": lambda x, n: tf.sigmoid(layers.Dense(n)(x)),
    "sigmoid in a function": lambda x, n: layers.Lambda(_sigmoid)(layers.Dense(n)(x)),
    "hard sigmoid": lambda x, n: layers.Dense(n, "hard_sigmoid")(x),
    "constant": lambda x, n: layers.Lambda(lambda t: 0.0 * t + 1.0 / n)(layers.Dense(n)(x)),
    "softmax over positions": lambda x, n: layers.Softmax(axis=1)(layers.Dense(n)(x)),
}
