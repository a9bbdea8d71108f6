"""Feature skew and concept shift: by client, the same in every round, computed when needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from example_data import NO_CACHE
from example_results import example_scenario
from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.heterogeneity import measure
from pytest_federated.data.schema import Data
from pytest_federated.data.shifts.features import rotation
from pytest_federated.data.shifts.shift import apply, shifts
from pytest_federated.registry.choice import choices_in

COUNT = 8
ALL: dict[str, dict[str, Any]] = {
    "noise": {"level": 0.5},
    "rotation": {"angles": [0.0, 30.0]},
    "contrast": {"lowest": 0.2},
    "label_permutation": {"clusters": 4},
    "label_noise": {"rate": 0.4, "share": 0.5},
}


def made(*shift: Any, seed: int = 0, count: int = COUNT, **more: Any) -> FederatedData:
    clients = Clients.model_validate({"count": count, "shift": list(shift)})
    data = Data.model_validate({"dataset": "digits", **more})
    return federate(data, clients, seed, NO_CACHE)


def choice(name: str) -> dict[str, Any]:
    return {"kind": name, **ALL[name]}


def test_every_shift_is_tried() -> None:
    assert set(ALL) == set(shifts.names())


@pytest.mark.parametrize("name", ALL)
def test_a_client_sees_the_same_in_every_round(name: str) -> None:
    data = made(choice(name))
    for client in (0, 5, COUNT - 1):
        own = data.examples(client)
        for number in (1, 2):
            seen = shuffled_examples(data, client, 0, number)
            order = np.lexsort((seen.y, *seen.x.reshape(len(seen), -1).T))
            known = np.lexsort((own.y, *own.x.reshape(len(own), -1).T))
            np.testing.assert_array_equal(seen.x[order], own.x[known])
            np.testing.assert_array_equal(seen.y[order], own.y[known])
        assert seen.x.dtype == np.float32 and seen.y.dtype == np.int32
    again = made(choice(name))
    np.testing.assert_array_equal(data.examples(5).x, again.examples(5).x)
    np.testing.assert_array_equal(data.examples(5).y, again.examples(5).y)


@pytest.mark.parametrize("name", ALL)
def test_a_shift_changes_nothing_else(name: str) -> None:
    """Neither the split nor the shared test set nor the other part of an example."""
    plain, shifted = made(), made(choice(name))
    np.testing.assert_array_equal(plain.test.x, shifted.test.x)
    np.testing.assert_array_equal(plain.test.y, shifted.test.y)
    part = "x" if shifts[name].spec.of == "labels" else "y"
    for client in range(COUNT):
        np.testing.assert_array_equal(plain.clients[client], shifted.clients[client])
        one, two = plain.examples(client), shifted.examples(client)
        np.testing.assert_array_equal(getattr(one, part), getattr(two, part))


def test_a_shift_does_not_change_the_order_of_rows() -> None:
    data = made()
    seen = shuffled_examples(data, 2, 0, 1)
    own = shuffled_examples(made({"kind": "rotation", "angles": [0.0]}), 2, 0, 1)
    np.testing.assert_array_equal(seen.x, own.x)
    np.testing.assert_array_equal(seen.y, own.y)


@pytest.mark.parametrize("name", ["noise", "label_noise"])
def test_another_seed_gives_other_noise(name: str) -> None:
    keys = {**choice(name), **({"share": 1.0} if name == "label_noise" else {})}
    chosen = [shifts.parse(keys)]
    of: Any = shifts[name].spec.of
    values = np.ones((200, 2), np.float32) if of == "features" else np.zeros(200, np.int32)
    drawn = {apply(chosen, of, values, 1, 4, 10, seed).tobytes() for seed in range(10)}
    assert len(drawn) == 10
    # Two clients differ too, and so do a client's training, validation and test examples.
    drawn |= {apply(chosen, of, values, client, 4, 10, 0).tobytes() for client in range(4)}
    drawn |= {apply(chosen, of, values, 1, 4, 10, 0, part).tobytes() for part in range(3)}
    assert len(drawn) == 10 + 3 + 2


def test_noise_grows_from_client_to_client() -> None:
    plain, noisy = made(), made({"kind": "noise", "level": 0.5})
    for client in range(COUNT):
        added = noisy.examples(client).x - plain.examples(client).x
        variance = 0.5 * (client + 1) / COUNT
        assert added.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / added.size))
        assert abs(added.mean()) < 5 * np.sqrt(variance / added.size)


def test_noise_as_published_is_a_deviation_from_zero() -> None:
    """NIID-Bench, experiments.py: args.noise / (args.n_parties - 1) * net_id."""
    plain, noisy = made(), made({"kind": "noise", "level": 0.5, "as_published": True})
    for client in range(COUNT):
        added = noisy.examples(client).x - plain.examples(client).x
        deviation = 0.5 / (COUNT - 1) * client
        assert added.std() == pytest.approx(deviation, rel=5 * np.sqrt(0.5 / added.size))


def test_the_same_shift_twice_draws_twice() -> None:
    once = made({"kind": "noise", "level": 0.5}).examples(7).x
    twice = made(*[{"kind": "noise", "level": 0.5}] * 2).examples(7).x
    first = once - made().examples(7).x
    second = twice - once
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


def test_clients_are_rotated_in_turn() -> None:
    plain, turned = made(), made("rotation")
    for client in range(COUNT):
        x = plain.examples(client).x
        np.testing.assert_array_equal(
            turned.examples(client).x, np.rot90(x, client % 4, axes=(1, 2))
        )


@pytest.mark.parametrize("angle", [90.0, 180.0, 270.0, -90.0, 450.0])
def test_interpolated_turns_meet_the_exact_ones(angle: float) -> None:
    """An image turned by almost a right angle is almost the exactly turned one."""
    x = np.random.default_rng(0).random((3, 9, 9, 1)).astype(np.float32)
    near: Any = rotation(x, _holder(), np.random.default_rng(0), angles=[angle + 1e-4])
    exact = rotation(x, _holder(), np.random.default_rng(0), angles=[angle])
    np.testing.assert_allclose(near, exact, atol=1e-3)


def test_oblong_images_keep_their_shape() -> None:
    x = np.random.default_rng(0).random((3, 6, 9, 2)).astype(np.float32)
    for angle in (0.0, 45.0, 90.0, 180.0):
        assert rotation(x, _holder(), np.random.default_rng(0), angles=[angle]).shape == x.shape


def _holder() -> Any:
    from pytest_federated.data.shifts.shift import Holder

    return Holder(0, 1, 10, lambda: np.random.default_rng(0))


def test_contrast_fades_from_client_to_client() -> None:
    plain, faded = made(), made({"kind": "contrast", "lowest": 0.2})
    for client in range(COUNT):
        one, two = plain.examples(client).x, faded.examples(client).x
        np.testing.assert_allclose(one.mean((1, 2)), two.mean((1, 2)), atol=1e-5)
        ratio = two.std((1, 2)) / one.std((1, 2))
        np.testing.assert_allclose(ratio, 1 - 0.8 * client / (COUNT - 1), atol=1e-4)


def test_each_cluster_has_its_own_permutation() -> None:
    plain, swapped = made(), made({"kind": "label_permutation", "clusters": 4})
    found = []
    for client in range(COUNT):
        before, after = plain.examples(client).y, swapped.examples(client).y
        table = {int(b): int(a) for b, a in zip(before, after)}
        assert all(table[int(b)] == a for b, a in zip(before, after))
        assert sorted(table.values()) == list(range(10))
        found.append(tuple(table[label] for label in range(10)))
    assert found[:4] == found[4:]  # clients 0 and 4, 1 and 5, ... share a cluster
    assert len(set(found)) == 4
    assert found[0] == tuple(range(10))


def test_labels_of_some_clients_are_noisy_at_the_rate() -> None:
    plain, noisy = made(), made({"kind": "label_noise", "rate": 0.4, "share": 0.5})
    rates = np.array([(plain.examples(c).y != noisy.examples(c).y).mean() for c in range(COUNT)])
    assert (rates == 0).sum() == COUNT // 2
    hit = rates[rates > 0]
    assert np.abs(hit - 0.4).max() < 5 * np.sqrt(0.24 / plain.sizes.min())


def test_a_rate_of_one_leaves_no_label_right() -> None:
    plain, noisy = made(), made({"kind": "label_noise", "rate": 1.0})
    wrong = np.concatenate([noisy.examples(c).y for c in range(COUNT)])
    right = np.concatenate([plain.examples(c).y for c in range(COUNT)])
    assert (wrong != right).all()
    assert np.bincount(wrong, minlength=10).min() > 100  # of 144 each


def test_figures_count_the_shifted_labels() -> None:
    data = made({"kind": "label_noise", "rate": 1.0})
    counted = np.stack([np.bincount(data.examples(c).y, minlength=10) for c in range(COUNT)])
    np.testing.assert_array_equal(data.label_counts, counted)
    # Noise makes the labels of skewed clients more alike.
    split = {"kind": "labels_per_client", "labels": 2}
    found = []
    for shift in ([], [{"kind": "label_noise", "rate": 0.9}]):
        clients = Clients.model_validate({"count": COUNT, "split": split, "shift": shift})
        one = federate(Data.model_validate({"dataset": "digits"}), clients, 0, NO_CACHE)
        found.append(measure(one.label_counts).jensen_shannon)
    assert found[1] < found[0] - 0.1


def test_a_shift_that_does_not_fit_the_data_is_refused() -> None:
    x = np.zeros((3, 4), np.float32)
    with pytest.raises(DataError, match=r"rotation needs images .* float32 \(4,\)"):
        apply([shifts.parse("rotation")], "features", x, 0, 2, 10, 0)
    words = np.zeros((3, 4), np.int32)
    with pytest.raises(DataError, match="real numbers, not int32"):
        apply([shifts.parse({"kind": "noise", "level": 1})], "features", words, 0, 2, 10, 0)


def test_a_shift_of_the_user_must_keep_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "_entries", shifts.entries())

    @shifts("cut", of="features")
    def cut(x: np.ndarray, holder: Any, rng: np.random.Generator) -> np.ndarray:
        return x[:, 1:]

    with pytest.raises(DataError, match="it must keep their shape"):
        made("cut").examples(0)


def test_held_out_examples_of_a_client_are_shifted_too() -> None:
    data = made({"kind": "contrast", "lowest": 0.2}, holdout="per_client", validation_fraction=0.2)
    for examples, positions in [
        (data.test_examples(COUNT - 1), data.client_test[COUNT - 1]),
        (data.validation_examples(COUNT - 1), data.client_validation[COUNT - 1]),
    ]:
        plain = data.train.take(positions)
        np.testing.assert_allclose(examples.x.std((1, 2)), 0.2 * plain.x.std((1, 2)), atol=1e-4)
        np.testing.assert_array_equal(examples.y, plain.y)


def test_all_choices_of_a_scenario_are_found() -> None:
    """Also in lists and inside other choices: a cached training depends on all of them."""
    scenario = example_scenario(
        clients={
            "count": 14,
            "split": {"kind": "inner", "split": "shards"},
            "shift": ["rotation", {"kind": "noise", "level": 1}],
        }
    )
    found = [(registry.what, registry.entry(one).name) for registry, one in choices_in(scenario)]
    assert found == [
        ("data set", "digits"),
        ("split", "inner"),
        ("split", "shards"),
        ("shift", "rotation"),
        ("shift", "noise"),
        ("sampling", "uniform"),
        ("model", "mlp"),
        ("algorithm", "fedavg"),
        ("aggregator", "mean"),
        ("optimizer", "sgd"),
        ("optimizer", "sgd"),
    ]
