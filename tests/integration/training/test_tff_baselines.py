"""TFF's baseline tasks: their synthetic clients, and their models in our training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_federated import run
from pytest_federated.core.errors import ModelError
from pytest_federated.data.datasets.dataset import Cache, datasets
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.models.model import Shape, build, models

TASKS = [
    ("emnist_character", {"kind": "tff_emnist", "model": "2nn"}, (28, 28, 1), 62, "label"),
    ("cifar100_image", {"kind": "tff_cifar100"}, (24, 24, 3), 100, "label"),
    ("shakespeare_character", {"kind": "tff_shakespeare"}, (80,), 90, "tokens"),
    ("stackoverflow_word", {"kind": "tff_stackoverflow_words"}, (20,), None, "tokens"),
    ("stackoverflow_tag", {"kind": "tff_stackoverflow_tags"}, None, 20, "tags"),
    pytest.param(
        *("landmark", {"kind": "tff_landmark"}, (128, 128, 3), 2028, "label"),
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("task", "model", "shape", "classes", "kind"), TASKS)
def test_clients_and_models_of_a_task_fit(
    tff: Any, task: str, model: Any, shape: Any, classes: Any, kind: str
) -> None:
    import tensorflow as tf

    dataset = datasets["tff_synthetic"].function(Cache(Path("unused")), task=task)
    loaded = dataset.load(None)
    assert dataset.task == kind
    assert len(dataset.natural) >= (1 if task == "landmark" else 2)
    assert dataset.num_classes == (classes or dataset.num_classes)
    assert loaded.train.x.shape[1:] == (shape or loaded.train.x.shape[1:])
    assert loaded.test is not None and len(loaded.test) > 0
    labels = loaded.train.y.shape[1:]
    shape = Shape(loaded.train.x.shape[1:], dataset.num_classes, dataset.task, labels)
    keras = build(models.parse(model), shape)
    outputs = keras(loaded.test.x[:1]).numpy()
    assert outputs.shape == (1, *shape.output_shape)
    if "outputs" in models[model["kind"]].keywords:  # they are probabilities
        assert (outputs >= 0).all() and (outputs <= 1).all()
        if kind == "label":
            np.testing.assert_allclose(outputs.sum(axis=-1), 1, rtol=1e-5)
    else:
        assert (outputs < 0).any()
    tf.keras.backend.clear_session()


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("tff_emnist", Shape((28, 28, 1), 11)),
        ("tff_cifar100", Shape((28, 28), 10)),
        ("tff_landmark", Shape((80,), 10)),
        ("tff_shakespeare", Shape((80,), 90)),
        ("tff_stackoverflow_words", Shape((20,), 90, "tags", (90,))),
        ("tff_stackoverflow_tags", Shape((20,), 90)),
    ],
)
def test_models_of_tff_refuse_other_data(tff: Any, kind: str, shape: Shape) -> None:
    with pytest.raises(ModelError, match=f"{kind} takes "):
        build(models.parse(kind), shape)


def test_landmarks_are_cropped_at_random_only_in_training(tff: Any) -> None:
    loaded = datasets["tff_synthetic"].function(Cache(Path("unused")), task="landmark").load(None)
    train, test = loaded.train, loaded.test
    assert test is not None
    np.testing.assert_allclose(train.x[:], test.x, atol=1e-6)  # the latter is TFF's own
    everything = np.arange(len(train))
    one, other, same = (train.take(everything, np.random.default_rng(seed)).x for seed in (0, 1, 0))
    assert (one.shape, one.dtype) == (test.x.shape, test.x.dtype)
    assert (one.min(), one.max()) == (test.x.min(), test.x.max())  # all gray levels occur
    np.testing.assert_array_equal(one, same)
    assert not (one == other).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize(("task", "model"), [TASKS[0][:2], TASKS[4][:2]])
def test_a_task_can_be_trained(worker: None, task: str, model: Any) -> None:
    scenario = Scenario.model_validate({
        "name": "task", "data": {"dataset": {"kind": "tff_synthetic", "task": task}},
        "clients": {"split": "natural"}, "model": model,
        "training": {"rounds": 3, "local_epochs": 5},
    })  # fmt: skip
    losses = [r.loss for r in run(scenario).histories[0].rounds]
    assert losses[0] is not None and losses[-1] is not None
    assert losses[-1] < losses[0]
