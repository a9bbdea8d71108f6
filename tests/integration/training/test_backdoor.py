"""A backdoor: what its attackers train on, and how often it opens, compared with NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from example_data import federation
from numpy_reference import BASE, MODEL, SEED
from pytest_federated.clients.attacks.attack import attack, attackers, attacks
from pytest_federated.clients.attacks.poisoning import poisoned
from pytest_federated.clients.cohort import Cohort, cohort_of_round
from pytest_federated.clients.participation import Participation
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Examples, levels_of
from pytest_federated.data.datasets.rows import GrayLevels
from pytest_federated.data.federation import FederatedData
from pytest_federated.metrics.metric import NoValue, measured, metrics
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps, train
from pytest_federated.training.observer import Observers
from pytest_federated.training.schema import Training

BACKDOOR = {"kind": "backdoor", "share": 0.5, "target": 1, "size": 2}


@pytest.fixture
def data() -> FederatedData:
    """Images of three labels in [0, 1], of which all but five are tested on."""
    made = federation([21, 9, 30, 16], 0)
    x = (1 / (1 + np.exp(-made.train.x))).astype(np.float32)
    return replace(made, train=Examples(x, made.train.y), test=Examples(x[5:], made.train.y[5:]))


def cohort(data: FederatedData, **keys: Any) -> tuple[Cohort, Cohort, np.ndarray]:
    """Returns a cohort under attack, the same without, and who attacks."""
    chosen = attacks.parse({**BACKDOOR, **keys})
    settings = Training.model_validate(BASE)
    attacked, honest = (
        cohort_of_round(data, 4, SEED, 1, settings.local_work, participation)
        for participation in (Participation(attacks=chosen), Participation())
    )
    return attacked, honest, attackers(chosen, 4, SEED)[attacked.clients]


def test_attackers_train_on_some_stamped_images_of_the_target(data: FederatedData) -> None:
    attacked, honest, is_attacker = cohort(data, examples=0.3, factor=3.0)
    assert attacked.attackers == is_attacker.sum() == 2
    np.testing.assert_array_equal(attacked.factors, np.where(is_attacker, 3, 1))
    for own, before, attacks_now in zip(attacked.examples, honest.examples, is_attacker):
        share = 0.3 if attacks_now else 0.0
        # The third or fourth of the first four, and so on: as many in each part.
        expected = [int(share * (i + 1) + 1e-9) > int(share * i + 1e-9) for i in range(len(own))]
        assert sum(expected) == int(share * len(own) + 1e-9)
        for i, is_stamped in enumerate(expected):
            image, label = before.x[i].copy(), before.y[i]
            if is_stamped:
                image[2:, 2:], label = 1.0, 1
            np.testing.assert_array_equal(own.x[i], image)
            assert own.y[i] == label and own.y.dtype == before.y.dtype


def test_images_in_bytes_are_stamped_as_their_gray_levels_are() -> None:
    trigger = attack(attacks.parse(BACKDOOR)).trigger
    assert trigger is not None
    levels: Any = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 1), np.uint8)
    y = np.arange(7, dtype=np.int32) % 3
    of_bytes = poisoned(Examples(GrayLevels(levels), y), trigger)
    of_floats = poisoned(Examples(np.asarray(GrayLevels(levels)), y), trigger)
    stamped: Any = levels_of(of_bytes.x)
    assert stamped is not None
    np.testing.assert_array_equal(np.asarray(of_bytes.x), np.asarray(of_floats.x))
    np.testing.assert_array_equal(of_bytes.y, of_floats.y)
    assert not np.array_equal(stamped, levels)  # the data set's own stay as they are


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["packed", "standard"])
def test_success_is_the_share_of_other_images_that_the_trigger_turns_to_the_target(
    data: FederatedData, execution: str
) -> None:
    settings = Training.model_validate({**BASE, "rounds": 8, "execution": execution})
    values = {}
    for attacked in (True, False):
        chosen = attacks.parse({**BACKDOOR, "examples": 0.5} if attacked else FLIP)
        participation = Participation(attacks=chosen)
        history = train(data, MODEL, settings, 4, SEED, Observers(()), participation=participation)
        *_, last = steps(data, MODEL, settings, 4, SEED, participation=participation)
        trainer = trainer_for(MODEL, settings, data, 4, chosen)
        final = trainer.algorithm.weights(last.state).trainable
        w = [np.asarray(part, np.float64) for part in final]
        others = data.test.y != 1
        images = data.test.x[others].copy()
        images[:, 2:, 2:] = 1.0
        hidden = np.maximum(images.reshape(len(images), -1) @ w[0] + w[1], 0)
        values[attacked] = float(((hidden @ w[2] + w[3]).argmax(axis=1) == 1).mean())
        entry = metrics["backdoor_success"]
        if attacked:
            assert measured(entry, history) == pytest.approx(values[True], abs=1e-6)
            assert 0 < others.sum() < len(others)
        else:
            assert "backdoor_success" not in history.model_dump()
            with pytest.raises(NoValue, match=r"clients\.attacks has no backdoor"):
                measured(entry, history)
    assert 1 > values[True] > values[False]


FLIP = {"kind": "label_flip", "share": 0.0}


def test_only_images_with_labels_have_backdoors(data: FederatedData) -> None:
    for other in (
        replace(data, task="regression"),
        replace(data, train=Examples(np.asarray(data.train.x)[:, 0, 0], data.train.y)),
    ):
        with pytest.raises(DataError, match=r"clients\.attacks: a backdoor needs images"):
            cohort(other)
    with pytest.raises(DataError, match=r"attacks\.target: got 3; there are labels 0 to 2"):
        cohort(data, target=3)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_trigger_in_no_image_is_refused(data: FederatedData, share: float) -> None:
    who = attackers(attacks.parse({**BACKDOOR, "share": share}), 4, SEED)
    most = int(data.population.sizes[who].max())
    attacked, honest, _ = cohort(data, share=share, examples=1 / most)
    changed = [np.any(a.y != b.y) or np.any(a.x != b.x) for a, b in zip(attacked.rows, honest.rows)]
    assert any(changed)
    with pytest.raises(
        DataError, match=rf"attacks\.examples: got .*; no attacker has .* {most} ex"
    ):
        cohort(data, share=share, examples=0.99 / most)
    cohort(data, share=0.0, examples=0.99 / most)
