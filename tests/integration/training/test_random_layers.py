"""Layers that draw random numbers: new ones in each step, epoch and round, from the seed alone."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from example_data import federation
from pytest_federated.clients.cohort import layer_keys
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.model import Shape, build, models
from pytest_federated.training.models.random_layers import drawing_from
from pytest_federated.training.schema import Training

RATE = 0.1
# Of RANDOM_OF_IMAGES and RANDOM_OF_ROWS in zoo.py, which only tests with TensorFlow may import.
RANDOM_LAYERS = [
    "Dropout, subclassed",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "RandomFlip",
    "RandomRotation",
    "RandomBrightness",
    "RandomCrop",
    "LSTM",
    "GRU",
    "Attention",
    "MultiHeadAttention",
]


def section(function: str, **args: Any) -> Any:
    return models.parse({"keras": f"zoo:{function}", "args": args})


def settings(
    execution: str = "auto", algorithm: Any = "fedavg", epochs: int = 1, rounds: int = 1
) -> Training:
    written = {
        "rounds": rounds,
        "execution": execution,
        "algorithm": algorithm,
        "batch_size": 4,
        "client_optimizer": {"kind": "sgd", "learning_rate": RATE},
    }
    epochs_key = {} if algorithm == "fedsgd" else {"local_epochs": epochs}
    return Training.model_validate({**written, **epochs_key})


def weights_by_round(data: Any, model: Any, training: Training, seed: int = 0) -> list[Any]:
    """All weights after each round, the initial ones first."""
    trainer = trainer_for(model, training, data)
    states = [trainer.initial_state(seed, data)]
    states += [s.state for s in steps(data, model, training, len(data.clients), seed)]
    return [
        np.concatenate([np.asarray(w).ravel() for w in trainer.algorithm.weights(s).trainable])
        for s in states
    ]


def kept(data: Any, training: Training, seed: int = 0) -> list[np.ndarray]:
    """Which of its 16 inputs the model `masked` did not drop, in each round; bool (16,) each."""
    after = weights_by_round(data, section("masked"), training, seed)
    return [np.abs((b - a).reshape(16, 3)).max(axis=1) > 1e-7 for a, b in zip(after, after[1:])]


ALGORITHMS = [
    ("fedavg", "packed"),
    ("fedavg", "standard"),
    pytest.param("fedsgd", "standard", marks=pytest.mark.slow),
    pytest.param("scaffold", "standard", marks=pytest.mark.slow),
    pytest.param("mime_lite", "standard", marks=pytest.mark.slow),
    pytest.param("mime_lite", "packed", marks=pytest.mark.slow),
    pytest.param("mime", "standard", marks=pytest.mark.slow),
    pytest.param("mime", "packed", marks=pytest.mark.slow),
    pytest.param("centralized", "standard", marks=pytest.mark.slow),
]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("algorithm", "execution"), ALGORITHMS)
def test_each_round_drops_other_units(algorithm: str, execution: str) -> None:
    data = federation([1], 0)
    training = settings(execution, algorithm, rounds=3)
    masks = kept(data, training)
    assert all(0 < mask.sum() < 16 for mask in masks)
    assert len({mask.tobytes() for mask in masks}) == 3
    again, other = kept(data, training), kept(data, training, seed=1)
    np.testing.assert_array_equal(masks, again)
    assert not np.array_equal(masks, other)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["packed", "standard"])
def test_each_local_epoch_drops_other_units(execution: str) -> None:
    data = federation([1], 0)
    (once,), (twice,) = (kept(data, settings(execution, epochs=n)) for n in (1, 2))
    assert twice[once].all()  # the first epoch is the same
    assert twice.sum() > once.sum()


@pytest.mark.usefixtures("running")
def test_clients_of_one_round_drop_different_units() -> None:
    one, two = (kept(federation([1, n], 0), settings("packed"))[0] for n in (0, 1))
    assert two[one].all() and two.sum() > one.sum()


@pytest.mark.usefixtures("tff")
def test_all_random_layers_of_the_zoo_are_tried() -> None:
    zoo = importlib.import_module("zoo")
    assert {*RANDOM_LAYERS} == {*zoo.RANDOM_OF_IMAGES, *zoo.RANDOM_OF_ROWS}


@pytest.mark.usefixtures("tff")
def test_dropout_drops_its_share_and_scales_the_rest() -> None:
    import tensorflow as tf

    model = build(section("operators_with_dropout"), Shape((4, 4, 1), 3))
    (layer,) = (one for one in model.layers if isinstance(one, tf.keras.layers.Dropout))
    x = tf.ones((200, 30))
    with drawing_from([1, 2]):
        dropped = layer(x, training=True).numpy()
    assert abs((dropped == 0).mean() - 0.3) < 0.03
    np.testing.assert_allclose(dropped[dropped != 0], 1 / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(layer(x, training=False), x)


@pytest.mark.slow
@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("layer", RANDOM_LAYERS)
def test_a_random_layer_draws_the_same_packed_and_standard(
    layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = federation([9, 5], 0), section("random", layer=layer)
    trained = [weights_by_round(data, model, settings(how))[-1] for how in ("auto", "standard")]
    np.testing.assert_allclose(*trained, rtol=0, atol=5e-6)
    again = weights_by_round(data, model, settings("auto"))[-1]
    np.testing.assert_array_equal(trained[0], again)
    monkeypatch.setattr(
        "pytest_federated.clients.cohort.layer_keys",
        lambda clients, seed, number: layer_keys(clients, seed + 1, number),
    )
    with_other_keys = weights_by_round(data, model, settings("auto"))[-1]
    assert not np.array_equal(trained[0], with_other_keys)


@pytest.mark.slow
@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    "algorithm",
    [
        "local_only",
        {"kind": "fed_recon", "local_layers": [], "split_dataset": False},
        {"kind": "fed_recon", "local_layers": "last"},
        {"kind": "fedavg", "weighting": "num_batches"},
        {"kind": "fedavg", "weighting": "examples_held"},
    ],
    ids=str,
)
def test_trainings_with_dropout_are_reproducible(algorithm: Any) -> None:
    data, model = federation([9, 5], 0), section("operators_with_dropout")
    training = settings("standard", algorithm, epochs=2, rounds=2)
    histories = [train(data, model, training, 2, 0) for _ in range(2)]
    assert histories[0].model_dump(mode="json") == histories[1].model_dump(mode="json")


def test_keys_of_clients_differ_in_a_round_and_between_rounds() -> None:
    clients = np.arange(10_000)
    one, two = (layer_keys(clients, 0, number) for number in (1, 2))
    assert one.dtype == np.int32 and one.min() >= 0
    assert len(set(one.tolist())) == len(clients)
    assert not (one == two).any()
    np.testing.assert_array_equal(layer_keys(clients[5:7], 0, 1), one[5:7])
