"""Models by name: each function builds a fresh, uncompiled Keras 2 model, or one of TFF's.

A model function takes the `Shape` of the data and its keys from the scenario file. Its
``outputs`` key says whether a Keras model ends in logits or in probabilities.
"""

from harness.training.models.base import Shape, build, models, named
from harness.training.models.baselines import cnn_dropout, cnn_mcmahan
from harness.training.models.cnn import cnn
from harness.training.models.functional import functional
from harness.training.models.keras import keras
from harness.training.models.linear import linear
from harness.training.models.lstm import lstm
from harness.training.models.mlp import mlp
from harness.training.models.resnet import resnet18_gn
from harness.training.models.tff_baselines import (
    tff_cifar100,
    tff_emnist,
    tff_landmark,
    tff_shakespeare,
    tff_stackoverflow_tags,
    tff_stackoverflow_words,
)
from harness.training.models.tutorial import tutorial
from harness.training.models.variable import variable

__all__ = [
    "Shape",
    "build",
    "cnn",
    "cnn_dropout",
    "cnn_mcmahan",
    "functional",
    "keras",
    "linear",
    "lstm",
    "mlp",
    "models",
    "named",
    "resnet18_gn",
    "tff_cifar100",
    "tff_emnist",
    "tff_landmark",
    "tff_shakespeare",
    "tff_stackoverflow_tags",
    "tff_stackoverflow_words",
    "tutorial",
    "variable",
]
