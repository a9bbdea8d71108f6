"""The particular promises of each split; test_splits.py has what all have in common."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any, Optional, Union

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest_federated.core.errors import DataError
from pytest_federated.data.heterogeneity import label_entropies
from pytest_federated.data.splits.partition import NO_ONE, Pool, assign, drawn, splits

Choice = Union[str, dict[str, Any]]

seeds = st.integers(0, 2**32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def deal(choice: Choice, pool: Pool, seed: int = 0) -> np.ndarray:
    chosen = splits.parse(choice)
    return splits.entry(chosen).call(chosen, pool, rng(seed))


def pool(
    clients: int, labels: int = 10, each: int = 60, sizes: Optional[np.ndarray] = None
) -> Pool:
    return Pool(rng(1).permutation(np.repeat(np.arange(labels), each)), clients, sizes=sizes)


def counts(client: np.ndarray, pool: Pool) -> np.ndarray:
    table = np.zeros((pool.clients, pool.classes), np.int64)
    held = client != NO_ONE
    np.add.at(table, (client[held], pool.labels[held]), 1)
    return table


@st.composite
def sized_pools(draw: st.DrawFn) -> Pool:
    """Pools with any labels, and any sizes for which there are enough examples."""
    per_label = draw(st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any))
    labels = rng(draw(seeds)).permutation(np.repeat(np.arange(len(per_label)), per_label))
    clients = draw(st.integers(1, 12))
    total = draw(st.integers(0, len(labels)))
    sizes = rng(draw(seeds)).multinomial(total, np.full(clients, 1 / clients))
    x = rng(total).random((len(labels), 4))
    return Pool(labels, clients, sizes=sizes, x=x, num_classes=len(per_label))


@pytest.mark.parametrize(
    "choice",
    [
        "iid",
        {"kind": "dirichlet_priors", "alpha": 1e-4},
        {"kind": "dirichlet_priors", "alpha": 1},
        {"kind": "dirichlet_priors", "alpha": 1e6},
        {"kind": "dirichlet_sequential", "alpha": 1e-4},
        {"kind": "dirichlet_sequential", "alpha": 1},
        {"kind": "dirichlet", "alpha": 0.3},
        {"kind": "dirichlet", "alpha": 0.3, "balance": True},
        {"kind": "shards", "shards_per_client": 3},
        {"kind": "distribution"},
        {"kind": "continuous", "strictness": 0.5},
    ],
    ids=str,
)
@given(pool=sized_pools(), seed=seeds)
def test_sizes_are_exactly_the_requested_ones(choice: Choice, pool: Pool, seed: int) -> None:
    if isinstance(choice, dict) and choice["kind"] == "distribution":
        choice = {**choice, "matrix": rng(seed).random((pool.clients, pool.classes)).tolist()}
    elif isinstance(choice, dict) and choice["kind"] == "shards":
        assume(3 * pool.clients <= len(pool.labels))
    client = deal(choice, pool, seed)
    assert pool.sizes is not None
    held = np.bincount(client[client != NO_ONE], minlength=pool.clients)
    assert held.tolist() == pool.sizes.tolist()
    assert (client == NO_ONE).sum() == len(pool.labels) - pool.sizes.sum()


@pytest.mark.parametrize("name", ["iid", "dirichlet_priors", "dirichlet_sequential", "continuous"])
@given(pool=sized_pools(), seed=seeds)
def test_sizes_that_were_not_requested_differ_by_at_most_one(
    name: str, pool: Pool, seed: int
) -> None:
    even = Pool(pool.labels, pool.clients, x=pool.x, num_classes=pool.num_classes)
    choice = {"kind": name, "alpha": 0.1} if name.startswith("dirichlet") else name
    held = np.bincount(deal(choice, even, seed), minlength=pool.clients)
    assert held.sum() == len(pool.labels)
    assert held.max() - held.min() <= 1


def sized(each: int = 300) -> Pool:
    """A pool of ten labels, whose ten clients get 1, 2, ... 10 parts of the examples."""
    return pool(10, each=each, sizes=each * 10 * np.arange(1, 11) // 55)


@pytest.mark.parametrize("seed", range(5))
def test_sizes_do_not_take_the_skew_of_dirichlet(seed: int) -> None:
    def entropy(alpha: float, some: Pool) -> float:
        choice = {"kind": "dirichlet", "alpha": alpha}
        return float(label_entropies(counts(deal(choice, some, seed), some)).mean())

    entropies = [entropy(alpha, sized()) for alpha in (0.05, 0.5, 5, 500)]
    assert entropies == sorted(entropies)
    assert entropies[-1] > 0.98 * np.log(10)
    assert entropies[0] < entropy(0.5, pool(10, each=300))


@pytest.mark.parametrize("seed", range(5))
def test_shards_of_given_sizes_have_few_labels(seed: int) -> None:
    some = sized()
    table = counts(deal("shards", some, seed), some)
    # A shard of half a client's examples spans as many labels as fit into it, and one more.
    assert ((table > 0).sum(axis=1) <= 2 * (some.client_sizes() / 2 // 300 + 2)).all()
    # Each seed gives other labels.
    assert not np.array_equal(table, counts(deal("shards", some, seed + 5), some))


@pytest.mark.parametrize("seed", range(5))
def test_clients_of_any_size_draw_from_their_row_of_the_matrix(seed: int) -> None:
    """If no label runs out, a client has only its own labels, in their proportions."""
    labels = np.repeat(np.arange(4), 1000)
    some = Pool(labels, 3, sizes=np.array([600, 300, 60]), num_classes=4)
    matrix = [[1, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 7]]
    table = counts(deal({"kind": "distribution", "matrix": matrix}, some, seed), some)
    assert (table[np.array(matrix) == 0] == 0).all()
    # Binomial, within five standard deviations.
    assert abs(table[0, 0] - 300) < 5 * np.sqrt(600 / 4)
    assert abs(table[1, 1] - 200) < 5 * np.sqrt(300 * 2 / 9)


@pytest.mark.parametrize("seed", range(5))
def test_exclusive_labels_go_where_examples_are_lacking(seed: int) -> None:
    some = pool(3, each=60, sizes=np.array([100, 400, 100]))
    table = counts(deal("exclusive", some, seed), some)
    assert ((table > 0).sum(axis=0) == 1).all()
    assert ((table > 0).sum(axis=1) >= 1).all()
    # Labels are not divided: sizes are exact to within the 60 examples of a label.
    assert np.abs(table.sum(axis=1) - some.client_sizes()).max() <= 60
    shared = counts(deal({"kind": "exclusive", "share": 0.5}, some, seed), some)
    assert np.abs(shared.sum(axis=1) - some.client_sizes()).max() <= 1
    tiny = pool(5, labels=5, sizes=np.array([296, 1, 1, 1, 1]))
    assert (counts(deal("exclusive", tiny, seed), tiny).sum(axis=1) == 60).all()


@given(pool=sized_pools(), share=st.floats(0.01, 1), seed=seeds)
def test_exclusive_labels_stay_exclusive_with_any_sizes(
    pool: Pool, share: float, seed: int
) -> None:
    present = np.unique(pool.labels)
    assume(pool.clients <= len(present))
    client = deal({"kind": "exclusive", "share": share}, pool, seed)
    table = counts(client, pool)
    assert table.sum() == len(pool.labels)
    if share == 1:
        assert ((table > 0).sum(axis=0) <= 1).all()
        assert (table > 0).any(axis=1).all()


# dirichlet with balance


def test_balance_bounds_the_sizes() -> None:
    """A client with an equal share gets no more: it exceeds that by at most one label."""
    some = pool(10)
    largest = [
        [
            np.bincount(deal({"kind": "dirichlet", "alpha": 0.5, "balance": b}, some, seed)).max()
            for seed in range(50)
        ]
        for b in (False, True)
    ]
    assert np.mean(largest[1]) < np.mean(largest[0])
    assert max(largest[1]) < 60 + 60


# dirichlet_priors


@given(pool=sized_pools(), alpha=st.sampled_from([1e-6, 1e-2, 1.0, 1e3]), seed=seeds)
def test_only_available_clients_are_drawn(pool: Pool, alpha: float, seed: int) -> None:
    supply = np.bincount(pool.labels, minlength=pool.classes)
    priors = rng(seed).dirichlet(np.full(pool.classes, alpha), size=pool.clients)
    assert pool.sizes is not None
    table = drawn(priors, pool.sizes, supply, rng(seed))
    assert table.min() >= 0
    assert table.sum(axis=1).tolist() == pool.sizes.tolist()
    assert (table.sum(axis=0) <= supply).all()


def test_labels_follow_the_priors_if_there_are_enough() -> None:
    priors = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    table = drawn(priors, np.array([10_000, 10_000]), np.full(3, 100_000), rng())
    np.testing.assert_allclose(table / 10_000, priors, atol=5 * 0.005)


def test_chance_decides_who_gets_the_last_of_a_label() -> None:
    """Both want all 100: each gets 50 on average, with a deviation of 5."""
    priors = np.array([[1.0, 0.0], [1.0, 0.0]])
    got = [drawn(priors, np.array([100, 100]), np.array([100, 100]), rng(s)) for s in range(200)]
    first = np.array([table[0, 0] for table in got])
    assert abs(first.mean() - 50) < 5 * 5 / np.sqrt(200)
    assert all((table.sum(axis=1) == 100).all() for table in got)


def test_a_tiny_alpha_gives_a_client_one_label_if_there_are_enough() -> None:
    some = pool(3, each=200, sizes=np.array([60, 50, 40]))
    for seed in range(20):
        table = counts(deal({"kind": "dirichlet_priors", "alpha": 1e-6}, some, seed), some)
        assert table.max(axis=1).tolist() == [60, 50, 40]


# dirichlet_sequential


def one_by_one(some: Pool, alpha: float, random: np.random.Generator) -> np.ndarray:
    """Draws one example at a time.

    Source: google-research/federated, utils/datasets/cifar10_dataset.py.
    """
    left = np.bincount(some.labels)
    shares = random.dirichlet(np.full(len(left), alpha), some.clients)
    table = np.zeros(shares.shape, np.int64)
    for client in range(some.clients):
        for _ in range(len(some.labels) // some.clients):
            label = random.choice(len(left), p=shares[client])
            table[client, label] += 1
            left[label] -= 1
            if left[label] == 0 and left.any():
                shares[:, label] = 0
                shares /= shares.sum(axis=1, keepdims=True)
    return table


def test_clients_are_filled_one_after_the_other() -> None:
    """As in the authors' loop, at each place in the order, and not as if all drew at once."""
    some, alpha, draws = pool(5, labels=6, each=50), 0.1, 120
    entropies = {
        "loop": [label_entropies(one_by_one(some, alpha, rng(seed))) for seed in range(draws)],
        **{
            name: [
                label_entropies(counts(deal({"kind": name, "alpha": alpha}, some, seed), some))
                for seed in range(draws)
            ]
            for name in ("dirichlet_sequential", "dirichlet_priors")
        },
    }
    means = {name: np.mean(values, axis=0) for name, values in entropies.items()}
    errors = np.std(entropies["loop"], axis=0) * np.sqrt(2 / draws)
    assert (np.abs(means["dirichlet_sequential"] - means["loop"]) < 4 * errors).all()
    assert means["dirichlet_priors"].mean() > means["loop"].mean() + 4 * errors.mean()


def test_a_client_whose_label_ran_out_draws_from_the_rest() -> None:
    """With a tiny alpha each client wants one label; four clients rarely want four."""
    some = pool(4, labels=4, each=50)
    tables = [
        counts(deal({"kind": "dirichlet_sequential", "alpha": 1e-6}, some, seed), some)
        for seed in range(20)
    ]
    assert all(table[0].max() == 50 for table in tables)
    assert all((table.sum(axis=0) == 50).all() for table in tables)
    assert any(table[1].max() < 50 for table in tables)


# labels_per_client


@pytest.mark.parametrize("assignment", ["first_deterministic", "deterministic", "random"])
@pytest.mark.parametrize("labels", [1, 2, 5, 10])
@pytest.mark.parametrize("clients", [3, 10, 25])
def test_clients_have_their_number_of_labels(assignment: str, labels: int, clients: int) -> None:
    some = pool(clients)
    choice = {"kind": "labels_per_client", "labels": labels, "assignment": assignment}
    for seed in range(10):
        table = counts(deal(choice, some, seed), some)
        held = table > 0
        assert (held.sum(axis=1) == labels).all()
        if assignment == "deterministic":
            for client in range(clients):
                assert held[client, (client + np.arange(labels)) % 10].all()
        if assignment == "first_deterministic":
            assert held[np.arange(clients), np.arange(clients) % 10].all()
            if clients >= 10:
                assert table.sum() == len(some.labels)  # no example is left out
        for label in range(10):  # those who have a label share it evenly
            shared = table[held[:, label], label]
            assert not len(shared) or (shared.sum() == 60 and np.ptp(shared) <= 1)


def test_labels_are_shared_in_proportion_to_sizes() -> None:
    sizes = np.array([10, 20, 30])
    some = pool(3, labels=2, each=60, sizes=sizes)
    table = counts(deal({"kind": "labels_per_client", "labels": 2}, some), some)
    assert table.tolist() == [[10, 10], [20, 20], [30, 30]]


def test_more_labels_than_there_are_cannot_be_requested() -> None:
    with pytest.raises(DataError) as error:
        deal({"kind": "labels_per_client", "labels": 11}, pool(3))
    assert str(error.value) == (
        "the split labels_per_client asks for 11 labels a client; the training examples have 10"
    )


# extended_dirichlet


@pytest.mark.parametrize("labels", [1, 2, 5, 10])
@pytest.mark.parametrize("clients", [3, 10, 25])
def test_dirichlet_proportions_of_some_labels(labels: int, clients: int) -> None:
    some = pool(clients)
    for seed in range(10):
        mild = {"kind": "extended_dirichlet", "labels": labels, "alpha": 1e6}
        held = counts(deal(mild, some, seed), some) > 0
        assert (held.sum(axis=1) == labels).all()
        assert np.ptp(held.sum(axis=0)) <= 1, "labels have equally many clients"
        skewed = counts(deal({**mild, "alpha": 1e-6}, some, seed), some)
        assert ((skewed > 0).sum(axis=0) <= 1).all(), "a label is dealt to one of its clients"
        assert skewed.sum() == counts(deal(mild, some, seed), some).sum()


def test_extended_dirichlet_needs_as_many_labels() -> None:
    with pytest.raises(DataError, match="extended_dirichlet asks for 11 labels a client"):
        deal({"kind": "extended_dirichlet", "labels": 11, "alpha": 1}, pool(3))


# similarity


@pytest.mark.parametrize("sizes", [None, np.array([40, 10, 250])])
def test_a_share_of_the_examples_is_dealt_at_random(sizes: Any) -> None:
    some = pool(3, sizes=sizes) if sizes is not None else pool(10)
    wanted = some.client_sizes()
    labels_held = []
    for similar in (0.0, 0.3, 1.0):
        table = counts(deal({"kind": "similarity", "similar": similar}, some), some)
        assert table.sum(axis=1).tolist() == wanted.tolist()
        labels_held.append((table > 0).sum(axis=1).mean())
    assert labels_held[0] < labels_held[1] <= labels_held[2]
    if sizes is None:
        assert labels_held[0] <= 2, "consecutive pieces of the sorted examples"


# exclusive


@pytest.mark.parametrize("clients", [1, 3, 10])
def test_no_two_clients_have_a_label_in_common(clients: int) -> None:
    some = pool(clients)
    for seed in range(10):
        held = counts(deal("exclusive", some, seed), some) > 0
        assert (held.sum(axis=0) == 1).all()
        assert np.ptp(held.sum(axis=1)) <= 1


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_share_is_exclusive_and_the_rest_iid(share: float) -> None:
    some = pool(10, each=100)
    table = counts(deal({"kind": "exclusive", "share": share}, some), some)
    own = np.sort(table, axis=0)[-1]  # a label's owner has `share`, and a tenth of the rest
    np.testing.assert_allclose(own / 100, share + (1 - share) / 10, atol=5 * 0.05)


def test_more_clients_than_exclusive_labels_are_refused() -> None:
    with pytest.raises(DataError, match=r"11 clients need as many labels; .* have 10"):
        deal("exclusive", pool(11))


# distribution


@given(pool=sized_pools(), seed=seeds)
def test_a_matrix_of_counts_gives_these_counts(pool: Pool, seed: int) -> None:
    """A matrix of counts that use up every label."""
    pool = replace(pool, sizes=None)
    supply = np.bincount(pool.labels, minlength=pool.classes)
    matrix = rng(seed).multinomial(supply, np.full(pool.clients, 1 / pool.clients)).T
    client = deal({"kind": "distribution", "matrix": matrix.astype(float).tolist()}, pool, seed)
    assert counts(client, pool).tolist() == matrix.tolist()


def test_a_label_that_no_client_wants_is_left_out() -> None:
    some = pool(2, labels=3)
    client = deal({"kind": "distribution", "matrix": [[1, 0, 1], [1, 0, 3]]}, some)
    assert counts(client, some).tolist() == [[30, 0, 15], [30, 0, 45]]
    assert set(some.labels[client == NO_ONE]) == {1}


@pytest.mark.parametrize("matrix", [[[1, 2]], [[1, 2], [1, 2]], [[1, 2, 3], [1, 2]]])
def test_a_matrix_of_another_shape_is_refused(matrix: list[list[float]]) -> None:
    with pytest.raises(DataError, match="needs a matrix of 2 rows, one a client, and 3 columns"):
        deal({"kind": "distribution", "matrix": matrix}, pool(2, labels=3))


# continuous


def brightness(strictness: float, by: str = "mean", seed: int = 0) -> tuple[np.ndarray, Pool]:
    x = rng(7).random((600, 2, 2)) * rng(8).random((600, 1, 1))
    some = Pool(np.zeros(600, np.int64), 6, x=x)
    return deal({"kind": "continuous", "by": by, "strictness": strictness}, some, seed), some


@pytest.mark.parametrize(
    ("by", "value"),
    [
        ("mean", lambda x: x.mean(axis=(1, 2))),
        ("deviation", lambda x: x.std(axis=(1, 2))),
        ("norm", lambda x: np.sqrt((x**2).sum(axis=(1, 2)))),
    ],
)
def test_clients_are_strictly_in_order(by: str, value: Any) -> None:
    client, some = brightness(1.0, by)
    held = [value(some.x)[client == c] for c in range(6)]
    for one, next_ in zip(held, held[1:]):
        assert one.max() <= next_.min() + 1e-6


def test_strictness_orders_the_clients_more_and_more() -> None:
    """The variance between clients' means is that of chance at 0, and largest at 1."""

    def between(strictness: float) -> float:
        spread = []
        for seed in range(20):
            client, some = brightness(strictness, seed=seed)
            mean = some.x.mean(axis=(1, 2))
            spread.append(np.var([mean[client == c].mean() for c in range(6)]) / mean.var())
        return float(np.mean(spread))

    found = [between(s) for s in (0.0, 0.3, 0.5, 0.7, 1.0)]
    assert found == sorted(found)
    assert found[0] < 0.03 and found[-1] > 0.85


def test_identical_examples_are_dealt_at_random() -> None:
    some = Pool(np.repeat([0, 1], 300), 6, x=np.ones((600, 3)))
    table = counts(deal("continuous", some), some)
    assert table.min() > 20  # of 50 each, deviation 5


def test_continuous_needs_features() -> None:
    with pytest.raises(DataError, match="reads the features"):
        deal("continuous", pool(3))


def test_features_are_read_in_blocks() -> None:
    class Rows:
        shape, largest = (10_000, 3), 0

        def __getitem__(self, index: Any) -> np.ndarray:
            rows = rng(index.start).random((len(range(10_000)[index]), 3))
            self.largest = max(self.largest, len(rows))
            return rows

    rows = Rows()
    assert (
        np.bincount(deal("continuous", Pool(np.zeros(10_000, int), 4, x=rows))).tolist()
        == [2500] * 4
    )
    assert rows.largest == 4096


# semantic


def blobs(kinds: int = 3, labels: int = 2, each: int = 80) -> tuple[Pool, np.ndarray]:
    """Each label has one kind for each client, far apart, and the same kinds as other labels."""
    kind = np.tile(np.arange(kinds), labels * each)
    label = np.repeat(np.arange(labels), kinds * each)
    center = 20 * np.eye(max(kinds, labels) + labels)
    x = center[kind] + 0.3 * center[-1 - label] + rng(3).normal(size=(len(kind), len(center)))
    mixed = rng(4).permutation(len(kind))
    return Pool(label[mixed], kinds, x=x[mixed].astype(np.float32)), kind[mixed]


@pytest.mark.parametrize("seed", range(5))
def test_a_client_has_one_kind_of_each_label(seed: int) -> None:
    some, kind = blobs()
    client = deal({"kind": "semantic", "components": 4}, some, seed)
    table = np.zeros((3, 3))
    np.add.at(table, (client, kind), 1)
    assert (table > 0).sum() == 3  # one kind for each client, across labels
    assert (counts(client, some) == 80).all()


def test_semantic_clients_are_more_alike_within_than_between() -> None:
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    some = Pool(data.target, 8, x=data.images)
    client = assign(splits.parse("semantic"), some, rng())
    ours = _scatter(data.data, client)
    by_chance = _scatter(data.data, deal("iid", some))
    assert ours < 0.97 * by_chance


def test_many_semantic_clients_are_split_by_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine kinds form three families: first groups are split, and within them clients."""
    monkeypatch.setattr(import_module("pytest_federated.data.splits.semantic"), "_AT_ONCE", 4)
    kind, label = np.tile(np.arange(9), 120), np.repeat(np.arange(3), 360)
    center = np.stack([300 * np.eye(3)[k // 3] + 20 * np.eye(3)[k % 3] for k in range(9)])
    x = center[kind] + rng(3).normal(size=(len(kind), 3))
    some = Pool(label, 9, x=x.astype(np.float32))
    for seed in range(5):
        client = deal({"kind": "semantic", "components": 3}, some, seed)
        table = np.zeros((9, 9), np.int64)
        np.add.at(table, (client, kind), 1)
        assert sorted(table.max(axis=1)) == [120] * 9  # a client has all of one kind
        families = [set((np.flatnonzero(row) // 3).tolist()) for row in table]
        assert [len(f) for f in families] == [1] * 9
        assert families[0] == families[1] == families[2]  # groups are neighbors


def test_semantic_clients_are_found_in_three_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("pytest_federated.data.splits.semantic"), "_AT_ONCE", 2)
    some = Pool(rng().integers(4, size=600), 30, x=rng(1).normal(size=(600, 5)))
    one, again = (deal({"kind": "semantic", "components": 3}, some, 5) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert set(one.tolist()) == set(range(30))
    assert _scatter(some.x, one) < 0.9 * _scatter(some.x, deal("iid", some))


def _scatter(x: np.ndarray, client: np.ndarray) -> float:
    return float(np.mean([x[client == c].var(axis=0).sum() for c in np.unique(client)]))


# group_natural and inner


def test_natural_clients_are_merged_whole_and_evenly() -> None:
    natural = rng(2).integers(17, size=600)
    some = Pool(pool(1).labels, 5, natural)
    client = deal("group_natural", some, 3)
    assert all(len(set(client[natural == n])) == 1 for n in range(17))
    groups = [len(set(natural[client == c])) for c in range(5)]
    assert sorted(groups) == [3, 3, 3, 4, 4]


def test_too_few_natural_clients_cannot_be_merged() -> None:
    with pytest.raises(DataError, match="cannot make 5 clients of the data's 3 natural ones"):
        deal("group_natural", Pool(np.zeros(9, int), 5, np.arange(9) % 3))


def test_an_inner_split_keeps_natural_clients_apart() -> None:
    natural = np.repeat([0, 1, 2], [100, 200, 300])
    some = Pool(pool(1).labels, 12, natural)
    client = deal({"kind": "inner", "split": {"kind": "dirichlet", "alpha": 1}}, some)
    owners = [set(natural[client == c].tolist()) for c in range(12)]
    assert all(len(o) == 1 for o in owners)
    assert [owners.count({n}) for n in range(3)] == [3, 4, 5]  # one each, and 9 by size


def test_an_inner_split_may_read_features() -> None:
    natural = np.arange(600) % 2
    x = rng(2).random((600, 3))
    some = Pool(pool(1).labels, 4, natural, x=x)
    client = deal({"kind": "inner", "split": "continuous"}, some)
    for own in (0, 1):
        low, high = (
            x[(client == c) & (natural == own)].mean(axis=1) for c in (2 * own, 2 * own + 1)
        )
        assert low.max() <= high.min() + 1e-6


def test_an_inner_split_needs_as_many_clients_as_natural_ones() -> None:
    with pytest.raises(DataError, match=r"there are 3, and clients\.count is 2"):
        deal({"kind": "inner", "split": "iid"}, Pool(np.zeros(9, int), 2, np.arange(9) % 3))


@pytest.mark.parametrize("name", ["dirichlet", "shards", "exclusive", "semantic"])
def test_splits_by_label_need_one_label_for_each_example(name: str) -> None:
    some = Pool(np.zeros((20, 5), int), 2, x=np.zeros((20, 3)))
    choice = {"kind": name, "alpha": 1} if name == "dirichlet" else name
    with pytest.raises(DataError, match=r"needs one label for each example.* iid"):
        assign(splits.parse(choice), some, rng())
    assert assign(splits.parse("iid"), some, rng()).shape == (20,)
