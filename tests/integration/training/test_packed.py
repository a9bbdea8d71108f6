"""Packed execution gives the same results as TFF's own, and is chosen only where possible."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from example_data import federation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.clients.cohort import LocalWork
from pytest_federated.clients.dropout.dropout import dropouts
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.core.errors import ModelError
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.datasets.rows import GrayLevels, gray_levels
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.context import runtime, shutdown
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.engine.packed import stack_training
from pytest_federated.training.engine.process import Process
from pytest_federated.training.engine.stacks import deal, loop, stacks_of
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.levels import taking_levels
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training


def weights(
    data: FederatedData, execution: str, model: Any, cohort: int, **training: Any
) -> tuple[list[np.ndarray], Any]:
    """Returns the server's weights after the last round, and that round."""
    return weights_with(Participation(), data, execution, model, cohort, **training)


def weights_with(
    participation: Participation,
    data: FederatedData,
    execution: str,
    model: Any,
    cohort: int,
    **training: Any,
) -> tuple[list[np.ndarray], Any]:
    """Returns the same as `weights`, under these conditions."""
    settings = Training.model_validate({"rounds": 2, "execution": execution, **training})
    *_, last = steps(data, models.parse(model), settings, cohort, 1, participation=participation)
    trainer = trainer_for(models.parse(model), settings, data)
    assert trainer.execution.kind == execution
    after = trainer.algorithm.weights(last.state)
    return [np.asarray(w) for w in after.trainable], last.round


# Rates and an epsilon at which training does not amplify rounding. With learning rate 0.1 the cnn's
# weights grew to 900, and with Adam's epsilon of 1e-7 a gradient of 1e-8, which is only rounding,
# moved a weight by a tenth of the learning rate: 6 of 388 random cases differed by 1e-4 to 8e-3,
# too much for any tolerance. With these values, none of 365 differed by more than 2.4e-7.
STABLE_ADAM = {"kind": "adam", "learning_rate": 0.01, "epsilon": 1e-3}
STABLE_MOMENTUM = {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.9}
MOMENTUM = {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9}
YOGI = {"kind": "yogi", "learning_rate": 0.02}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("model", "more"),
    [
        ({"kind": "mlp", "hidden": [5]}, {}),
        ({"kind": "tutorial"}, {"client_optimizer": STABLE_ADAM}),
        ({"kind": "cnn", "filters": [3], "hidden": 4}, {"client_optimizer": STABLE_MOMENTUM}),
        ({"kind": "mlp", "hidden": []}, {"server_optimizer": YOGI}),
        ({"kind": "mlp", "hidden": [5]}, {"algorithm": {"kind": "fedavg", "weighting": "uniform"}}),
        ({"kind": "mlp", "hidden": [5]}, {"algorithm": {"kind": "fedprox", "mu": 0.7}}),
    ],
    ids=["sgd", "adam clients", "cnn with momentum", "yogi server", "uniform", "fedprox"],
)
def test_packed_equals_standard(model: dict[str, Any], more: dict[str, Any]) -> None:
    @settings(
        max_examples=8,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(
        sizes=st.lists(st.integers(1, 23), min_size=1, max_size=12),
        batch_size=st.integers(1, 25),
        local_epochs=st.integers(1, 3),
        share=st.floats(0.1, 1.0),
        seed=st.integers(0, 1000),
    )
    def holds(
        sizes: list[int], batch_size: int, local_epochs: int, share: float, seed: int
    ) -> None:
        data = federation(sizes, seed)
        cohort = max(1, round(share * len(sizes)))
        both = [
            weights(
                data,
                execution,
                model,
                cohort,
                batch_size=batch_size,
                local_epochs=local_epochs,
                **more,
            )
            for execution in ("standard", "packed")
        ]
        (standard, standard_round), (packed, packed_round) = both
        # Packed execution adds the clients' changes in another order, which rounds the largest
        # weight differently by a few ulps; the second round carries that into all others.
        largest = max(np.abs(a).max() for a in standard)
        tolerance = 5e-6 + 8 * np.spacing(largest)
        for a, b in zip(standard, packed):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
        assert standard_round.examples == packed_round.examples
        assert packed_round.train_loss == pytest.approx(standard_round.train_loss, abs=1e-4)
        # Accuracy is a count: rounding may change at most one example.
        tipped = abs(packed_round.train_accuracy - standard_round.train_accuracy)
        assert tipped * packed_round.examples < 1.5

    holds()


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["packed", "standard"])
def test_fedprox_without_its_term_is_fedavg(execution: str) -> None:
    data = federation([7, 2, 12], 0)
    model = {"kind": "mlp", "hidden": [5]}
    prox, _ = weights(data, execution, model, 3, algorithm={"kind": "fedprox", "mu": 0.0})
    plain, _ = weights(data, execution, model, 3, algorithm="fedavg")
    assert all(np.array_equal(a, b) for a, b in zip(prox, plain))


def of_levels(data: FederatedData) -> FederatedData:
    """Returns the same clients with pictures in bytes for features."""
    levels: Any = np.random.default_rng(2).integers(0, 256, data.train.x.shape, np.uint8)
    rows = GrayLevels(levels)
    return replace(data, train=Examples(rows, data.train.y), test=Examples(rows[:5], data.test.y))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("model", [{"kind": "mlp", "hidden": [5]}, {"kind": "cnn_dropout"}])
def test_bytes_train_as_their_gray_levels_do(model: dict[str, Any]) -> None:
    data = of_levels(federation([7, 3, 9], 0, (8, 8, 1)))
    as_floats = replace(data, train=Examples(np.asarray(data.train.x), data.train.y))
    more: dict[str, Any] = {"local_epochs": 2, "batch_size": 3}
    flips = Participation(attacks=attacks.parse({"kind": "label_flip", "share": 0.4}))
    results = [
        weights_with(flips, one, execution, model, 3, **more)[0]
        for one, execution in ((data, "packed"), (as_floats, "packed"), (data, "standard"))
    ]
    for packed, floats, standard in zip(*results):
        np.testing.assert_array_equal(packed, floats)
        np.testing.assert_allclose(packed, standard, atol=1e-5)


@pytest.mark.usefixtures("tff")
def test_a_graph_divides_each_byte_as_numpy_does() -> None:
    import tensorflow as tf
    import tensorflow_federated as tff

    @tf.function
    def same(weights: Any, x: Any, training: bool = True) -> Any:
        return x

    spec = {"x": tf.TensorSpec((None, 1)), "y": tf.TensorSpec((None,), tf.int32)}
    loss: Any = tf.keras.losses.mean_squared_error
    model: Any = tff.learning.models.FunctionalModel(
        initial_weights=((), ()), predict_on_batch_fn=same, loss_fn=loss, input_spec=spec
    )
    every = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    divided = taking_levels(model).predict_on_batch(((), ()), every, training=True)
    np.testing.assert_array_equal(divided, gray_levels(every))


STATEFUL = [
    {"kind": "scaffold"},
    pytest.param({"kind": "scaffold", "weighting": "examples"}, marks=pytest.mark.slow),
    {"kind": "feddyn", "alpha": 0.1},
    {"kind": "ditto", "penalty": 0.3},
    {"kind": "fednova"},
    {"kind": "q_fedavg", "q": 2.0},
    {"kind": "fedper", "weighting": "uniform"},
    pytest.param({"kind": "fedper", "head_epochs": 2}, marks=pytest.mark.slow),
    {"kind": "per_fedavg", "alpha": 0.5},
    {"kind": "mime"},
    {"kind": "afl", "lambda_rate": 0.1},
    {"kind": "ifca", "clusters": 2},
]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("algorithm", STATEFUL, ids=lambda a: "-".join(map(str, a.values())))
def test_what_server_and_clients_keep_is_the_same_in_both(algorithm: dict[str, Any]) -> None:
    """With stragglers, a part of the clients in each round, and one that is not finite."""
    import tree

    slow = Participation(stragglers=stragglers.parse({"kind": "steps", "share": 0.5}))
    data = federation([7, 2, 12, 30, 9, 21, 4, 16, 5, 8, 3, 11], 0)
    data.train.x[data.clients[4]] = np.inf
    model = models.parse({"kind": "mlp", "hidden": [5]})
    found = []
    for execution in ("standard", "packed"):
        training = Training.model_validate(
            {"rounds": 3, "execution": execution, "algorithm": algorithm}
            | {"batch_size": 4, "local_epochs": 2, "server_optimizer": STABLE_ADAM}
        )
        *_, last = steps(data, model, training, 11, 1, participation=slow)
        state: Any = last.state
        shared = state.server.global_model_weights.trainable
        arrays = tree.flatten([list(shared), dict(state.server.client_work), state.kept])
        found.append(([np.asarray(a) for a in arrays], last.round))
    (standard, a), (packed, b) = found
    assert len(standard) == len(packed)
    for one, other in zip(standard, packed):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)
    assert a.examples == b.examples and a.stragglers == b.stragglers > 0
    assert b.train_loss == pytest.approx(a.train_loss, abs=1e-4)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("model", "more"),
    [
        ({"kind": "cnn_dropout"}, {"algorithm": {"kind": "ditto", "penalty": 0.3}}),
        ({"kind": "cnn_dropout"}, {"algorithm": {"kind": "fedper", "head_epochs": 1}}),
        ({"kind": "mlp"}, {"algorithm": "scaffold", "aggregator": "median"}),
        ({"kind": "mlp"}, {"algorithm": "fednova", "client_optimizer": STABLE_MOMENTUM}),
        (
            {"kind": "mlp"},
            {"algorithm": "scaffold", "aggregator": {"kind": "clipping", "norm": 0.2}},
        ),
        pytest.param(
            {"kind": "mlp"},
            {"algorithm": "fednova", "aggregator": "robust"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=[
        *("random layers", "random layers in two parts", "aggregator", "momentum"),
        *("aggregator of TFF's", "adaptive aggregator of TFF's"),
    ],
)
def test_stateful_algorithms_are_the_same_in_both(
    model: dict[str, Any], more: dict[str, Any]
) -> None:
    data = of_levels(federation([7, 2, 12], 0, (8, 8, 1)))
    last = []
    for execution in ("standard", "packed"):
        training = Training.model_validate({"rounds": 2, "execution": execution, **more})
        *_, step = steps(data, models.parse(model), training, 3, 1)
        state: Any = step.state
        last.append([*map(np.asarray, state.server.global_model_weights.trainable)])
    for one, other in zip(*last):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


OWN_OPTIMIZER = {"kind": "sgd", "learning_rate": 0.3, "momentum": 0.5}
RECONSTRUCTIONS: list[Any] = [
    pytest.param(
        {"reconstruction_epochs": 2, "reconstruction_steps": 5},
        {"aggregator": "median", "model": {"keras": "zoo:operators_with_dropout"}},
        id="random layers, and an aggregator that leaves out who does no step",
    ),
    pytest.param({}, {"client_optimizer": STABLE_MOMENTUM}, id="momentum", marks=pytest.mark.slow),
    pytest.param(
        {
            "local_layers": "first",
            "split_dataset": False,
            "weighting": "uniform",
            "reconstruction_optimizer": OWN_OPTIMIZER,
        },
        {"model": {"kind": "cnn_dropout"}},
        id="not split, on bytes",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        {"local_layers": [], "weighting": "uniform"},
        {"server_optimizer": YOGI},
        id="no own layers",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("algorithm", "more"), RECONSTRUCTIONS)
def test_reconstructed_layers_are_the_same_in_both(
    algorithm: dict[str, Any], more: dict[str, Any]
) -> None:
    """With stragglers, one client that has no second batch, and one that is not finite."""
    model = {"kind": "mlp", "hidden": [5]}
    slow = Participation(stragglers=stragglers.parse({"kind": "steps", "share": 0.5}))
    data = federation([7, 2, 12, 30, 9, 21, 4, 16], 0, (8, 8, 1))
    if more.get("model") == {"kind": "cnn_dropout"}:
        data = of_levels(data)
    else:
        data.train.x[data.clients[4]] = np.inf
    held = tuple(own[: len(own) // 3] for own in data.clients)
    kept = tuple(own[len(own) // 3 :] for own in data.clients)
    data = replace(data, clients=kept, client_test=held)
    found: list[Any] = []
    for execution in ("standard", "packed"):
        training = Training.model_validate(
            {"rounds": 2, "execution": execution, "batch_size": 2, "local_epochs": 2}
            | {"algorithm": {"kind": "fed_recon", **algorithm}}
            | {key: value for key, value in more.items() if key != "model"}
        )
        chosen = models.parse(more.get("model", model))
        *_, last = steps(data, chosen, training, 8, 1, participation=slow)
        state: Any = last.state
        server = getattr(state, "server", state).global_model_weights
        judged = trainer_for(chosen, training, data).client_evaluations(
            state, data, training.local_work
        )
        found.append(([*server.trainable, *server.non_trainable], last, judged))
    (standard, one, theirs), (packed, other, ours) = found
    assert len(standard) == len(packed)
    for a, b in zip(standard, packed):
        assert np.isfinite(np.asarray(a)).all()
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    assert one.planned_examples == other.planned_examples
    assert other.round.stragglers > 0
    assert other.round.accuracy == pytest.approx(one.round.accuracy, abs=1e-6)
    assert other.round.loss == pytest.approx(one.round.loss, abs=1e-4, nan_ok=True)
    assert list(ours) == list(theirs) == [c for c, own in enumerate(held) if len(own)]
    for client, mine in ours.items():
        assert mine.accuracy == pytest.approx(theirs[client].accuracy, abs=1e-6)
        assert mine.loss == pytest.approx(theirs[client].loss, abs=1e-4, nan_ok=True)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("aggregator", ["mean", {"kind": "clipping", "initial": 0.1}])
def test_both_leave_out_a_client_that_is_not_finite(aggregator: Any) -> None:
    """Of the norms that clipping adapts to it counts as 0, as TFF has it."""
    data = federation([10, 10, 10], 0)
    data.train.x[data.clients[1]] = np.inf
    (standard, a), (packed, b) = (
        weights(data, execution, {"kind": "mlp", "hidden": [5]}, 3, aggregator=aggregator)
        for execution in ("standard", "packed")
    )
    assert a.examples == b.examples == 20
    for one, other in zip(standard, packed):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    "aggregator",
    [
        {"kind": "dp", "noise_multiplier": 0.5, "clip": 0.1},
        pytest.param(
            {"kind": "dp_ftrl", "noise_multiplier": 0.5, "clip": 0.1}, marks=pytest.mark.slow
        ),
    ],
)
def test_noise_is_the_same_in_both(aggregator: Any) -> None:
    """Also of a round without clients, the second of three."""
    data = federation([7, 12, 4], 0)
    cohorts = samplers.parse({"kind": "fixed", "cohorts": [[0, 1, 2], []]})
    keys: dict[str, Any] = {"rounds": 3, "aggregator": aggregator}
    model = {"kind": "mlp", "hidden": [5]}
    (standard, _), (packed, _) = (
        weights_with(Participation(sampling=cohorts), data, execution, model, 3, **keys)
        for execution in ("standard", "packed")
    )
    for one, other in zip(standard, packed):
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)


def test_an_aggregator_gets_changes_in_the_order_of_the_cohort() -> None:
    work, given = LocalWork(2, 1), []
    data = federation([3, 9, 1, 5, *[2] * 20], 0)
    cohort: Any = SimpleNamespace(rows=[data.examples(c) for c in range(24)])
    order = [at for stack in stacks_of(cohort.rows, work) for at in stack]
    assert order != sorted(order)
    rows = np.array([[at, at, at + 0.5] for at in order], np.float32)

    class Aggregate:
        changes = SimpleNamespace(member=[SimpleNamespace(shape=s) for s in ((2, 1), (), (0,))])
        type_signature = SimpleNamespace(parameter=[None, None, changes])

        def __call__(self, *arguments: Any) -> str:
            given[:] = arguments
            return "after"

    def train(state: Any, stacks: Any) -> Any:
        return (rows, np.array(order), "sums"), "metrics"

    process = Process(Any, train, Aggregate())  # type: ignore[arg-type]
    assert process.round("before", cohort, work, []) == ("after", "metrics", ())
    state, sums, changes, weights = given
    assert (state, weights, sums) == ("before", sorted(order), "sums")
    for at, (column, number, nothing) in enumerate(changes):
        np.testing.assert_array_equal(column, [[at], [at]])
        assert number == at + 0.5 and nothing.shape == (0,)


@pytest.mark.usefixtures("tff")
def test_changes_that_fit_into_no_message_are_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_federated.training.engine.build._MAX_ROWS_BYTES", 10_000)
    data, model = federation([6] * 30, 0), models.parse({"kind": "mlp", "hidden": [5]})

    def execution(cohort: int, **training: Any) -> str:
        settings = Training.model_validate({"rounds": 1, **training})
        return str(trainer_for(model, settings, data, cohort).execution)

    assert execution(30) == execution(20, aggregator="zeroing") == "packed"
    reason = "the changes of 30 clients take 0 MB, above the 0 MB that an aggregator of TFF's gets"
    assert execution(30, aggregator="zeroing").startswith(f"standard ({reason}")
    with pytest.raises(ModelError, match=f"packed is not possible: {reason}"):
        execution(30, aggregator="zeroing", execution="packed")
    fedsgd = Training.model_validate({"rounds": 1, "algorithm": "fedsgd", "aggregator": "zeroing"})
    flips = attacks.parse({"kind": "sign_flip", "share": 0.1})
    with pytest.raises(ModelError, match=rf"fedsgd gives no way .* \(.* not packed here: {reason}"):
        trainer_for(model, fedsgd, data, 30, flips)


@pytest.mark.usefixtures("running")
def test_private_sums_of_listed_cohorts_are_divided_by_the_clients_of_a_cohort() -> None:
    listed = Participation(sampling=samplers.parse({"kind": "fixed", "cohorts": [[0, 2]]}))
    data, model = federation([7, 9, 12, 8], 0), {"kind": "mlp", "hidden": [5]}
    private = {"kind": "dp", "noise_multiplier": 0, "clip": 1000.0}
    uniform = {"kind": "fedavg", "weighting": "uniform"}
    (sums, _), (means, _) = (
        weights_with(listed, data, "packed", model, 4, **training)
        for training in ({"aggregator": private}, {"algorithm": uniform})
    )
    for one, other in zip(sums, means):
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("algorithm", ["fedavg", "mime_lite"])
def test_stragglers_and_dropouts_are_the_same_in_both(algorithm: str) -> None:
    conditions = Participation(
        dropout=dropouts.parse({"rate": 0.2}),
        stragglers=stragglers.parse({"kind": "steps", "share": 0.7}),
        attacks=attacks.parse({"kind": "label_flip", "share": 0.3}),
    )
    data = federation([7, 2, 12, 30, 9, 21, 4, 16], 0)
    model = {"kind": "mlp", "hidden": [5]}
    settings: dict[str, Any] = {"algorithm": algorithm, "local_epochs": 3, "batch_size": 5}
    if algorithm == "mime_lite":
        settings["client_optimizer"] = STABLE_MOMENTUM
    (standard, a), (packed, b) = (
        weights_with(conditions, data, execution, model, 8, **settings)
        for execution in ("standard", "packed")
    )
    for one, other in zip(standard, packed):
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)
    assert a.examples == b.examples < a.held_examples * 3
    assert (a.dropped, a.stragglers, a.attackers) == (b.dropped, b.stragglers, b.attackers)
    assert a.dropped and a.stragglers and a.attackers
    careless, _ = weights(data, "packed", model, 8, **settings)
    assert max(np.abs(one - other).max() for one, other in zip(packed, careless)) > 1e-3


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    "aggregator",
    [
        "mean",
        "median",
        {"kind": "trimmed_mean", "trim": 0.3},
        {"kind": "multi_krum", "attackers": 1},
        "geometric_median",
        {"kind": "clipping", "initial": 0.3},
        pytest.param({"kind": "zeroing", "norm": 0.3}, marks=pytest.mark.slow),
        pytest.param("robust", marks=pytest.mark.slow),
        # Depends on how large the weights are.
        {"kind": "secure", "zeroing": False, "clipping": False},
        pytest.param({"kind": "compression", "bits": 16, "threshold": 9}, marks=pytest.mark.slow),
        pytest.param({"kind": "dp", "noise_multiplier": 0.5, "clip": 0.1}, marks=pytest.mark.slow),
    ],
)
def test_aggregators_and_attacks_are_the_same_in_both(aggregator: Any) -> None:
    attack = Participation(attacks=attacks.parse({"kind": "boost", "share": 0.3, "factor": 4.0}))
    data = federation([7, 2, 12, 30, 9, 21, 4, 16], 0)
    model: dict[str, Any] = {"kind": "mlp", "hidden": [5]}
    settings: dict[str, Any] = {"aggregator": aggregator, "local_epochs": 2, "batch_size": 8}
    (standard, a), (packed, b) = (
        weights_with(attack, data, execution, model, 8, **settings)
        for execution in ("standard", "packed")
    )
    for one, other in zip(standard, packed):
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)
    assert a.attackers == b.attackers == 2 and a.examples == b.examples == 2 * a.held_examples
    assert b.train_loss == pytest.approx(a.train_loss, abs=1e-4)
    honest, _ = weights(data, "packed", model, 8, **settings)
    assert max(np.abs(one - other).max() for one, other in zip(packed, honest)) > 1e-3


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("execution", ["packed", "standard"])
def test_a_round_without_clients_changes_nothing(execution: str) -> None:
    cohorts = samplers.parse({"kind": "fixed", "cohorts": [[0, 1], []]})
    data = federation([7, 12], 0)
    chosen = models.parse({"kind": "mlp", "hidden": [5]})
    history = train(
        data,
        chosen,
        Training(rounds=4, execution=execution),  # type: ignore[arg-type]  # one of its words
        2,
        1,
        participation=Participation(sampling=cohorts),
    )
    first, empty, third, last = history.rounds
    assert history.diverged is None
    assert (empty.clients, empty.held_examples, empty.examples) == (0, 0, 0)
    assert empty.train_loss is None and empty.train_accuracy is None
    assert (empty.loss, empty.accuracy) == (first.loss, first.accuracy)
    assert third.clients == 2 and third.loss != first.loss == empty.loss
    assert last.loss == third.loss


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(
    ("other", "is_traced"),
    [
        ({"algorithm": {"kind": "fedprox", "mu": 0.3}, "server_optimizer": YOGI}, False),
        ({"algorithm": {"kind": "fedprox", "mu": 0.2}}, True),
        ({"algorithm": {"kind": "fedprox", "mu": 0.3, "weighting": "uniform"}}, True),
        ({"algorithm": {"kind": "fedprox", "mu": 0.3}, "client_optimizer": MOMENTUM}, True),
        ({"algorithm": {"kind": "fedprox", "mu": 0.3}, "aggregator": "median"}, True),
    ],
)
def test_the_work_of_clients_is_traced_once(
    other: dict[str, Any], is_traced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that nothing is released in between, whatever other tests have built.
    monkeypatch.setattr("pytest_federated.training.engine.build._MAX_TRAINERS", 1000)
    data, model = federation([4, 5], 0), models.parse({"kind": "mlp", "hidden": [3]})
    one = {"algorithm": {"kind": "fedprox", "mu": 0.3}}
    trainer_for(model, Training.model_validate({"rounds": 1, **one}), data)
    traced = stack_training.cache_info().misses
    trainer_for(model, Training.model_validate({"rounds": 1, **other}), data)
    assert stack_training.cache_info().misses == traced + is_traced


@pytest.mark.usefixtures("tff")
def test_a_loop_hands_on_only_what_it_changes() -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        read, count = tf.compat.v1.placeholder(tf.int32, []), tf.constant(4)

        def body(i: Any, total: Any) -> Any:
            _, squares = tf.while_loop(
                lambda j, _: j < i, lambda j, squares: (j + 1, squares + j * read), (0, 0)
            )
            return i + 1, total + squares

        _, total = loop(lambda i, _: i < count, body, (0, 0))
        kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("NextIteration") == 2
    assert kinds.count("StatelessWhile") + kinds.count("While") == 1, "of the body"
    with tf.compat.v1.Session(graph=graph) as session:
        assert session.run(total, {read: 10}) == 10 * (0 + 0 + 1 + 3)


@pytest.mark.usefixtures("tff")
def test_gradients_in_a_loop_pass_through_branches_and_loops() -> None:
    import tensorflow as tf

    def slope(weights: Any, x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            h = tf.cond(tf.reduce_sum(x) > 0, lambda: weights * x, lambda: weights**2 * x)
            _, h = tf.while_loop(
                lambda i, _: i < 3, lambda i, h: (i + 1, tf.tanh(h) * weights), (0, h)
            )
            loss = tf.reduce_sum(h)
        return tape.gradient(loss, weights)

    start, x = np.array([[1, 2, 3, 0.5], [0.1, 0.2, -0.1, 0.4]], np.float32)
    expected = start
    for step in range(4):
        expected = expected - slope(tf.constant(expected), tf.constant(x * (1 - step))).numpy()
    with tf.Graph().as_default() as graph:
        given = tf.compat.v1.placeholder(tf.float32, [4])

        def body(step: Any, weights: Any) -> Any:
            return step + 1, weights - slope(weights, given * tf.cast(1 - step, tf.float32))

        _, after = loop(lambda step, _: step < 4, body, (0, start))
    with tf.compat.v1.Session(graph=graph) as session:
        np.testing.assert_allclose(session.run(after, {given: x}), expected, rtol=1e-6)


@pytest.mark.usefixtures("tff")
def test_a_loop_that_cannot_be_traced_changes_no_other() -> None:
    import tensorflow as tf

    def fails(i: Any) -> Any:
        raise ValueError(i.dtype)

    with tf.Graph().as_default(), pytest.raises(ValueError, match="int32"):
        loop(lambda i: i < 3, fails, (0,))
    assert tf.compat.v1.control_flow_v2_enabled()


@pytest.mark.usefixtures("running")
def test_numbers_do_not_depend_on_how_many_clients_are_trained_at_once() -> None:
    """Nor, then, on the number of cores or of -n: a convolution's gradient would by its threads."""
    data, cnn = federation([40, 50], 3, (28, 28, 1)), {"kind": "cnn", "filters": [8, 16]}

    def trained(threads: int) -> list[np.ndarray]:
        shutdown()
        runtime(threads).start()
        return weights(data, "packed", cnn, 2, batch_size=20)[0]

    try:
        one, four = trained(1), trained(4)
    finally:
        shutdown()
        runtime().start()
    assert all(map(np.array_equal, one, four))


@given(work=st.lists(st.integers(0, 50), min_size=1, max_size=60), stacks=st.integers(1, 10))
def test_dealing_loses_nothing_and_balances(work: list[int], stacks: int) -> None:
    dealt = deal(work, stacks)
    assert sorted(i for stack in dealt for i in stack) == list(range(len(work)))
    assert all(dealt) and len(dealt) == min(stacks, len(work))
    # Graham's bound, longest first: within 4/3 of the optimum.
    loads = [sum(max(work[i], 1) for i in stack) for stack in dealt]
    total, longest = sum(loads), max(max(w, 1) for w in work)
    assert max(loads) <= total / len(dealt) + longest


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("regularized", "the model has regularization losses"),
        ("own_backwards", "the model does not make its variables in the order of its layers"),
    ],
)
def test_models_that_cannot_be_packed_run_in_standard_execution(function: str, reason: str) -> None:
    data = federation([6, 6], 0)
    model = models.parse({"keras": f"zoo:{function}"})
    auto = trainer_for(model, Training(rounds=1), data)
    assert auto.execution.kind == "standard"
    assert auto.execution.reason.startswith(reason)
    *_, last = steps(data, model, Training(rounds=1), 2, 0)
    assert last.round.examples == 12
    with pytest.raises(ModelError, match=f"packed is not possible: {reason}"):
        trainer_for(model, Training(rounds=1, execution="packed"), data)
