"""Who takes part, drops out, straggles and attacks: the promises of each entry, with NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_federated
from example_data import federation
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_federated.clients.attacks.attack import attack, attackers, attacks
from pytest_federated.clients.cohort import (
    Cohort,
    LocalWork,
    cohort_of_round,
    shuffled_examples,
)
from pytest_federated.clients.dropout.dropout import dropouts, stays
from pytest_federated.clients.sampling.sampler import draw, expected_cohort, samplers
from pytest_federated.clients.schema import Clients
from pytest_federated.clients.stragglers.straggler import slow_down, stragglers
from pytest_federated.core.errors import DataError
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Examples, levels_of
from pytest_federated.data.datasets.rows import GrayLevels
from pytest_federated.data.population import Population
from pytest_federated.data.shifts.shift import shifts
from pytest_federated.registry.registry import Registry
from pytest_federated.training.schema import Training


def population(clients: int, seed: int = 0) -> Population:
    sizes = np.random.default_rng(seed).integers(1, 50, clients)
    return Population(tuple(f"client-{i}" for i in range(clients)), sizes)


POPULATIONS = [population(clients) for clients in range(101)]


def drawn(chosen: Any, clients: int, size: int, round_number: int, seed: int = 0) -> list[int]:
    return draw(samplers.parse(chosen), POPULATIONS[clients], size, seed, round_number).tolist()


# Sampling


@given(
    chosen=st.sampled_from(["uniform", {"kind": "by_size", "replacement": False}]),
    clients=st.integers(1, 60),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
    number=st.integers(1, 9),
)
def test_a_cohort_has_the_requested_size_and_nobody_twice(
    chosen: Any, clients: int, share: float, seed: int, number: int
) -> None:
    size = max(1, round(share * clients))
    cohort = drawn(chosen, clients, size, number, seed)
    assert len(set(cohort)) == len(cohort) == size
    assert cohort == sorted(cohort) and cohort[0] >= 0 and cohort[-1] < clients
    assert cohort == drawn(chosen, clients, size, number, seed)


def test_uniform_sampling_gives_the_cohorts_of_older_records() -> None:
    """By the same stream and the same call: other samplers did not change these cohorts."""
    old = generator(7, Stream.COHORT, 3).choice(100, 10, replace=False)
    assert drawn("uniform", 100, 10, 3, seed=7) == np.sort(old).tolist()
    assert drawn("uniform", 100, 10, 3, seed=7) != drawn("uniform", 100, 10, 4, seed=7)


def times_drawn(chosen: Any, clients: int, size: int, rounds: int) -> np.ndarray:
    """Returns int (clients,), how often each was drawn."""
    everyone = [c for number in range(1, rounds + 1) for c in drawn(chosen, clients, size, number)]
    return np.bincount(everyone, minlength=clients)


@pytest.mark.parametrize("chosen", ["uniform", "with_replacement", "poisson"])
def test_every_client_is_drawn_equally_often(chosen: str) -> None:
    """Within five standard deviations of a binomial count."""
    times = times_drawn(chosen, 20, 5, 800)
    assert np.abs(times - 200).max() < 5 * np.sqrt(800 * 0.25)


@pytest.mark.parametrize("chosen", ["by_size", {"kind": "by_size", "replacement": True}])
def test_larger_clients_are_drawn_more_often(chosen: Any) -> None:
    sizes = population(10).sizes
    expected = 1000 * 2 * sizes / sizes.sum()
    assert np.abs(times_drawn(chosen, 10, 2, 1000) - expected).max() < 5 * np.sqrt(expected.max())


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("uniform", 6),
        ("poisson", 6),
        ({"kind": "fixed", "cohorts": [[0], [1, 2, 3], []]}, 3),
        ({"kind": "cyclic", "blocks": 3}, 4),
        ({"kind": "cyclic", "blocks": 2}, 5),
    ],
)
def test_a_round_is_expected_to_have_no_more_clients_than_there_can_be(
    chosen: Any, expected: int
) -> None:
    assert expected_cohort(samplers.parse(chosen), 10, 6) == expected


def test_with_replacement_a_client_may_be_drawn_twice() -> None:
    cohorts = [drawn("with_replacement", 5, 5, number) for number in range(1, 20)]
    assert all(len(c) == 5 for c in cohorts)
    assert any(len(set(c)) < 5 for c in cohorts)


def test_poisson_cohorts_differ_in_size_and_may_be_empty() -> None:
    lengths = [len(drawn("poisson", 10, 1, number)) for number in range(1, 1001)]
    assert 0 in lengths and max(lengths) > 2
    # The binomial distribution of 10 trials at 0.1: mean 1, variance 0.9.
    assert np.mean(lengths) == pytest.approx(1, abs=5 * np.sqrt(0.9 / 1000))
    assert np.var(lengths) == pytest.approx(0.9, abs=0.25)


def test_fixed_cohorts_take_turns() -> None:
    chosen = {"kind": "fixed", "cohorts": [[2, 0], [], [1]]}
    assert [drawn(chosen, 3, 3, n) for n in range(1, 5)] == [[0, 2], [], [1], [0, 2]]


@given(clients=st.integers(2, 40), blocks=st.integers(2, 9), rounds=st.integers(1, 3))
def test_each_client_is_available_in_one_block(clients: int, blocks: int, rounds: int) -> None:
    chosen = {"kind": "cyclic", "blocks": blocks, "rounds": rounds}
    period = blocks * rounds
    cohorts = [drawn(chosen, clients, clients, n) for n in range(1, 2 * period + 1)]
    assert cohorts[:period] == cohorts[period:]
    one_day = cohorts[:period:rounds]
    assert sorted(c for cohort in one_day for c in cohort) == list(range(clients))
    lengths = [len(c) for c in one_day]
    assert max(lengths) - min(lengths) <= 1
    for start in range(0, period, rounds):
        assert cohorts[start : start + rounds] == [cohorts[start]] * rounds


def test_cyclic_sampling_draws_from_its_block() -> None:
    chosen = {"kind": "cyclic", "blocks": 2}
    cohorts = [drawn(chosen, 20, 3, n) for n in range(1, 21, 2)]
    assert all(len(c) == 3 and max(c) < 10 for c in cohorts)
    assert len({tuple(c) for c in cohorts}) > 5


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that writes the trace file `times.csv`."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> None:
        (tmp_path / "times.csv").write_text(text)

    return write


HEADER = "client,first_round,last_round\n"


def test_a_trace_says_who_is_available(trace: Callable[[str], None]) -> None:
    trace(HEADER + "client-2,1,2\n0, 2, 3\n\nclient-2,5,5\nclient-2,4,5\n")
    chosen = {"trace": "times.csv"}
    assert [drawn(chosen, 4, 4, n) for n in range(1, 7)] == [[2], [0, 2], [0], [2], [2], []]
    assert len(drawn(chosen, 4, 1, 2)) == 1
    again = {"kind": "trace", "trace": "times.csv", "period": 3}
    assert [drawn(again, 4, 4, n) for n in range(1, 6)] == [[2], [0, 2], [0], [2], [0, 2]]


def test_a_trace_that_has_changed_is_read_again(trace: Callable[[str], None]) -> None:
    trace(HEADER + "0,1,1\n")
    assert drawn({"trace": "times.csv"}, 4, 4, 1) == [0]
    trace(HEADER + "0,1,1\n3,1,1\n")
    assert drawn({"trace": "times.csv"}, 4, 4, 1) == [0, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "times.csv:1: got columns nothing; must be client, first_round, last_round"),
        ("a,b\n", "times.csv:1: got columns a, b; must be client, first_round, last_round"),
        (HEADER + "0,1\n", "times.csv:2: got 2 columns; must be client, first_round, last_round"),
        (
            HEADER + "0,1,2\n\n4,1,2\n",
            "times.csv:4: client: got '4'; there are 4 clients, by name (such as 'client-0'), or "
            "by number 0 to 3",
        ),
        (
            HEADER + "0,0,2\n",
            "times.csv:2: first_round: got '0'; rounds are whole numbers from 1",
        ),
        (
            HEADER + "0,1,2.5\n",
            "times.csv:2: last_round: got '2.5'; rounds are whole numbers from 1",
        ),
        (HEADER + "0,3,2\n", "times.csv:2: last_round: got 2; the first round is 3"),
    ],
)
def test_an_invalid_trace_is_named(trace: Callable[[str], None], text: str, said: str) -> None:
    trace(text)
    with pytest.raises(DataError) as error:
        drawn({"trace": "times.csv"}, 4, 4, 1)
    assert str(error.value) == said


def test_a_missing_trace_is_named() -> None:
    with pytest.raises(DataError, match=r"no file 'nowhere\.csv'; looked in the scenario's folder"):
        drawn({"trace": "nowhere.csv"}, 4, 4, 1)


# Dropout


def kept(chosen: Any, clients: int, number: int) -> np.ndarray:
    everyone = np.arange(clients)
    return stays(dropouts.parse(chosen), population(clients), everyone, 0, number)


def test_a_rate_is_the_share_that_drops_out() -> None:
    lost = np.array([~kept({"rate": 0.3}, 50, number) for number in range(1, 401)])
    assert lost.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / lost.size))
    assert np.abs(lost.mean(axis=0) - 0.3).max() < 5 * np.sqrt(0.21 / 400)
    assert kept({"rate": 0.0}, 50, 1).all()
    assert not kept({"rate": 1.0}, 50, 1).any()


def test_each_client_may_have_a_rate_of_its_own() -> None:
    rates = [0.0, 0.2, 0.9, 1.0]
    lost = np.mean([~kept({"rates": rates}, 4, number) for number in range(1, 1001)], axis=0)
    assert lost[0] == 0 and lost[3] == 1
    np.testing.assert_allclose(lost, rates, atol=5 * np.sqrt(0.25 / 1000))


def test_drawn_rates_last_for_the_whole_training() -> None:
    chosen = {"kind": "drawn", "low": 0.2, "high": 0.8}
    lost = np.array([~kept(chosen, 30, number) for number in range(1, 601)])
    early, late = lost[:300].mean(axis=0), lost[300:].mean(axis=0)
    assert 0.1 < early.min() < 0.35 and 0.65 < early.max() < 0.9
    assert np.abs(early - late).max() < 5 * np.sqrt(2 * 0.25 / 300)


def test_the_dropout_of_a_client_does_not_depend_on_the_others() -> None:
    chosen = dropouts.parse({"rate": 0.5})
    everyone = stays(chosen, population(20), np.arange(20), 3, 4)
    some = np.array([1, 5, 5, 19])
    np.testing.assert_array_equal(stays(chosen, population(20), some, 3, 4), everyone[some])


def test_a_lowest_rate_above_the_highest_is_refused() -> None:
    with pytest.raises(DataError, match=r"low: got 0\.5; the highest rate is 0\.2"):
        kept({"kind": "drawn", "low": 0.5, "high": 0.2}, 3, 1)


# Stragglers


@given(
    chosen=st.sampled_from(
        [{"kind": "epochs"}, {"kind": "steps"}, {"kind": "steps", "at_least": 0.5}]
    ),
    batches=st.lists(st.integers(1, 20), min_size=1, max_size=30),
    epochs=st.integers(1, 6),
    share=st.floats(0.01, 1),
)
def test_stragglers_do_a_part_of_their_steps(
    chosen: dict[str, Any], batches: list[int], epochs: int, share: float
) -> None:
    full = np.array(batches) * epochs
    done = slow_down(stragglers.parse({**chosen, "share": share}), full, epochs, 0, 1)
    assert done.straggles.sum() == round(share * len(full))
    np.testing.assert_array_equal(done.steps[~done.straggles], full[~done.straggles])
    assert (done.steps >= 1).all() and (done.steps <= full).all()
    if chosen["kind"] == "epochs":
        assert (done.steps % np.array(batches) == 0).all()
    assert (done.steps >= chosen.get("at_least", 0) * full).all()


def test_straggling_epochs_are_uniform() -> None:
    chosen = stragglers.parse({"kind": "epochs", "share": 1.0})
    full = np.full(100, 5 * 3)  # three batches, five epochs
    done = np.array([slow_down(chosen, full, 5, 0, n).steps for n in range(1, 101)]) // 3
    counts = np.bincount(done.ravel(), minlength=6)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 2000).max() < 5 * np.sqrt(10000 * 0.16)


# Attacks


@given(share=st.floats(0, 1), clients=st.integers(1, 50), seed=st.integers(0, 50))
def test_a_share_of_all_clients_attacks(share: float, clients: int, seed: int) -> None:
    chosen = attacks.parse({"kind": "label_flip", "share": share})
    if share and not round(share * clients):
        with pytest.raises(DataError, match="so the attack would have no effect"):
            attackers(chosen, clients, seed)
        return
    assert attackers(chosen, clients, seed).sum() == round(share * clients)


def test_attacks_change_labels_and_scale_updates() -> None:
    def of(**chosen: Any) -> Any:
        return attack(attacks.parse({"share": 0.5, **chosen}))

    flip, sign, boost = (
        of(kind="label_flip"),
        of(kind="sign_flip", scale=2.0),
        of(kind="boost", factor=5.0),
    )
    labels = np.array([0, 1, 9], np.int32)
    assert flip.labels(labels, 10).tolist() == [9, 8, 0] and flip.factor == 1
    assert flip.labels(labels, 10).dtype == np.int32
    assert sign.labels is None and sign.factor == -2
    assert boost.labels(labels, 10).tolist() == [9, 8, 0] and boost.factor == 5
    assert of(kind="boost", factor=5.0, flip_labels=False).labels is None


# All together


def cohort(more: dict[str, Any], number: int = 1, sizes: int = 12, **training: Any) -> Cohort:
    data = federation([5 + 3 * (i % 4) for i in range(sizes)], 0)
    clients = Clients.model_validate({"count": sizes, **more})
    chosen = Training.model_validate({"rounds": 1, "batch_size": 4, "local_epochs": 3, **training})
    size = clients.cohort_size(sizes)
    return cohort_of_round(data, size, 0, number, chosen.local_work, clients.participation)


def test_by_default_all_clients_do_all_their_steps() -> None:
    one = cohort({})
    assert one.clients.tolist() == list(range(12))
    assert (one.dropped, one.stragglers, one.attackers) == (0, 0, 0)
    sizes = np.array([len(e) for e in one.examples])
    np.testing.assert_array_equal(one.steps, np.ceil(sizes / 4) * 3)
    assert one.planned_examples(4) == 3 * sizes.sum()
    assert (one.factors == 1).all()


@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 30))
def test_planned_examples_are_counted_by_batches(size: int, examples: int, steps: int) -> None:
    held = federation([examples], 0).train
    one = Cohort(
        np.array([0]), [held], np.array([steps]), np.ones(1, np.float32), np.zeros(1, np.int32)
    )
    batches = [min(size, examples - begin) for begin in range(0, examples, size)]
    assert one.planned_examples(size) == sum(batches[i % len(batches)] for i in range(steps))


@given(st.integers(1, 100), st.integers(1, 500))
def test_a_share_of_a_clients_examples_makes_as_many_batches(percent: int, examples: int) -> None:
    """As many as ceil(n / ceil(share n)), exactly, whatever a float makes of the share."""
    size = -(-percent * examples // 100)
    work = LocalWork(percent / 100, 2)
    assert work.batch_size_of(examples) == size
    assert work.steps_of(np.array([examples, 0])).tolist() == [2 * -(-examples // size), 0]


def test_clients_that_drop_out_are_counted_and_gone() -> None:
    one = cohort({"per_round": 8, "dropout": {"rate": 0.5}})
    assert len(one.clients) + one.dropped == 8
    assert 0 < one.dropped < 8
    assert len(one.examples) == len(one.steps) == len(one.factors) == len(one.clients)
    everyone = cohort({"per_round": 8})
    assert set(one.clients) < set(everyone.clients)


@pytest.mark.parametrize(
    "shift", [[], [{"kind": "label_permutation"}], [{"kind": "noise", "level": 0.1}]]
)
def test_rows_of_bytes_are_the_shuffled_examples(shift: list[dict[str, Any]]) -> None:
    data = federation([5, 8, 9], 0)
    levels: Any = np.random.default_rng(1).integers(0, 256, data.train.x.shape, np.uint8)
    held = Examples(GrayLevels(levels), data.train.y).select(np.arange(22)[::-1])
    data = replace(data, train=held, shift=tuple(map(shifts.parse, shift)), seed=3)
    one = cohort_of_round(data, 2, 5, 7, LocalWork(4, 1))
    for client, own, rows in zip(one.clients, one.examples, one.rows):
        expected = shuffled_examples(data, client, 5, 7)
        np.testing.assert_array_equal(own.x, expected.x)
        np.testing.assert_array_equal(own.y, expected.y)
        is_bytes = not shift or shifts.entry(data.shift[0]).spec.of == "labels"
        assert (levels_of(rows.x) is not None) == is_bytes


def test_levels_of_16_bits_are_not_bytes() -> None:
    deep: Any = np.full((2, 1, 1, 1), 65535, np.uint16)
    assert levels_of(GrayLevels(deep)) is None
    assert (GrayLevels(deep)[:] == 1).all()


def test_a_cohort_may_be_empty() -> None:
    one = cohort({"dropout": {"rate": 1.0}})
    assert (len(one.clients), len(one.examples), one.dropped) == (0, 0, 12)
    assert one.planned_examples(4) == 0


def test_dropped_stragglers_count_as_dropped_out() -> None:
    slow = {"kind": "epochs", "share": 0.5}
    waited = cohort({"stragglers": slow})
    dropped = cohort({"stragglers": {**slow, "drop": True}})
    assert (waited.stragglers, waited.dropped, len(waited.clients)) == (6, 0, 12)
    assert (dropped.stragglers, dropped.dropped, len(dropped.clients)) == (0, 6, 6)
    full = -(-np.array([len(e) for e in dropped.examples]) // 4) * 3
    np.testing.assert_array_equal(dropped.steps, full)


def test_attackers_keep_their_examples_and_change_their_labels() -> None:
    honest = cohort({})
    attacked = cohort({"attacks": {"kind": "boost", "share": 0.25, "factor": 4.0}})
    assert attacked.attackers == 3
    for own, theirs, factor in zip(honest.examples, attacked.examples, attacked.factors):
        np.testing.assert_array_equal(own.x, theirs.x)
        np.testing.assert_array_equal(theirs.y, 2 - own.y if factor == 4 else own.y)
    assert sorted(attacked.factors) == [1] * 9 + [4] * 3
    assert attacked.factors.dtype == np.float32
    # The same clients in every round.
    again = cohort({"attacks": {"kind": "boost", "share": 0.25, "factor": 4.0}}, number=2)
    np.testing.assert_array_equal(attacked.factors, again.factors)


@settings(max_examples=20)
@given(number=st.integers(1, 5))
def test_dropout_stragglers_and_attacks_do_not_disturb_each_other(number: int) -> None:
    """Each has a random stream of its own."""
    slow = {"stragglers": {"kind": "steps", "share": 0.5}}
    one = cohort({"per_round": 8, **slow}, number)
    two = cohort({"per_round": 8, "attacks": {"kind": "label_flip", "share": 0.5}}, number)
    np.testing.assert_array_equal(one.clients, two.clients)
    for a, b in zip(one.examples, two.examples):
        np.testing.assert_array_equal(a.x, b.x)


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("sampler", samplers),
        ("dropout", dropouts),
        ("straggler", stragglers),
        ("attack", attacks),
    ],
)
def test_the_registries_are_public(name: str, registry: Registry[Any, ..., Any]) -> None:
    assert getattr(pytest_federated, name) is registry
    for entry in registry.names():
        assert registry[entry].summary


@pytest.fixture
def own_sampler() -> Any:
    def register(function: Any) -> Any:
        samplers("odd")(function)
        return {"kind": "odd"}

    yield register
    samplers._entries.pop("odd", None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0, 9], "the sampling 'odd' gave clients 0 to 9 for round 3; there are clients 0 to 4"),
        ([1, 1], "the sampling 'odd' gave a client twice for round 3"),
    ],
)
def test_a_wrong_sampler_of_the_user_is_named(own_sampler: Any, given: Any, said: str) -> None:
    chosen = own_sampler(lambda population, size, round_number, rng: given)
    with pytest.raises(DataError) as error:
        drawn(chosen, 5, 2, 3)
    assert str(error.value) == said
