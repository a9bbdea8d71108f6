"""Remote workers give the same numbers as a local one, even if some of them die."""

from __future__ import annotations

import re
import signal
import warnings
from typing import Any

import numpy as np
import pytest
import pytest_federated
from example_data import federation, training_with
from paths import ROOT
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff import remote
from pytest_federated.tff.context import runtime
from pytest_federated.tff.sharding import undividable
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training
from remote_workers import Served, assert_close, assert_same, local, train


@pytest.mark.parametrize("execution", ["packed", pytest.param("standard", marks=pytest.mark.slow)])
def test_any_number_of_workers_gives_the_local_numbers(
    lasting: list[Served], execution: str
) -> None:
    assert_same(train(lasting[:1], execution), local(execution))
    for count in (2, 3):
        divided = train(lasting[:count], execution)
        assert_close(divided, local(execution))
        assert_same(train(lasting[:count], execution), divided)


def test_there_may_be_more_workers_than_clients(lasting: list[Served]) -> None:
    scenario = pytest_federated.Scenario.model_validate(
        {
            "name": "two",
            "data": {"dataset": "digits"},
            "clients": {"count": 2},
            "model": {"kind": "mlp", "hidden": [8]},
            "training": {"rounds": 2, "local_epochs": 1},
        }
    )
    addresses = ",".join(w.address for w in lasting)
    divided = pytest_federated.run(scenario, pytest_federated.Options(workers=addresses))
    local = pytest_federated.run(scenario, pytest_federated.Options())
    assert divided.accuracies == pytest.approx(local.accuracies, abs=0.01)
    assert divided.histories[0].rounds[-1].loss == pytest.approx(
        local.histories[0].rounds[-1].loss, abs=1e-5
    )


STANDARD = [
    *("fedavg", "fedprox", "fedsgd", "fednova", "fed_recon", "mime", "per_fedavg", "q_fedavg"),
    "ifca",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "execution"),
    [(n, "standard") for n in STANDARD]
    + [
        (n, "packed" if algorithms[n].spec.packs else "standard")
        for n in algorithms.names()
        if n != "tff"  # code of the user
    ],
)
def test_algorithms_can_be_divided_as_documented(
    lasting: list[Served], name: str, execution: str
) -> None:
    """As docs/scaling.md says."""
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    (promise,) = re.findall(rf"^\| `{name}` \| (yes|no) ", page, flags=re.MULTILINE)
    trainer = trainer_for(
        models.parse({"kind": "mlp", "hidden": [16]}),
        Training.model_validate({"rounds": 3, "execution": execution, **training_with(name)}),
        federation([5, 5], 0),
    )
    assert (undividable(*trainer.algorithm.computations) is None) == (promise == "yes")
    if promise == "yes":
        divided = train(lasting[:2], execution, **training_with(name))
        assert_close(divided, local(execution, name))


# Required keys of aggregators.
NEEDED: dict[str, dict[str, Any]] = {
    "dp": {"noise_multiplier": 0.2},
    "distributed_dp": {"noise_multiplier": 0.2},
    "dp_ftrl": {"noise_multiplier": 0.2, "clip": 0.1},
    "krum": {"attackers": 1},
    "multi_krum": {"attackers": 1},
    "trimmed_mean": {"trim": 0.2},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in aggregators.names() if n not in ("mean", "tff")])
def test_aggregators_can_be_divided_as_documented(lasting: list[Served], name: str) -> None:
    """As docs/scaling.md says; packed if possible. Nobody takes part in round 2."""
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    (promise,) = re.findall(rf"^\| `{name}` \| (yes|no) ", page, flags=re.MULTILINE)
    chosen = {"kind": name, **NEEDED.get(name, {})}
    trainer = trainer_for(
        models.parse({"kind": "mlp", "hidden": [16]}),
        Training.model_validate({"rounds": 3, "aggregator": chosen}),
        federation([5, 5], 0),
        13,
    )
    assert (undividable(*trainer.algorithm.computations) is None) == (promise == "yes")
    if promise == "yes":
        cohorts = {"kind": "fixed", "cohorts": [list(range(13)), []]}
        participation = Participation(sampling=samplers.parse(cohorts))
        alone = train([], "auto", participation=participation, aggregator=chosen)
        assert_close(
            train(lasting[:2], "auto", participation=participation, aggregator=chosen), alone
        )


def test_a_computation_that_cannot_be_divided_says_so_and_runs_on_one_worker(
    tff: Any, lasting: list[Served]
) -> None:
    @tff.tensorflow.computation(np.float32, np.float32)
    def difference(a: Any, b: Any) -> Any:
        return a - b

    @tff.federated_computation(tff.FederatedType(np.float32, tff.CLIENTS))
    def spread(values: Any) -> Any:
        mean = tff.federated_broadcast(tff.federated_mean(values))
        return tff.federated_sum(tff.federated_map(difference, (values, mean)))

    runtime(workers=(lasting[0].address,)).start()
    assert spread([1.0, 2.0, 6.0]) == pytest.approx(0.0)
    runtime(workers=(lasting[0].address, lasting[1].address)).start()
    with pytest.raises(RuntimeUnavailable, match="cannot be divided among several") as refused:
        spread([1.0, 2.0, 6.0])
    assert "\n" not in str(refused.value)
    assert undividable(spread) == str(refused.value)


def test_an_error_in_a_computation_does_not_count_as_a_lost_worker(
    tff: Any, lasting: list[Served]
) -> None:
    import tensorflow as tf

    @tff.tensorflow.computation(np.int32)
    def fails(a: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_less(a, 3, message="too large")]):
            return tf.identity(a)

    @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
    def total(values: Any) -> Any:
        return tff.federated_sum(tff.federated_map(fails, values))

    runtime(workers=tuple(w.address for w in lasting)).start()
    assert total([1, 2, 1]) == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Exception, match="too large"):
            total([1, 5, 1])
    assert total([1, 2, 1]) == 4


# Long enough that a worker can be struck in the middle of its share.
SLOW = 2000  # local epochs


@pytest.fixture(scope="module")
def undisturbed(lasting: list[Served]) -> list[np.ndarray]:
    return train(lasting, "packed", local_epochs=SLOW)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (signal.SIGKILL, "its connection broke, then no answer within 1 s"),
        (signal.SIGSTOP, "no answer within 3 s"),
    ],
    ids=["killed", "silent"],
)
def test_a_worker_lost_in_the_middle_of_a_round_changes_no_number(
    undisturbed: list[np.ndarray],
    mortal: list[Served],
    monkeypatch: pytest.MonkeyPatch,
    sent: signal.Signals,
    reason: str,
) -> None:
    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 1)
    monkeypatch.setattr(remote, "SILENT_SECONDS", 3)
    first, struck, last = mortal
    with pytest.warns(remote.WorkerLost) as said:
        disturbed = train(
            mortal,
            "packed",
            local_epochs=SLOW,
            after_round_1=lambda: struck.while_it_computes(lambda: struck.send(sent)),
        )
    assert [str(w.message) for w in said if w.category is remote.WorkerLost] == [
        f"the TFF worker at {struck.address} is lost ({reason}): "
        f"its clients go to {first.address}, {last.address}"
    ]
    assert_same(disturbed, undisturbed)


def test_a_worker_that_is_started_again_is_used_again(
    lasting: list[Served], mortal: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same round if it comes back soon, otherwise in the next training."""
    undisturbed = train(lasting, "packed")

    def kill() -> None:
        mortal[1].send(signal.SIGKILL)
        mortal[1].process.wait()

    def start() -> None:
        mortal[1] = Served(mortal[1].port).ready()

    def restart() -> None:
        kill()
        start()

    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 1)
    with pytest.warns(remote.WorkerLost):
        assert_same(train(mortal, "packed", after_round_1=kill), undisturbed)
    start()
    idle = mortal[1].cpu_seconds()
    with warnings.catch_warnings():
        warnings.simplefilter("error", remote.WorkerLost)
        assert_same(train(mortal, "packed"), undisturbed)
        assert mortal[1].cpu_seconds() > idle + 0.05
        monkeypatch.setattr(remote, "RECONNECT_SECONDS", 20)
        assert_same(train(mortal, "packed", after_round_1=restart), undisturbed)


def test_with_no_worker_left_the_run_stops_with_an_error(
    mortal: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 1)

    def strike() -> None:
        for served in mortal:
            served.send(signal.SIGKILL)

    with pytest.warns(remote.WorkerLost), pytest.raises(RuntimeUnavailable) as stopped:
        train(
            mortal,
            "packed",
            local_epochs=SLOW,
            after_round_1=lambda: mortal[0].while_it_computes(strike),
        )
    each = "; ".join(
        f"{w.address}: its connection broke, then no answer within 1 s" for w in mortal
    )
    assert str(stopped.value) == f"no remote worker is left ({each})"
