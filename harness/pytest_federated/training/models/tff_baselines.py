"""The models of TFF's own baseline tasks, `tff.simulation.baselines`, as TFF builds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.tff import internals
from pytest_federated.training.models.model import Shape, models

if TYPE_CHECKING:
    import tensorflow as tf

Probabilities = Literal["probabilities"]
Emnist = Annotated[
    Literal["cnn_dropout", "cnn", "2nn"], Field(description="TFF's name for the network.")
]
Resnet = Annotated[
    Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"],
    Field(description="TFF's name for the network."),
]


@models("tff_emnist")
def tff_emnist(
    shape: Shape, *, model: Emnist = "cnn_dropout", outputs: Probabilities = "probabilities"
) -> tf.keras.Model:
    """TFF's character recognition on EMNIST: `cnn_dropout`, `cnn`, or `2nn`.

    For images (28, 28, 1) of 10 digits or 62 characters, such as the data set `emnist`.

    Source: S. Reddi et al., Adaptive Federated Optimization, arXiv:2003.00295 (cnn_dropout);
    H. B. McMahan et al., AISTATS 2017, arXiv:1602.05629 (cnn, 2nn);
    `tff.simulation.baselines.emnist`.

    Raises:
        ModelError: the data has another shape, or another number of labels.
    """
    if shape.input_shape != (28, 28, 1) or shape.num_classes not in (10, 62):
        raise ModelError(
            "tff_emnist takes images (28, 28, 1) with 10 or 62 labels, not "
            f"{shape.input_shape} with {shape.num_classes}"
        )
    networks = internals.emnist_models()
    create = {
        "cnn_dropout": networks.create_conv_dropout_model,
        "cnn": networks.create_original_fedavg_cnn_model,
        "2nn": networks.create_two_hidden_layer_model,
    }[model]
    return create(only_digits=shape.num_classes == 10)


@models("tff_cifar100")
def tff_cifar100(
    shape: Shape, *, model: Resnet = "resnet18", outputs: Probabilities = "probabilities"
) -> tf.keras.Model:
    """TFF's image classification on CIFAR-100: residual networks with group normalization.

    For images (height, width, channels), such as the data set `cifar100` with `preprocessing: tff`.

    Source: S. Reddi et al., Adaptive Federated Optimization, arXiv:2003.00295;
    `tff.simulation.baselines.cifar100`.

    Raises:
        ModelError: the data are not images.
    """
    size = _image_size(shape, "tff_cifar100")
    create = getattr(internals.resnet_models(), f"create_{model}")
    return create(input_shape=size, num_classes=shape.num_classes)


@models("tff_landmark")
def tff_landmark(shape: Shape, *, outputs: Probabilities = "probabilities") -> tf.keras.Model:
    """TFF's landmark classification: MobileNetV2 with group normalization, 8 groups.

    For images (height, width, channels), such as the data set `gldv2`; 4,821,740 parameters for
    TFF's task, images (128, 128, 3) of 2,028 landmarks.

    Source: M. Sandler et al., MobileNetV2, CVPR 2018, arXiv:1801.04381; T.-M. H. Hsu et al.,
    Federated Visual Classification with Real-World Data Distribution, ECCV 2020, arXiv:2003.08082;
    `tff.simulation.baselines.landmark`.

    Raises:
        ModelError: the data are not images.
    """
    size = _image_size(shape, "tff_landmark")
    return internals.mobilenet_v2().create_mobilenet_v2(
        input_shape=size, num_groups=8, num_classes=shape.num_classes
    )


@models("tff_shakespeare")
def tff_shakespeare(shape: Shape) -> tf.keras.Model:
    """TFF's next-character prediction on Shakespeare: two LSTM layers of 256 units.

    For the data set `shakespeare`, or other ids (length,) with a label for each position.

    Source: H. B. McMahan et al., AISTATS 2017, arXiv:1602.05629;
    `tff.simulation.baselines.shakespeare`.

    Raises:
        ModelError: the data does not have a label for each position.
    """
    _check_rows(shape, "tokens", "tff_shakespeare")
    return internals.shakespeare_models().create_recurrent_model(
        shape.num_classes, shape.input_shape[0]
    )


@models("tff_stackoverflow_words")
def tff_stackoverflow_words(shape: Shape) -> tf.keras.Model:
    """TFF's next-word prediction on Stack Overflow: an LSTM layer of 670 units.

    For the data set `stackoverflow` with `predict: words`, or other ids (length,) with a label for
    each position.

    Source: S. Reddi et al., Adaptive Federated Optimization, arXiv:2003.00295;
    `tff.simulation.baselines.stackoverflow`.

    Raises:
        ModelError: the data does not have a label for each position.
    """
    _check_rows(shape, "tokens", "tff_stackoverflow_words")
    return internals.stackoverflow_word_models().create_recurrent_model(
        vocab_size=shape.num_classes
    )


@models("tff_stackoverflow_tags")
def tff_stackoverflow_tags(
    shape: Shape, *, outputs: Probabilities = "probabilities"
) -> tf.keras.Model:
    """TFF's tag prediction on Stack Overflow: logistic regression.

    For the data set `stackoverflow`, or other features (n,) with tags.

    Source: S. Reddi et al., Adaptive Federated Optimization, arXiv:2003.00295;
    `tff.simulation.baselines.stackoverflow`.

    Raises:
        ModelError: the data has no tags.
    """
    _check_rows(shape, "tags", "tff_stackoverflow_tags")
    return internals.stackoverflow_tag_model(shape.input_shape[0], shape.num_classes)


def _image_size(shape: Shape, name: str) -> tuple[int, int, int]:
    if len(shape.input_shape) != 3 or shape.kind != "label":
        raise ModelError(
            f"{name} takes images (height, width, channels) with one label, not "
            f"{shape.input_shape} with the task {shape.kind}"
        )
    height, width, channels = shape.input_shape
    return height, width, channels


def _check_rows(shape: Shape, kind: str, name: str) -> None:
    if shape.kind != kind or len(shape.input_shape) != 1:
        raise ModelError(
            f"{name} takes rows (n,) with the task {kind}, not {shape.input_shape} with the task "
            f"{shape.kind}"
        )
