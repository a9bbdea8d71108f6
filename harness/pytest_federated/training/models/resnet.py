"""Residual networks with group normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from pytest_federated.training.models.cnn import check_images
from pytest_federated.training.models.model import Outputs, Shape, models

if TYPE_CHECKING:
    import tensorflow as tf


@models("resnet18_gn")
def resnet18_gn(
    shape: Shape,
    *,
    filters: Annotated[int, Field(ge=1, description="In the first of four stages.")] = 64,
    groups: Annotated[int, Field(ge=1, description="Groups of channels to normalize.")] = 2,
    outputs: Outputs = "logits",
) -> tf.keras.Model:
    """ResNet-18 for small images: 3x3 first convolution, no first pooling, group normalization.

    Four stages of two basic blocks, each stage with twice the filters and half the size. With batch
    normalization instead, it could not be federated (K. Hsieh et al., ICML 2020).

    Source: He et al., CVPR 2016, arXiv:1512.03385; with group normalization: Reddi et al., ICLR
    2021, appendix A.2 (CIFAR-100), arXiv:2003.00295.

    Raises:
        ModelError: the data are not images, or too small for three halvings.

    """
    import tensorflow as tf

    check_images(shape, 8)
    layers = tf.keras.layers

    def convolve(x: Any, width: int, kernel: int, stride: int) -> Any:
        return layers.Conv2D(width, kernel, stride, padding="same", use_bias=False)(x)

    def normalize(x: Any) -> Any:
        return layers.GroupNormalization(min(groups, x.shape[-1]))(x)

    inputs = layers.Input(shape.input_shape)
    x = layers.ReLU()(normalize(convolve(inputs, filters, 3, 1)))
    for stage in range(4):
        width = filters * 2**stage
        for block in range(2):
            stride = 2 if stage and not block else 1
            residual = layers.ReLU()(normalize(convolve(x, width, 3, stride)))
            # Called in the order in which Keras lists layers, as packed execution requires.
            residual = convolve(residual, width, 3, 1)
            shortcut = convolve(x, width, 1, stride) if stride > 1 else x
            residual = normalize(residual)
            shortcut = normalize(shortcut) if stride > 1 else x
            x = layers.ReLU()(layers.Add()([residual, shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(shape.units, activation=shape.activation(outputs))(x)
    return tf.keras.Model(inputs, x)
