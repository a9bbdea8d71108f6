"""The table of Keras models in docs/models.md: what becomes of the models of zoo.py.

docs/make_models.py writes it, and test_model_zoo.py builds each model and compares.
"""

from __future__ import annotations

import re
from typing import Any

from example_data import federation
from pytest_federated.core.errors import ModelError
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

# A model's name in the table: its function in zoo.py, and the arguments of that.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "functional, with `+`, `tf.nn.relu`, nested models and a layer that is called twice": (
        "operators",
        {},
    ),
    "functional, with slices and `/`": ("divided", {}),
    "`Sequential` without an input shape": ("deferred", {}),
    "a subclass of `Model`": ("subclassed", {}),
    "layers of one's own: `add_weight`, `tf.Variable`, layers made in `call`, Python's `if`": (
        "own",
        {},
    ),
    "a layer of one's own that makes its weights in another order than it uses them": (
        "own_backwards",
        {},
    ),
    "a layer of one's own with `tf.debugging.assert_less`": ("checking", {}),
    "`Conv1D`, `SeparableConv2D`, pooling, `GroupNormalization`, `LayerNormalization`": (
        "convolutions",
        {},
    ),
    "`LSTM` and `GRU`": ("recurrent", {}),
    "`Embedding`": ("embedded", {}),
    "`Attention` and `MultiHeadAttention`": ("attention", {}),
    "`Dropout`": ("operators_with_dropout", {}),
    "`GaussianNoise`": ("random", {"layer": "GaussianNoise"}),
    "`AlphaDropout`": ("random", {"layer": "AlphaDropout"}),
    "`SpatialDropout2D`": ("random", {"layer": "SpatialDropout2D"}),
    "`RandomFlip`": ("random", {"layer": "RandomFlip"}),
    "`RandomRotation`": ("random", {"layer": "RandomRotation"}),
    "`RandomCrop`": ("random", {"layer": "RandomCrop"}),
    "`LSTM` with `dropout`": ("random", {"layer": "LSTM"}),
    "`GRU` with `recurrent_dropout`": ("random", {"layer": "GRU"}),
    "`MultiHeadAttention` with `dropout`": ("random", {"layer": "MultiHeadAttention"}),
    "layers that are frozen, between others": ("frozen", {}),
    "a frozen base with batch normalization, in a model of its own": ("pretrained", {}),
    "frozen batch normalization, `Normalization`, a constraint, outputs of float64": (
        "normalizations",
        {},
    ),
    "float64 layers": ("double", {}),
    "mixed precision": ("mixed", {}),
    "`kernel_regularizer`": ("regularized", {}),
    "compiled, with metrics": ("compiled", {}),
    "a layer that is not used": ("unused", {}),
    "`MobileNetV2` of `keras.applications`, frozen": ("application", {"name": "MobileNetV2"}),
    "`VGG16` of `keras.applications`": ("application", {"name": "VGG16", "trainable": True}),
    "`MobileNet` of `keras.applications`, to be trained": (
        "application",
        {"name": "MobileNet", "trainable": True},
    ),
    "`BatchNormalization`": ("batch_normalization", {}),
    "`tf.compat.v1.keras.layers.BatchNormalization`": ("old_normalization", {"trainable": False}),
    "`tf.random.normal` in a layer": ("noisy", {"draw": "tensorflow"}),
    "`tf.nn.dropout` in a `Lambda`": ("noisy_function", {}),
    "`np.random.normal` in a layer": ("noisy", {"draw": "numpy"}),
    "`tf.numpy_function`": ("noisy", {"draw": "python"}),
    "`activity_regularizer`": ("active", {}),
    "a `Lambda` with weights": ("hidden_by_lambda", {}),
    "two outputs": ("two_outputs", {}),
    "the same model at each call": ("same", {}),
    "no weights": ("nothing", {}),
    "all layers frozen": ("all_frozen", {}),
}


def outcome(title: str) -> str:
    """Returns what becomes of a model: packed, or standard and why, or the line that it gets."""
    function, args = MODELS[title]
    model = models.parse({"keras": f"zoo:{function}", "args": args})
    training = Training.model_validate({"rounds": 1, "batch_size": 4})
    try:
        execution = str(trainer_for(model, training, federation([9, 5], 0)).execution)
    except ModelError as error:
        execution = f"refused: {str(error).removeprefix(f'model.keras: zoo:{function}: ')}"
    # Neither the place in zoo.py nor the number in a layer's name belongs into the docs.
    for place in (
        r" in line \d+ of .*?(?=; draw)",
        r" in line \d+ of [^)]*(?=\)+$)",
        r": \w+ in line .*$",
    ):
        execution = re.sub(place, "", execution)
    return re.sub(r"_\d+'", "'", execution).replace("|", r"\|")


def table() -> str:
    """Returns the table in Markdown."""
    rows = ["| model | execution, or why it is refused |", "|---|---|"]
    return "\n".join([*rows, *(f"| {title} | {outcome(title)} |" for title in MODELS)])
