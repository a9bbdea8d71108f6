"""The epsilon of a training under its sampling, and what cannot be made private."""

from __future__ import annotations

import math
import re
from typing import Any, Optional, Union

import numpy as np
import pytest
import tree
from example_data import algorithm as known
from example_data import federation
from example_results import example_result, example_scenario
from paths import ROOT
from pydantic import ValidationError
from pytest_federated.clients.cohort import most_often
from pytest_federated.clients.dropout.dropout import dropouts
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.data.population import Population
from pytest_federated.report.tables.settings import privacy_rows
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps, train
from pytest_federated.training.models.model import models
from pytest_federated.training.privacy import guarantee
from pytest_federated.training.schema import Training

FIXED = {"kind": "fixed", "cohorts": [[0]]}


def epsilon(
    sampling: Union[str, dict[str, Any]] = "poisson",
    noise: float = 1.0,
    delta: float = 1e-5,
    population: int = 1000,
    cohort: int = 10,
    rounds: int = 100,
) -> float:
    """Returns epsilon of `dp`, by default with noise 1, 100 rounds, and 10 of 1,000 clients."""
    private = guarantee(
        aggregators.parse({"kind": "dp", "noise_multiplier": noise, "delta": delta}),
        Participation(samplers.parse(sampling)),
        population,
        cohort,
        rounds,
    )
    assert private and private.delta == delta
    return private.epsilon


@pytest.mark.parametrize("sampling", ["poisson", "uniform", FIXED])
def test_distributed_noise_counts_like_noise_of_the_server(sampling: Any) -> None:
    """As Gaussian noise, which is the same however many clients take part."""

    def of(kind: str, **keys: Any) -> Any:
        chosen = aggregators.parse({"kind": kind, "noise_multiplier": 2.0, **keys})
        return guarantee(chosen, Participation(samplers.parse(sampling)), 1000, 16, 100)

    assert of("distributed_dp") == of("dp")
    # The bound of zeroing is estimated without noise.
    assert of("distributed_dp", zeroing=True) is None


def test_the_epsilon_of_a_tree_depends_on_how_often_a_client_takes_part() -> None:
    """In 2^k - 1 rounds a client is in k nodes; twice in one tree counts as half the noise."""

    def of(rounds: int, most: Optional[int], noise: float = 8.0) -> float:
        keys = {"kind": "dp_ftrl", "noise_multiplier": noise, "clip": 1.0}
        chosen = aggregators.parse(keys)
        private = guarantee(
            chosen, Participation(samplers.parse("uniform")), 1000, 10, rounds, most
        )
        assert private
        return private.epsilon

    assert of(7, 1) == pytest.approx(by_definition(8.0, 1e-5, 3), rel=1e-2)
    assert of(1023, 1) == pytest.approx(by_definition(8.0, 1e-5, 10), rel=1e-2)
    assert of(7, 2) == pytest.approx(by_definition(4.0, 1e-5, 3), rel=1e-2)
    assert of(7, None) == of(7, 7)
    assert math.isinf(of(7, 1, noise=0.0))


def test_it_is_known_how_often_a_client_is_drawn() -> None:
    data = federation([3] * 6, 0)
    turns = {"kind": "fixed", "cohorts": [[0, 1], [0, 4]]}
    assert most_often(data, 2, 0, 5, Participation(sampling=samplers.parse(turns))) == 5
    everybody = Participation(sampling=samplers.parse("uniform"))
    assert most_often(data, 6, 0, 4, everybody) == 4
    assert 1 <= most_often(data, 1, 0, 4, everybody) <= 4


def by_definition(noise: float, delta: float, rounds: int) -> float:
    """Returns epsilon of the composed Gaussian mechanism.

    Sources: Mironov 2017, corollary 3 and proposition 3; the conversion of Canonne, Kamath and
    Steinke 2020, proposition 12 (arXiv:2004.00010).
    """
    orders = np.linspace(1.01, 300, 30000)
    rdp = rounds * orders / (2 * noise**2)
    converted = rdp + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    return float(converted.min())


def test_without_amplification_it_is_the_gaussian_mechanism() -> None:
    assert epsilon(FIXED, noise=8.0, rounds=20) == pytest.approx(
        by_definition(8.0, 1e-5, 20), rel=1e-2
    )


def test_a_cohort_of_all_clients_has_no_amplification() -> None:
    """Neither with Poisson sampling nor with a fixed number, where noise counts half."""
    plain = epsilon(FIXED, noise=8.0)
    assert epsilon("poisson", noise=8.0, cohort=1000) == pytest.approx(plain)
    assert epsilon("uniform", noise=16.0, cohort=1000) == pytest.approx(plain)


def test_sampling_amplifies() -> None:
    assert epsilon("poisson") < epsilon("poisson", cohort=100) < epsilon(FIXED)
    assert epsilon("uniform") < epsilon("uniform", cohort=100) < epsilon("uniform", cohort=1000)


@pytest.mark.parametrize(
    "sampling", ["poisson", pytest.param("uniform", marks=pytest.mark.slow), FIXED]
)
def test_epsilon_falls_with_more_noise_fewer_rounds_or_a_larger_delta(sampling: Any) -> None:
    found = epsilon(sampling)
    assert epsilon(sampling, noise=2.0) < found < epsilon(sampling, rounds=200)
    assert epsilon(sampling, delta=1e-3) < found


def test_without_noise_nothing_is_private() -> None:
    assert math.isinf(epsilon(noise=0.0))
    assert guarantee(aggregators.parse("mean"), Participation(), 10, 5, 3) is None


@pytest.mark.parametrize(
    ("kind", "begins", "ends"),
    [
        ("dp", "epsilon 9.5 at delta 0.01 (Rényi", " x 1) sampling)"),
        ("distributed_dp", "about epsilon 9.5 at delta 0.01 (Rényi", "the clients' Skellam noise)"),
    ],
)
def test_the_report_says_whether_epsilon_is_an_approximation(
    kind: str, begins: str, ends: str
) -> None:
    made = example_result(accuracies=(0.5,))
    chosen = scenario({**DP, "kind": kind}, {"kind": "fixed", "cohorts": [[0]]}).settings()
    (history,) = made.histories
    private = history.model_copy(update={"epsilon": 9.5, "delta": 0.01})
    rows = privacy_rows(made.model_copy(update={"settings": chosen, "histories": (private,)}))
    (key, value) = rows[-1]
    assert key == "privacy of a client"
    assert value.startswith(begins)
    assert value.endswith(ends)


def test_the_report_says_that_no_epsilon_can_be_promised() -> None:
    made = example_result(accuracies=(0.5,))

    def rows(aggregator: Any) -> list[list[str]]:
        chosen = scenario(aggregator, {"kind": "cyclic", "blocks": 2}).settings()
        return privacy_rows(made.model_copy(update={"settings": chosen}))

    none = "no epsilon can be promised for this sampling, dropout, stragglers or zeroing"
    assert rows(DP) == [["privacy of a client", none]]
    assert rows("median") == []


def scenario(
    aggregator: Any,
    sampling: Any,
    algorithm: Optional[Any] = None,
    expect: Optional[Any] = None,
    **clients: Any,
) -> Scenario:
    chosen = {"algorithm": algorithm} if algorithm else {}
    return example_scenario(
        seeds=[0],
        clients={"count": 4, "sampling": sampling, **clients},
        training={"rounds": 1, "local_epochs": 2, "aggregator": aggregator, **chosen},
        expect=expect or {},
    )


DP = {"kind": "dp", "noise_multiplier": 1.0}


@pytest.mark.parametrize("sampling", ["with_replacement", "by_size"])
def test_clients_that_take_part_several_times_in_a_round_cannot_be_hidden(sampling: Any) -> None:
    with pytest.raises(ValidationError, match=f"with {sampling} sampling a client may come"):
        scenario(DP, sampling)
    scenario(DP, {"kind": "by_size", "replacement": False})
    scenario("mean", sampling)


@pytest.fixture
def of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers a sampler, a dropout and a straggler `mine`, which may look at clients' data."""
    for registry in (samplers, dropouts, stragglers):
        registry.names()  # finds its entries, which would be lost with the copy
        monkeypatch.setattr(registry, "_entries", registry.entries())

    @samplers("mine")
    def largest(
        population: Population, size: int, round_number: int, rng: np.random.Generator
    ) -> np.ndarray:
        return np.argsort(population.sizes)[-size:]

    @dropouts("mine")
    def large(population: Population, rng: np.random.Generator) -> np.ndarray:
        return (population.sizes > np.median(population.sizes)).astype(float)

    @stragglers("mine")
    def together(full: np.ndarray, local_epochs: int, rng: np.random.Generator) -> np.ndarray:
        return np.full(len(full), full.min())


TREE = {"kind": "dp_ftrl", "noise_multiplier": 8.0, "clip": 1.0}
DISTRIBUTED = {"kind": "distributed_dp", "noise_multiplier": 1.0}
CYCLIC = {"kind": "cyclic", "blocks": 2}
TRACE = {"kind": "trace", "trace": "a.csv"}
BY_SIZE = {"kind": "by_size", "replacement": False}
DISPLACES = "with {} sampling one client can change which others take part, and {} does not"
STRAGGLES = "one client can change which others straggle; leave clients.stragglers out"
EPOCHS = {"kind": "epochs", "share": 0.6}
TOGETHER = {"kind": "mine", "share": 0.6}


@pytest.mark.usefixtures("of_a_user")
@pytest.mark.parametrize(
    ("aggregator", "sampling", "clients", "reason"),
    [
        *((a, s, {}, "") for a in (DP, DISTRIBUTED) for s in ("poisson", "uniform", FIXED)),
        *((TREE, s, {}, "") for s in ("poisson", "uniform", FIXED, CYCLIC, TRACE)),
        *(
            (a, s, {}, DISPLACES.format(s["kind"], a["kind"]))
            for a in (DP, DISTRIBUTED)
            for s in (CYCLIC, TRACE, BY_SIZE)
        ),
        (DP, "mine", {}, DISPLACES.format("mine", "dp")),
        (TREE, BY_SIZE, {}, DISPLACES.format("by_size", "dp_ftrl")),
        (TREE, "mine", {}, DISPLACES.format("mine", "dp_ftrl")),
        *((a, "poisson", {"dropout": {"rate": 0.5}}, "") for a in (DP, DISTRIBUTED, TREE)),
        (DP, "uniform", {"dropout": {"rates": [0.1, 0.2, 0.3, 0.4]}}, ""),
        (DP, "uniform", {"dropout": {"kind": "drawn", "high": 0.4}}, ""),
        *(
            (a, "poisson", {"dropout": "mine"}, "the dropout mine may depend on")
            for a in (DP, DISTRIBUTED, TREE)
        ),
        *((DP, s, {"stragglers": EPOCHS}, STRAGGLES) for s in ("poisson", "uniform")),
        (DP, FIXED, {"stragglers": EPOCHS}, ""),
        (TREE, "poisson", {"stragglers": EPOCHS}, ""),
        (DP, FIXED, {"stragglers": TOGETHER}, STRAGGLES),
        (TREE, "poisson", {"stragglers": TOGETHER}, STRAGGLES),
        (DP, "poisson", {"attacks": {"kind": "boost", "share": 0.5, "factor": 10}}, ""),
        ({**DISTRIBUTED, "zeroing": True}, "poisson", {}, "zeroing is estimated without noise"),
        (
            "mean",
            "poisson",
            {},
            "the aggregator mean adds no noise; allowed: distributed_dp, dp, dp_ftrl",
        ),
    ],
)
def test_there_is_no_epsilon_where_none_can_be_promised(
    aggregator: Any, sampling: Any, clients: Any, reason: str
) -> None:
    """The training runs without one; a scenario that expects one is refused with the reason."""
    chosen = scenario(aggregator, sampling, **clients)
    participation = chosen.clients.participation
    private = guarantee(chosen.training.aggregator, participation, 4, 2, 1)
    expect = {"epsilon": {"at_most": 8}}
    if reason:
        assert private is None
        with pytest.raises(ValidationError, match=f"no epsilon can be promised: .*{reason}"):
            scenario(aggregator, sampling, expect=expect, **clients)
    else:
        assert private and private.epsilon > 0
        scenario(aggregator, sampling, expect=expect, **clients)


def test_the_page_says_what_each_sampling_promises() -> None:
    page = (ROOT / "docs/privacy.md").read_text(encoding="utf-8")
    _, _, table = page.partition("## Who is protected")
    rows = re.findall(r"^\| (`.*?) \| (.*?) ?\| (.*?) \| (.*?) \|$", table, flags=re.MULTILINE)
    with_noise, with_tree = set(), set()
    for names, neighbors, noise, of_tree in rows:
        named = set(re.findall("`([a-z_]+)`", names))
        assert bool(neighbors) == (not noise.startswith(("no epsilon", "refused")))
        with_noise |= named if neighbors else set()
        with_tree |= named if of_tree == "a tree" else set()
        assert named < set(samplers.names())
    entries = {name: samplers[name].spec for name in samplers.names()}
    assert with_noise == {name for name, spec in entries.items() if spec.accounting}
    assert with_tree == {name for name, spec in entries.items() if spec.ignores_data}


MODEL = models.parse({"kind": "mlp", "hidden": [40]})
CLIP = 0.3
PRIVATE = {
    "dp": {"noise_multiplier": 2.0, "clip": CLIP},
    # The count is so noisy that nearly all noise is on the sum.
    "dp that adapts": {
        "kind": "dp",
        "noise_multiplier": 2.0,
        "initial_clip": CLIP,
        "count_stddev": 20.0,
    },
    "dp_ftrl": {"noise_multiplier": 2.0, "clip": CLIP},
    "distributed_dp": {"noise_multiplier": 2.0, "clip": CLIP},
}
# Nobody takes part in the first round: nobody is drawn, or those drawn drop out.
NOT_DRAWN = Participation(samplers.parse({"kind": "fixed", "cohorts": [[], [0, 1]]}))
DROPPED = Participation(samplers.parse("uniform"), dropouts.parse({"rate": 1.0}))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("name", "algorithm", "participation"),
    [
        *((name, "fedavg", NOT_DRAWN) for name in PRIVATE),
        ("dp", "fedavg", DROPPED),
        pytest.param("dp", "fedsgd", NOT_DRAWN, marks=pytest.mark.slow),
        pytest.param("distributed_dp", "fed_recon", NOT_DRAWN, marks=pytest.mark.slow),
    ],
)
def test_a_round_without_clients_has_noise(
    name: str, algorithm: str, participation: Participation
) -> None:
    """Each weight gets noise of z C over the expected clients; the same seed, the same noise."""
    asked = 30
    expected = 2 if participation is NOT_DRAWN else asked  # the larger of the listed cohorts
    training = Training.model_validate(
        {
            "rounds": 2,
            "algorithm": known(algorithm),
            "aggregator": {"kind": name, **PRIVATE[name]},
            "eval_every": 2,
        }
    )
    data = federation([3] * 40, 0)

    def rounds(seed: int) -> tuple[list[Any], np.ndarray]:
        trainer = trainer_for(MODEL, training, data, expected)
        done = list(steps(data, MODEL, training, asked, seed, participation=participation))
        states = trainer.initial_state(seed, data), done[0].state
        before, after = (weights(state) for state in states)
        return done, after - before

    (empty, then), change = rounds(1)
    assert (empty.round.clients, empty.round.examples, empty.planned_examples) == (0, 0, 0)
    assert empty.round.train_loss is None and empty.round.train_accuracy is None
    assert then.round.clients == (0 if participation is DROPPED else 2)
    spread = 2.0 * CLIP / expected
    # Five standard errors; rounding makes integers a little wider.
    assert np.std(change) == pytest.approx(spread, rel=5 / math.sqrt(2 * change.size))
    assert abs(np.mean(change)) < 5 * spread / math.sqrt(change.size)
    np.testing.assert_array_equal(change, rounds(1)[1])
    assert not np.array_equal(change, rounds(2)[1])


def weights(state: Any) -> np.ndarray:
    """Returns all weights that clients send changes of, in one array."""
    server = getattr(state, "server", state)  # where clients may keep something, too
    return np.concatenate([np.ravel(w) for w in server.global_model_weights.trainable])


@pytest.mark.usefixtures("running")
def test_zeroing_adapts_to_nothing_in_a_round_without_clients() -> None:
    """Its bound would be the quantile of no clients, which is not a number."""
    aggregator = {**DISTRIBUTED, "clip": CLIP, "zeroing": True}
    training = Training.model_validate({"rounds": 2, "aggregator": aggregator})
    *_, last = steps(federation([3] * 40, 0), MODEL, training, 30, 1, participation=NOT_DRAWN)
    (bound,) = (
        leaf
        for path, leaf in tree.flatten_with_path(last.state.aggregator)
        if "current_estimate" in path
    )
    assert math.isfinite(bound)


@pytest.mark.usefixtures("running")
def test_rounds_without_clients_count() -> None:
    """A training without clients does not diverge, and has the same epsilon as any other."""
    training = Training.model_validate({"rounds": 3, "aggregator": {"kind": "dp", **PRIVATE["dp"]}})
    data = federation([3] * 40, 0)
    participation = Participation(samplers.parse("poisson"), dropouts.parse({"rate": 1.0}))
    history = train(data, MODEL, training, 10, 1, participation=participation)
    assert history.diverged is None and [r.clients for r in history.rounds] == [0, 0, 0]
    assert len({r.loss for r in history.rounds}) == 3
    private = guarantee(training.aggregator, participation, 40, 10, 3)
    assert private and history.epsilon == pytest.approx(private.epsilon, rel=1e-5)
    displaced = Participation(samplers.parse(CYCLIC))
    assert train(data, MODEL, training, 10, 1, participation=displaced).epsilon is None


@pytest.mark.parametrize("algorithm", ["scaffold", "mime_lite", "mime"])
def test_no_epsilon_is_claimed_where_clients_send_values_without_noise(algorithm: str) -> None:
    with pytest.raises(ValidationError, match="got distributed_dp; with"):
        scenario({**DP, "kind": "distributed_dp"}, "poisson", {"kind": algorithm})
    with pytest.raises(ValidationError, match=f"got dp; with {algorithm} clients send the .*, too"):
        scenario(DP, "poisson", {"kind": algorithm})
    scenario("clipping", "poisson", {"kind": algorithm})


@pytest.mark.parametrize("aggregator", [DP, "median", {"kind": "trimmed_mean", "trim": 0.2}])
def test_aggregators_without_weights_refuse_a_weighting(aggregator: Any) -> None:
    scenario(aggregator, "uniform")
    scenario(aggregator, "uniform", {"kind": "fedavg", "weighting": "uniform"})
    for weighting in ("examples", "loss"):
        with pytest.raises(ValidationError, match="it counts every client the same"):
            scenario(aggregator, "uniform", {"kind": "fedavg", "weighting": weighting})
    scenario("clipping", "uniform", {"kind": "fedavg", "weighting": "loss"})


@pytest.mark.parametrize("algorithm", ["fedavg", "fedprox", "mime_lite", "scaffold"])
def test_settings_state_the_weighting_that_is_in_effect(algorithm: str) -> None:
    stated = scenario("median", "uniform", known(algorithm)).settings()
    assert stated["training"]["algorithm"]["weighting"] == "uniform"
    assert Scenario.model_validate(stated).settings() == stated
    weighted = scenario("clipping", "uniform", known(algorithm)).settings()
    by_default = "uniform" if algorithm == "scaffold" else "examples"
    assert weighted["training"]["algorithm"]["weighting"] == by_default
