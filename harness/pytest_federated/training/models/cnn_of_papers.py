"""Convolutional networks exactly as in papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_federated.training.models.cnn import check_images, cnn
from pytest_federated.training.models.model import Outputs, Shape, models

if TYPE_CHECKING:
    import tensorflow as tf


@models("cnn_mcmahan")
def cnn_mcmahan(shape: Shape, *, outputs: Outputs = "logits") -> tf.keras.Model:
    """The CNN of the FedAvg paper: 1,663,370 parameters on MNIST.

    Two 5x5 convolutions of 32 and 64 filters with 2x2 max pooling, 512 hidden units.

    Source: McMahan et al., AISTATS 2017, section 3 ("MNIST CNN"), arXiv:1602.05629.

    Raises:
        ModelError: the data are not images, or too small for two poolings.

    """
    return cnn(shape, filters=[32, 64], kernel=5, hidden=512, outputs=outputs)


@models("cnn_dropout")
def cnn_dropout(shape: Shape, *, outputs: Outputs = "logits") -> tf.keras.Model:
    """TFF's baseline for EMNIST: two 3x3 convolutions, dropout, 1,199,882 parameters for digits.

    The seed determines what dropout drops, as described in
    `harness/pytest_federated/training/models/random_layers.py`.

    Source: Reddi et al., ICLR 2021, appendix A.3, table 4, arXiv:2003.00295;
    `tff.simulation.baselines.emnist`, model `cnn_dropout`.

    Raises:
        ModelError: the data are not images, or too small.

    """
    import tensorflow as tf

    check_images(shape, 6)
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.InputLayer(shape.input_shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(shape.units, activation=shape.activation(outputs)),
        ]
    )


@models("cnn_cifar10_tutorial")
def cnn_cifar10_tutorial(shape: Shape, *, outputs: Outputs = "logits") -> tf.keras.Model:
    """The CNN of TensorFlow's CIFAR-10 tutorial: 1,068,298 parameters for images of 24 x 24 x 3.

    Two 5x5 convolutions of 64 filters with 3x3 max pooling and local response normalization, 384
    and 192 hidden units. The tutorial's weight decay of the hidden layers is not part of the model.

    Source: McMahan et al., AISTATS 2017, section 3 ("CIFAR experiments"), arXiv:1602.05629;
    tensorflow/models, tutorials/image/cifar10/cifar10.py (`inference`).

    Raises:
        ModelError: the data are not images, or too small for two poolings.

    """
    import tensorflow as tf

    check_images(shape, 4)
    layers = tf.keras.layers

    def normal(deviation: float) -> tf.keras.initializers.Initializer:
        return tf.keras.initializers.TruncatedNormal(stddev=deviation)

    def convolved(x: tf.Tensor, bias: float) -> tf.Tensor:
        begin = {"kernel_initializer": normal(0.05), "bias_initializer": constant(bias)}
        return layers.Conv2D(64, 5, padding="same", activation="relu", **begin)(x)

    def normalized(x: tf.Tensor) -> tf.Tensor:
        return tf.nn.local_response_normalization(x, 4, bias=1.0, alpha=0.001 / 9, beta=0.75)

    def pooled(x: tf.Tensor) -> tf.Tensor:
        return layers.MaxPooling2D(3, 2, padding="same")(x)

    constant = tf.keras.initializers.Constant
    x = images = layers.Input(shape.input_shape)
    x = normalized(pooled(convolved(x, 0.0)))
    x = pooled(normalized(convolved(x, 0.1)))
    x = layers.Flatten()(x)
    for units in (384, 192):
        begin = {"kernel_initializer": normal(0.04), "bias_initializer": constant(0.1)}
        x = layers.Dense(units, activation="relu", **begin)(x)
    last = {"kernel_initializer": normal(1 / 192), "activation": shape.activation(outputs)}
    return tf.keras.Model(images, layers.Dense(shape.units, **last)(x))
