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
