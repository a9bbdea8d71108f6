"""Every split, on any labels: a partition, repeatable, and as skewed as requested."""

from __future__ import annotations

import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Union

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.core.errors import DataError
from pytest_federated.data.splits.partition import NO_ONE, Pool, assign, splits

Choice = Union[str, dict[str, Any]]

# The keys that each split is tried with on a pool, besides min_examples.
KEYS: dict[str, Callable[[Pool], st.SearchStrategy[dict[str, Any]]]] = {
    "iid": lambda pool: st.just({}),
    "dirichlet": lambda pool: st.builds(
        lambda exponent, balance: {"alpha": 10.0**exponent, "balance": balance},
        st.floats(-6, 6, allow_nan=False),
        st.booleans(),
    ),
    "dirichlet_priors": lambda pool: st.builds(
        lambda exponent: {"alpha": 10.0**exponent}, st.floats(-6, 6, allow_nan=False)
    ),
    "dirichlet_sequential": lambda pool: st.builds(
        lambda exponent: {"alpha": 10.0**exponent}, st.floats(-6, 6, allow_nan=False)
    ),
    "shards": lambda pool: st.builds(lambda n: {"shards_per_client": n}, st.integers(1, 5)),
    "labels_per_client": lambda pool: st.fixed_dictionaries(
        {
            "labels": st.integers(1, len(np.unique(pool.labels))),
            "assignment": st.sampled_from(["first_deterministic", "deterministic", "random"]),
        }
    ),
    "extended_dirichlet": lambda pool: st.builds(
        lambda exponent, labels: {"alpha": 10.0**exponent, "labels": labels},
        st.floats(-6, 6, allow_nan=False),
        st.integers(1, len(np.unique(pool.labels))),
    ),
    "similarity": lambda pool: st.fixed_dictionaries({"similar": st.floats(0, 1)}),
    "exclusive": lambda pool: st.fixed_dictionaries({"share": st.floats(0.01, 1)}),
    "distribution": lambda pool: st.builds(
        lambda seed, sparse: {
            "matrix": (
                rng(seed).random((pool.clients, pool.classes))
                * (rng(seed + 1).random((pool.clients, pool.classes)) > 0.5 * sparse)
            ).tolist()
        },
        st.integers(0, 2**16),
        st.booleans(),
    ),
    "continuous": lambda pool: st.fixed_dictionaries(
        {"by": st.sampled_from(["mean", "deviation", "norm"]), "strictness": st.floats(0, 1)}
    ),
    "semantic": lambda pool: st.fixed_dictionaries({"components": st.integers(1, 5)}),
    "inner": lambda pool: st.sampled_from(
        [{"split": "iid"}, {"split": {"kind": "dirichlet", "alpha": 1.0}}]
    ),
    "natural": lambda pool: st.just({}),
    "group_natural": lambda pool: st.just({}),
}
# Splits whose clients get about the same number of examples, and so never too few.
EVEN = {
    *("iid", "continuous", "dirichlet_priors", "dirichlet_sequential"),
    *("natural", "shards", "similarity"),
}
LEAVE_OUT = {"labels_per_client", "extended_dirichlet", "distribution"}
NAMES = splits.names()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def deal(choice: Choice, pool: Pool, seed: int = 0) -> np.ndarray:
    """Returns one draw of a split, which `assign` has not checked."""
    chosen = splits.parse(choice)
    return splits.entry(chosen).call(chosen, pool, rng(seed))


def balanced(labels: int, each: int) -> np.ndarray:
    return np.repeat(np.arange(labels), each)


def counts(client: np.ndarray, pool: Pool) -> np.ndarray:
    """Returns int (clients, labels): how many examples of each label each client holds."""
    table = np.zeros((pool.clients, int(pool.labels.max()) + 1), np.int64)
    np.add.at(table, (client, pool.labels), 1)
    return table


@st.composite
def label_vectors(draw: st.DrawFn) -> np.ndarray:
    """Any labels: few or many of each, with gaps, in any order, or a single label."""
    sizes = draw(st.dictionaries(st.integers(0, 61), st.integers(1, 60), min_size=1, max_size=8))
    labels = np.repeat(list(sizes), list(sizes.values()))
    return rng(draw(st.integers(0, 2**16))).permutation(labels)


@st.composite
def pools(draw: st.DrawFn, at_least: int = 1) -> Pool:
    """A pool with `at_least` examples or more for each client, also for natural ones."""
    labels = draw(label_vectors().filter(lambda y: len(y) >= at_least))
    clients = draw(st.integers(1, len(labels) // at_least))
    generator = rng(draw(st.integers(0, 2**16)))
    sure = np.repeat(np.arange(clients), at_least)
    rest = generator.integers(clients, size=len(labels) - len(sure))
    return Pool(labels, clients, generator.permutation(np.concatenate([sure, rest])))


@st.composite
def cases(draw: st.DrawFn, name: str, at_least: int = 1) -> tuple[Pool, dict[str, Any]]:
    """A pool that can be split this way, with features, and keys for the split."""
    shards = 5 if name == "shards" else 1
    pool = draw(pools(at_least * shards))
    examples, clients = len(pool.labels), pool.clients
    if name == "semantic":
        clients = min(clients, 6)  # it fits a mixture of that many for each label and draw
    if name == "inner":
        clients = min(clients, 10)  # draws up to a hundred splits for each of a hundred draws
    if name == "exclusive":
        clients = min(clients, len(np.unique(pool.labels)))
    natural = pool.natural
    if name in ("group_natural", "inner"):
        bounds = (clients, examples) if name == "group_natural" else (1, clients)
        natural = rng(examples).permutation(np.arange(examples) % draw(st.integers(*bounds)))
    x = rng(examples).random((examples, 2, 3)).astype(np.float32)
    pool = Pool(pool.labels, clients, natural, x=x)
    return pool, draw(KEYS[name](pool))


def test_every_split_is_tried() -> None:
    assert set(KEYS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_each_example_goes_to_one_client(name: str, data: st.DataObject) -> None:
    """In a single draw, clients may stay empty, so there may be more clients than examples."""
    pool, keys = data.draw(cases(name))
    if name not in ("natural", "group_natural", "inner", "exclusive", "distribution"):
        pool = replace(pool, clients=data.draw(st.integers(1, 300)))
    too_many = pool.clients * keys.get("shards_per_client", 0) > len(pool.labels)
    if name == "shards" and too_many:
        with pytest.raises(DataError):
            deal({"kind": name, **keys}, pool)
        return
    try:
        client = deal({"kind": name, **keys}, pool, data.draw(st.integers(0, 2**32)))
    except DataError:
        assert name == "inner"  # which needs an example for each of its clients
        return
    assert client.shape == pool.labels.shape
    assert np.issubdtype(client.dtype, np.integer)
    assert client.min() >= (NO_ONE if name in LEAVE_OUT else 0)
    assert client.max() < pool.clients
    # An example is left out only with all others of its label.
    left_out = set(pool.labels[client == NO_ONE].tolist())
    assert left_out.isdisjoint(pool.labels[client != NO_ONE].tolist())


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_every_client_holds_min_examples(name: str, data: st.DataObject) -> None:
    least = data.draw(st.integers(1, 4))
    pool, keys = data.draw(cases(name, at_least=least))
    chosen = splits.parse({"kind": name, "min_examples": least, **keys})
    try:
        client = assign(chosen, pool, rng(data.draw(st.integers(0, 2**32))))
    except DataError as error:
        assert name not in EVEN
        assert f"fewer than {least} of {len(pool.labels)} examples" in str(error) or name == "inner"
        return
    assert client.shape == pool.labels.shape
    assert client.dtype == np.int64
    sizes = np.bincount(client[client != NO_ONE])
    assert sizes.shape == (pool.clients,)
    assert sizes.min() >= least
    assert name in LEAVE_OUT or sizes.sum() == len(pool.labels)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_seed_always_gives_the_same_split(name: str, data: st.DataObject) -> None:
    pool, keys = data.draw(cases(name, at_least=5))
    seed = data.draw(st.integers(0, 2**32))
    before = pool.labels.copy()
    one, two = (deal({"kind": name, **keys}, pool, seed) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(pool.labels, before)


LARGE: dict[str, dict[str, Any]] = {
    "dirichlet": {"alpha": 1.0},
    "dirichlet_priors": {"alpha": 1.0},
    "dirichlet_sequential": {"alpha": 1.0},
    "extended_dirichlet": {"labels": 2, "alpha": 1.0},
    "labels_per_client": {"labels": 2},
    "similarity": {"similar": 0.5},
    "distribution": {"matrix": [[1.0] * 10] * 10},
    "inner": {"split": "iid"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_memory_grows_with_the_examples(name: str) -> None:
    """Four times the examples and clients take no more than about four times the memory."""
    peaks = []
    for times in (1, 4):
        examples = 20_000 * times
        clients = 10 if name in ("exclusive", "distribution", "semantic") else 100 * times
        natural = np.arange(examples) % (clients // 2 if name == "inner" else clients)
        x = np.ones((examples, 8), np.float32) * rng().random((examples, 1), np.float32)
        pool = Pool(rng().integers(10, size=examples), clients, natural, x=x, num_classes=10)
        keys = {"kind": name, **LARGE.get(name, {})}
        deal(keys, pool)  # imports what it needs
        tracemalloc.start()
        deal(keys, pool)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 5 * max(peaks[0], 100_000)
    assert peaks[1] < 80_000 * 1000


@pytest.mark.parametrize(
    "keys",
    [
        {"kind": "iid"},
        {"kind": "dirichlet", "alpha": 1},
        "shards",
        {"kind": "dirichlet_priors", "alpha": 1},
        {"kind": "dirichlet_sequential", "alpha": 1},
        {"kind": "labels_per_client", "labels": 2, "assignment": "deterministic"},
        {"kind": "labels_per_client", "labels": 2},
        {"kind": "exclusive", "share": 0.5},
        {"kind": "distribution", "matrix": [[1] * 10] * 10},
        {"kind": "continuous", "strictness": 0.5},
        "group_natural",
        {"kind": "inner", "split": "iid"},
    ],
    ids=str,
)
def test_another_seed_gives_another_split(keys: Choice) -> None:
    """Two draws of 400 examples over ten clients are never the same by chance."""
    natural = np.arange(400) % (5 if isinstance(keys, dict) else 50)
    pool = Pool(balanced(10, 40), 10, natural, x=rng().random((400, 3)))
    drawn = {deal(keys, pool, seed).tobytes() for seed in range(20)}
    assert len(drawn) == 20


def test_natural_clients_are_left_as_they_are() -> None:
    natural = rng().integers(3, size=50)
    client = deal("natural", Pool(balanced(10, 5), 3, natural), seed=1)
    np.testing.assert_array_equal(client, natural)


# iid


@given(labels=label_vectors(), clients=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_iid_sizes_differ_by_at_most_one(labels: np.ndarray, clients: int, seed: int) -> None:
    sizes = np.bincount(deal("iid", Pool(labels, clients), seed), minlength=clients)
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("position", [0, 17, 99])
def test_iid_gives_an_example_to_any_client(position: int) -> None:
    """100 examples, 5 clients: in 1,000 draws a client gets it 200 times, deviation 13."""
    pool = Pool(balanced(10, 10), 5)
    times = np.bincount([deal("iid", pool, seed)[position] for seed in range(1000)])
    assert np.abs(times - 200).max() < 5 * 13


# shards


@given(pool=pools(at_least=5), each=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_shards_bound_sizes_and_labels(pool: Pool, each: int, seed: int) -> None:
    client = deal({"kind": "shards", "shards_per_client": each}, pool, seed)
    count, examples = pool.clients * each, len(pool.labels)
    sizes = np.bincount(client, minlength=pool.clients)
    assert sizes.min() >= each * (examples // count)
    assert sizes.max() <= each * -(-examples // count)
    # In label order a shard has one label, and one more for each change of label inside it; each
    # change is inside at most one shard.
    labels_of = (counts(client, pool) > 0).sum(axis=1)
    changes = len(np.unique(pool.labels)) - 1
    assert labels_of.sum() <= count + changes
    # A shard that is no larger than the rarest label has at most one change inside it.
    if -(-examples // count) <= np.bincount(pool.labels)[np.unique(pool.labels)].min():
        assert labels_of.max() <= 2 * each


@pytest.mark.parametrize("each", [1, 2, 3])
def test_a_client_holds_exactly_its_number_of_shards(each: int) -> None:
    """If every example has its own label, shards can be distinguished."""
    clients, size = 7, 4
    labels = rng().permutation(clients * each * size)
    client = deal({"kind": "shards", "shards_per_client": each}, Pool(labels, clients), seed=3)
    shards = client[np.argsort(labels)].reshape(clients * each, size)
    assert (shards == shards[:, :1]).all()
    assert np.bincount(shards[:, 0]).tolist() == [each] * clients


@pytest.mark.parametrize("each", [1, 2, 5])
def test_shards_that_fit_the_labels_hold_one_label_each(each: int) -> None:
    """As in McMahan et al., where two shards mean at most two digits."""
    pool = Pool(rng().permutation(balanced(10, 60)), 20)
    table = counts(deal({"kind": "shards", "shards_per_client": each}, pool, seed=5), pool)
    assert (table > 0).sum(axis=1).max() <= each
    assert set(table.sum(axis=1)) == {30}


def test_shards_are_not_dealt_in_order() -> None:
    """A client's shards are drawn from all labels, not from neighboring ones."""
    pool = Pool(balanced(10, 10), 5)
    held = [set(pool.labels[deal("shards", pool, seed) == 0].tolist()) for seed in range(200)]
    assert len({frozenset(h) for h in held}) > 30  # of 45 pairs of labels


# dirichlet


def conditional_entropy(table: np.ndarray) -> float:
    """Returns H(label | client) in nats: how little the client says about the label."""
    joint = table / table.sum()
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return -float((joint * np.log(np.where(share > 0, share, 1))).sum())


def test_a_lower_alpha_skews_the_labels_more() -> None:
    pool = Pool(balanced(10, 100), 10)
    entropies = [
        np.mean(
            [
                conditional_entropy(
                    counts(deal({"kind": "dirichlet", "alpha": alpha}, pool, seed), pool)
                )
                for seed in range(30)
            ]
        )
        for alpha in (0.001, 0.01, 0.1, 1, 10, 100)
    ]
    assert entropies == sorted(entropies)
    assert entropies[0] < 0.3 * np.log(10)  # not 0: a client may get several labels
    assert entropies[-1] > 0.98 * np.log(10)


@pytest.mark.parametrize(
    "alpha",
    [pytest.param(0.1, marks=pytest.mark.slow), 1, pytest.param(10, marks=pytest.mark.slow)],
)
def test_shares_have_the_moments_of_the_dirichlet_distribution(alpha: float) -> None:
    """Mean 1/K, variance (1/K)(1 - 1/K) / (K alpha + 1), for each of K clients."""
    clients, draws = 5, 600
    pool = Pool(np.zeros(10_000, np.int64), clients)
    shares = np.array(
        [
            counts(deal({"kind": "dirichlet", "alpha": alpha}, pool, seed), pool)[:, 0] / 10_000
            for seed in range(draws)
        ]
    )
    variance = 0.2 * 0.8 / (clients * alpha + 1)
    # Five standard errors: no client gets more than others, not even the first or the last.
    np.testing.assert_allclose(shares.mean(axis=0), 0.2, atol=5 * np.sqrt(variance / draws))
    np.testing.assert_allclose(shares.var(axis=0).mean(), variance, rtol=0.15)


@pytest.mark.parametrize("alpha", [1e7, 1e15, 1e100])
def test_a_huge_alpha_gives_equal_shares(alpha: float) -> None:
    pool = Pool(rng().permutation(balanced(10, 100)), 10)
    table = counts(deal({"kind": "dirichlet", "alpha": alpha}, pool), pool)
    assert np.abs(table - 10).max() <= 1


def test_an_alpha_near_zero_gives_each_label_to_one_client() -> None:
    pool = Pool(rng().permutation(balanced(10, 100)), 10)
    for seed in range(20):
        table = counts(deal({"kind": "dirichlet", "alpha": 1e-6}, pool, seed), pool)
        assert (table.max(axis=0) == 100).all()


def test_an_alpha_at_the_end_of_the_range_gives_equal_shares() -> None:
    pool = Pool(balanced(10, 100), 10)
    table = counts(deal({"kind": "dirichlet", "alpha": 1.5e308}, pool), pool)
    assert np.abs(table - 10).max() <= 1


def test_a_tiny_alpha_does_not_hang() -> None:
    """It gives the split or an error at once; in its own process, as it might never return."""
    code = """
import numpy as np
from pytest_federated.data.splits.partition import NO_ONE, Pool, assign, splits
from pytest_federated.core.errors import FederatedError
print("ready", flush=True)
try:
    chosen = splits.parse({"kind": "dirichlet", "alpha": 1e-15})
    assign(chosen, Pool(np.zeros(10, int), 2), np.random.default_rng(0))
except (FederatedError, ValueError):
    pass
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            assert process.wait(timeout=150) == 0
        finally:
            process.kill()


# Drawing again, and pools that cannot be split


def test_a_split_is_drawn_again_until_every_client_has_enough() -> None:
    """Of six shards of 2, 2, 1, 2, 2, 1 examples, a client may get both small ones."""
    pool = Pool(balanced(2, 5), 3)
    once = [np.bincount(deal("shards", pool, seed)).min() for seed in range(60)]
    assert set(once) == {2, 3}
    chosen = splits.parse({"kind": "shards", "min_examples": 3})
    assert {np.bincount(assign(chosen, pool, rng(seed))).min() for seed in range(60)} == {3}


@pytest.mark.parametrize(
    ("choice", "examples", "clients", "message"),
    [
        (
            "iid",
            10,
            20,
            "20 clients with at least 1 example(s) each need 20 training examples; there are 10",
        ),
        (
            {"kind": "iid", "min_examples": 2},
            39,
            20,
            "20 clients with at least 2 example(s) each need 40 training examples; there are 39",
        ),
        (
            {"kind": "dirichlet", "alpha": 1},
            2,
            3,
            "3 clients with at least 1 example(s) each need 3 training examples; there are 2",
        ),
        (
            {"kind": "shards", "shards_per_client": 6},
            100,
            20,
            "20 clients with 6 shards each need 120 training examples; there are 100",
        ),
    ],
)
def test_too_few_examples_are_refused(
    choice: Choice, examples: int, clients: int, message: str
) -> None:
    with pytest.raises(DataError) as error:
        assign(splits.parse(choice), Pool(np.arange(examples) % 10, clients), rng())
    assert str(error.value) == message


def test_empty_clients_are_named_with_the_reason_and_what_to_do() -> None:
    """There is one label, which goes to one of three clients."""
    pool = Pool(np.zeros(100, np.int64), 3)
    with pytest.raises(DataError) as error:
        assign(splits.parse({"kind": "dirichlet", "alpha": 1e-6}), pool, rng())
    assert re.fullmatch(
        r"the split dirichlet \(alpha 1e-06\) leaves client \d \(0\), client \d \(0\) with fewer "
        r"than 1 of 100 examples in each of 100 draws; use fewer clients.* a larger alpha",
        str(error.value),
    )


def test_many_short_clients_are_counted_after_the_first_five() -> None:
    pool = Pool(np.zeros(100, np.int64), 30)
    chosen = splits.parse({"kind": "dirichlet", "alpha": 1e-6, "min_examples": 2})
    with pytest.raises(DataError) as error:
        assign(chosen, pool, rng())
    assert str(error.value).count("client ") == 5
    assert "and 24 more with fewer than 2 of 100 examples" in str(error.value)
    assert str(error.value).endswith("or a smaller min_examples")


def test_natural_clients_that_are_too_small_are_left_to_others() -> None:
    natural = np.repeat([0, 1, 2], [12, 5, 3])
    pool = Pool(np.zeros(20, np.int64), 3, natural)
    client = assign(splits.parse({"kind": "natural", "min_examples": 4}), pool, rng())
    np.testing.assert_array_equal(client, natural)  # see test_small_clients.py


def test_a_data_set_without_natural_clients_is_refused() -> None:
    with pytest.raises(DataError, match="needs a data set with natural clients"):
        assign(splits.parse("natural"), Pool(np.zeros(5, np.int64), 2), rng())


# A split of the user


@pytest.fixture
def own_split(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """A function that registers a split `own` with this result, for the test."""
    monkeypatch.setattr(splits, "_entries", splits.entries())

    def register(client: Any) -> None:
        @splits("own")
        def own(pool: Pool, rng: np.random.Generator) -> np.ndarray:
            return client

    return register


def test_a_split_of_the_user_is_used(own_split: Callable[[Any], None]) -> None:
    own_split(np.array([1, 0, 1]))
    assert assign(splits.parse("own"), Pool(np.zeros(3, np.int64), 2), rng()).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(np.array([0, 1]), id="one is missing"),
        pytest.param(np.array([0, 1, 2]), id="client 2 of 2"),
        pytest.param(
            np.array([0, 1, -1]),
            id="negative",
        ),
        pytest.param(
            np.array([[0, 1, 1]]),
            id="two dimensions",
        ),
        pytest.param(
            np.array([0.0, 1.0, 1.0]),
            id="fractions",
        ),
    ],
)
def test_an_invalid_partition_is_refused(
    own_split: Callable[[Any], None], client: np.ndarray
) -> None:
    own_split(client)
    with pytest.raises(DataError, match="the split 'own' gave"):
        assign(splits.parse("own"), Pool(np.zeros(3, np.int64), 2), rng())
