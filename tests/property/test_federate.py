"""From a data set to clients and a test set: every example once, and the same for a seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, datasets, in_memory
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data
from pytest_federated.data.splits.partition import splits

Choice = Union[str, dict[str, Any]]
NOWHERE = Cache(Path("no-such-cache"))  # no data set of these tests reads it

FORMS = [f"form-{i:02d}" for i in range(14)]


@pytest.fixture(scope="module", autouse=True)
def numbered() -> Iterator[None]:
    """A data set with any labels; the only pixel of example i is i, so it can be followed."""
    known = datasets.entries()

    @datasets("numbered")
    def numbered(cache: Cache, *, labels: list[int], natural: list[str] = []) -> Dataset:  # noqa: B006
        examples = Examples(np.arange(len(labels), dtype=np.float32)[:, None], np.array(labels))
        return in_memory(
            "numbered", examples, max(labels) + 1, np.array(natural) if natural else None
        )

    yield
    datasets._entries.clear()
    datasets._entries.update(known)


def numbers(examples: Examples) -> list[int]:
    """Returns which examples of the data set `numbered` these are."""
    return examples.x[:, 0].astype(int).tolist()


def make(
    dataset: Choice = "digits",
    *,
    seed: int = 0,
    fraction: Optional[float] = None,
    **clients: Any,
) -> FederatedData:
    data = Data.model_validate({"dataset": dataset, "test_fraction": fraction})
    return federate(data, Clients.model_validate(clients), seed, NOWHERE)


def same(one: FederatedData, two: FederatedData) -> bool:
    """Says whether two federations are equal to the bit."""
    return (
        one.names == two.names
        and all(
            np.array_equal(a, b)
            for a, b in [
                (one.train.x, two.train.x),
                (one.train.y, two.train.y),
                (one.test.x, two.test.x),
                (one.test.y, two.test.y),
            ]
        )
        and all(np.array_equal(a, b) for a, b in zip(one.clients, two.clients))
    )


@st.composite
def label_lists(draw: st.DrawFn) -> list[int]:
    """Ten or more labels, few or many of each, in any order."""
    sizes = draw(
        st.dictionaries(st.integers(0, 12), st.integers(1, 60), min_size=1, max_size=6).filter(
            lambda s: sum(s.values()) >= 10
        )
    )
    labels = np.repeat(list(sizes), list(sizes.values()))
    return np.random.default_rng(draw(st.integers(0, 999))).permutation(labels).tolist()


fractions = st.floats(0.1, 0.7)
seeds = st.integers(0, 2**32)


@pytest.mark.parametrize(
    "split", ["iid", {"kind": "dirichlet", "alpha": 1}, {"kind": "shards"}, "natural"]
)
@given(data=st.data())
def test_every_example_is_in_exactly_one_place(split: Choice, data: st.DataObject) -> None:
    labels = data.draw(label_lists())
    natural = [f"writer-{i % 3}" for i in range(len(labels))] if split == "natural" else []
    population = {} if split == "natural" else {"count": data.draw(st.integers(1, 3))}
    try:
        made = make(
            {"kind": "numbered", "labels": labels, "natural": natural},
            seed=data.draw(seeds),
            fraction=data.draw(fractions),
            split=split,
            **population,
        )
    except DataError:  # an empty client; test_splits.py tests when that happens
        assert split != "iid"
        return
    held = [made.train.take(index) for index in made.clients]
    placed = [n for part in (*held, made.test) for n in numbers(part)]
    assert sorted(placed) == list(range(len(labels)))
    # The labels stay with their examples.
    assert [int(y) for part in (*held, made.test) for y in part.y] == [labels[n] for n in placed]

    assert made.sizes.tolist() == [len(part) for part in held]
    for part, row in zip(held, made.label_counts):
        assert row.tolist() == [part.y.tolist().count(y) for y in range(made.num_classes)]
    for name, part in zip(made.names, held):
        if split == "natural":
            assert {natural[n] for n in numbers(part)} == {name}
        else:
            assert name.startswith("client-")


def test_every_split_is_tried_below() -> None:
    tried = {
        c["split"] if isinstance(c.get("split"), str) else c["split"]["kind"] for c in WAYS.values()
    }
    assert set(splits.names()) == tried


@given(labels=label_lists(), fraction=fractions, seed=seeds)
def test_the_test_set_keeps_the_proportions_of_labels(
    labels: list[int], fraction: float, seed: int
) -> None:
    test = make(
        {"kind": "numbered", "labels": labels}, seed=seed, fraction=fraction, count=1, split="iid"
    ).test
    assert len(test) == round(len(labels) * fraction)
    share = len(test) / len(labels)
    for label in set(labels):
        assert abs(test.y.tolist().count(label) - share * labels.count(label)) < 1


def test_a_fifth_is_held_out_by_default() -> None:
    assert len(make(count=3).test) == round(1797 * 0.2)
    assert len(make(count=3, fraction=0.5).test) == round(1797 * 0.5)


@pytest.mark.parametrize(("fraction", "train", "test"), [(1e-5, 1797, 0), (0.99999, 0, 1797)])
def test_neither_part_may_be_empty(fraction: float, train: int, test: int) -> None:
    with pytest.raises(DataError) as error:
        make(count=3, fraction=fraction)
    assert str(error.value) == (
        f"digits gives {train} training and {test} test examples; neither may be empty"
    )


def test_any_example_may_be_in_the_test_set() -> None:
    """In 100 draws of a fifth, each of 20 examples is drawn 20 times, standard deviation 4."""
    labels = {"kind": "numbered", "labels": [0] * 12 + [1] * 8}
    drawn = [n for seed in range(100) for n in numbers(make(labels, seed=seed, count=1).test)]
    assert np.abs(np.bincount(drawn, minlength=20) - 20).max() <= 5 * 4


# Natural clients


def test_without_a_count_all_forms_take_part() -> None:
    made = make(split="natural")
    assert made.names == tuple(FORMS)
    # The rows of digits are in the order of the forms, about 130 each; a fifth is held out.
    assert made.sizes.sum() == 1797 - 359
    assert made.sizes.min() > 80


def test_a_count_draws_that_many_forms() -> None:
    """With all their examples, and none of the others."""
    made = make(split="natural", count=5)
    assert len(made.names) == 5
    assert list(made.names) == sorted(set(made.names) & set(FORMS))
    forms = datasets["digits"].function(NOWHERE).load(made.names).train
    rows = [row.tobytes() for part in (made.train, made.test) for row in part.x]
    assert sorted(rows) == sorted(row.tobytes() for row in forms.x)


def test_every_form_is_drawn_by_some_seed() -> None:
    drawn = [make(split="natural", count=5, seed=seed).names for seed in range(20)]
    assert {name for names in drawn for name in names} == set(FORMS)
    assert len(set(drawn)) > 15


def test_too_many_natural_clients_are_refused() -> None:
    with pytest.raises(DataError) as error:
        make(split="natural", count=15)
    assert str(error.value) == "digits has 14 natural clients, not 15"


def test_a_natural_split_needs_natural_clients() -> None:
    with pytest.raises(DataError) as error:
        make({"kind": "numbered", "labels": [0] * 20}, split="natural")
    assert str(error.value) == "the data set numbered has no natural clients; choose another split"


# Cohorts of the resulting population


@pytest.mark.parametrize(
    ("per_round", "size"), [(None, 14), (14, 14), (3, 3), (1.0, 14), (0.5, 7), (0.001, 1)]
)
def test_a_cohort_size_counts_the_natural_clients(
    per_round: Union[int, float, None], size: int
) -> None:
    clients = Clients.model_validate({"split": "natural", "per_round": per_round})
    assert clients.cohort_size(len(make(split="natural").clients)) == size


def test_more_clients_per_round_than_natural_clients_are_refused() -> None:
    clients = Clients.model_validate({"split": "natural", "per_round": 20})
    with pytest.raises(DataError) as error:
        clients.cohort_size(len(make(split="natural").clients))
    assert str(error.value) == "clients.per_round is 20; there are 14 clients"


# What the seed decides

WAYS: dict[str, dict[str, Any]] = {
    "iid": {"count": 10, "split": "iid"},
    "iid, sizes": {"count": 10, "split": "iid", "size": {"kind": "lognormal", "sigma": 1}},
    "dirichlet": {"count": 10, "split": {"kind": "dirichlet", "alpha": 0.5}},
    "dirichlet_priors": {"count": 10, "split": {"kind": "dirichlet_priors", "alpha": 0.5}},
    "dirichlet_sequential": {"count": 10, "split": {"kind": "dirichlet_sequential", "alpha": 0.5}},
    "labels_per_client": {"count": 10, "split": {"kind": "labels_per_client", "labels": 3}},
    "extended_dirichlet": {
        "count": 10,
        "split": {"kind": "extended_dirichlet", "labels": 3, "alpha": 1},
    },
    "similarity": {"count": 10, "split": {"kind": "similarity", "similar": 0.2}},
    "exclusive": {"count": 5, "split": "exclusive"},
    "distribution": {
        "count": 2,
        "split": {"kind": "distribution", "matrix": [[1] * 10, [*range(10)]]},
    },
    "continuous": {"count": 10, "split": {"kind": "continuous", "strictness": 0.5}},
    "semantic": {"count": 4, "split": "semantic"},
    "inner": {"count": 30, "split": {"kind": "inner", "split": "iid"}},
    "shards": {"count": 10, "split": {"kind": "shards"}},
    "natural": {"count": 10, "split": "natural"},
    "group_natural": {"count": 5, "split": "group_natural"},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_seed_gives_the_same_data_to_the_bit(way: str) -> None:
    one = make(seed=7, **WAYS[way])
    # Neither another scenario in between nor NumPy's global state has any influence.
    make({"kind": "numbered", "labels": [0, 1] * 30}, seed=7, count=3)
    make(seed=8, **WAYS["dirichlet"])
    np.random.seed(123)
    two = make(seed=7, **WAYS[way])
    assert same(one, two)
    assert one.train.x.dtype == np.float32


@pytest.mark.parametrize("way", WAYS)
def test_another_seed_gives_other_data(way: str) -> None:
    one, two = make(seed=1, **WAYS[way]), make(seed=2, **WAYS[way])
    assert not np.array_equal(one.test.x, two.test.x)
    assert not all(np.array_equal(a, b) for a, b in zip(one.clients, two.clients))


def test_changing_one_federation_does_not_change_the_next() -> None:
    """breast_cancer is read once and kept."""
    one = make("breast_cancer", count=5)
    clean = make("breast_cancer", count=5)
    for array in (one.train.x, one.train.y, one.test.x, one.test.y, *one.clients):
        array[...] = 0
    assert same(make("breast_cancer", count=5), clean)


def test_the_test_set_does_not_depend_on_the_clients() -> None:
    """It has its own random stream, so that splits can be compared on one test set."""
    tests = [make(seed=3, **WAYS[w]).test.x for w in ("iid", "dirichlet", "shards")]
    tests.append(make(seed=3, count=2).test.x)
    for x in tests[1:]:
        np.testing.assert_array_equal(x, tests[0])
