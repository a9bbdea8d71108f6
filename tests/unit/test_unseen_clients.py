"""Clients that never train: who they are, what they hold, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import NO_CACHE, save
from example_results import history, of_one_training
from hypothesis import given
from hypothesis import strategies as st
from own_files import made, refusal
from pytest_federated.clients.cohort import LocalWork, cohort_of_round
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.clients.schema import Clients
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.heterogeneity import measure
from pytest_federated.data.schema import Data
from pytest_federated.metrics.coverage import coverage
from pytest_federated.metrics.measure import columns
from pytest_federated.metrics.metric import NoValue, metrics, spec_of
from pytest_federated.report.export import by_seed
from pytest_federated.report.tables.seeds import seed_table
from pytest_federated.report.tables.settings import settings_rows
from pytest_federated.results.store import json_text, parse_result

NAME = "unseen_client_accuracy"


def digits(seed: int = 0, *, of_data: Any = None, **clients: Any) -> FederatedData:
    data = Data.model_validate({"dataset": "digits", **(of_data or {})})
    return federate(data, Clients.model_validate({"count": 10, **clients}), seed, NO_CACHE)


WAYS: list[Any] = ["global", "per_client"]


@pytest.mark.parametrize("holdout", WAYS)
@given(seed=st.integers(0, 99), share=st.floats(0.01, 0.99), count=st.integers(2, 12))
def test_every_example_is_somewhere_and_only_there(
    holdout: str, seed: int, share: float, count: int
) -> None:
    of_data = {"holdout": holdout, "validation_fraction": 0.1}
    keys = {"count": count, "split": {"kind": "dirichlet", "alpha": 5}}
    data = digits(seed, of_data=of_data, unseen=share, **keys)
    assert len(data.unseen) == min(max(1, round(share * count)), count - 1)
    assert len(data.clients) + len(data.unseen) == count
    assert sorted([*data.names, *data.unseen_names]) == sorted(f"client-{i}" for i in range(count))
    held = [*data.clients, *data.client_validation, *data.client_test, *data.unseen]
    assert sorted(np.concatenate(held)) == list(range(len(data.train)))
    if holdout == "per_client":
        tested = data.train.x[np.concatenate(data.client_test)]
        np.testing.assert_array_equal(data.test.x, tested)


@pytest.mark.parametrize("holdout", WAYS)
def test_the_others_hold_what_they_would_hold_anyway(holdout: str) -> None:
    of_data = {"holdout": holdout}
    plain, data = digits(of_data=of_data), digits(of_data=of_data, unseen=0.3)
    places = [plain.names.index(name) for name in data.names]
    assert places == sorted(places) and len(places) == 7
    for client, place in enumerate(places):
        np.testing.assert_array_equal(data.clients[client], plain.clients[place])
        np.testing.assert_array_equal(data.examples(client).x, plain.examples(place).x)


def test_the_seed_decides_who_never_trains() -> None:
    one, again, other = (digits(seed, unseen=0.3).unseen_names for seed in (0, 0, 1))
    assert one == again != other


def test_figures_and_cohorts_are_those_of_the_clients_that_train() -> None:
    data = digits(unseen=0.4, split={"kind": "dirichlet", "alpha": 0.5})
    assert len(data.population) == len(data.sizes) == len(data.label_counts) == 6
    assert data.sizes.sum() == data.label_counts.sum()
    assert measure(data.label_counts).smallest == data.sizes.min()
    clients = Clients.model_validate({"count": 10, "unseen": 0.4, "per_round": 0.5})
    assert clients.cohort_size(len(data.names)) == 3
    never = {tuple(data.train.x[own[0]].ravel()) for own in data.unseen}
    for number in range(1, 5):
        cohort = cohort_of_round(data, 6, 0, number, LocalWork(10, 1))
        assert sorted(cohort.clients) == list(range(6))
        rows = {tuple(row.ravel()) for examples in cohort.examples for row in examples.x}
        assert not rows & never


def test_each_client_keeps_its_shift() -> None:
    shift = [{"kind": "contrast", "lowest": 0.1}]  # the same for all examples of a client
    data, whole = digits(unseen=0.4, shift=shift), digits(shift=shift)
    shown = {name: data.examples(client).x for client, name in enumerate(data.names)}
    for client, name in enumerate(data.unseen_names):
        shown[name] = data.unseen_examples(client).x
    for client, name in enumerate(whole.names):
        np.testing.assert_array_equal(shown[name], whole.examples(client).x)


def test_a_trace_may_name_clients_that_never_train(in_tmp_path: Path) -> None:
    data = digits(unseen=0.4)
    rows = [f"{name},1,9" for name in (*data.names[:2], *data.unseen_names)]
    Path("trace.csv").write_text("\n".join(["client,first_round,last_round", *rows]))
    trace = Participation(sampling=samplers.parse({"trace": "trace.csv"}))
    cohort = cohort_of_round(data, 10, 0, 1, LocalWork(10, 1), trace)
    assert sorted(cohort.clients) == [0, 1]


def test_unseen_clients_have_their_own_test_rows(in_tmp_path: Path) -> None:
    whose, tested = np.repeat(["ann", "bob", "cid"], 4), np.array(["cid", "ann", "bob", "eve"])
    save("train.npz", x=np.arange(12.0)[:, None], y=np.arange(12) % 2, who=whose)
    save("test.npz", x=100 + np.arange(4.0)[:, None], y=np.arange(4) % 2, who=tested)
    chosen = {"kind": "npz", "npz": "train.npz", "client": "who", "test": "test.npz"}
    own = {"cid": [100], "ann": [101], "bob": [102], "eve": [103]}
    drawn = set()
    for seed in range(5):
        data = made(chosen, seed=seed, split="natural", unseen=0.3)
        assert data.unseen_names[1:] == ("eve",) and len(data.names) == 2
        drawn.add(data.unseen_names[0])
        for client, name in enumerate(data.unseen_names):
            assert data.unseen_examples(client).x[:, 0].tolist() == own[name]
        for client, name in enumerate(data.names):
            assert data.test_examples(client).x[:, 0].tolist() == own[name]
    assert len(drawn) > 1


def test_the_only_client_has_to_train(in_tmp_path: Path) -> None:
    save("one.npz", x=np.arange(12.0)[:, None], y=np.arange(12) % 2, who=np.repeat("ann", 12))
    chosen = {"kind": "npz", "npz": "one.npz", "client": "who"}
    assert refusal(made, chosen, split="natural", unseen=0.3) == (
        "clients.unseen: got 0.3; there is 1 client, which has to train"
    )


HEAD = """\
schema: 1
name: a
data: {dataset: digits}
model: linear
training: {rounds: 2}
"""


@pytest.mark.parametrize(
    ("clients", "message"),
    [
        ("count: 10, unseen: 1.5", "unseen: got 1.5; must be less than 1"),
        ("count: 10, unseen: 0", "unseen: got 0; must be greater than 0"),
        ("count: 10, unseen: 0.2, per_round: 9", "per_round: got 9; there are 8 clients that "
         "train, as 2 of 10 are unseen (clients.unseen)"),
        ("count: 2, unseen: 0.2, dropout: {rates: [0, 0.1]}", "dropout: got a list of clients "
         "under rates; with clients.unseen the seed decides which of them train"),
        ("count: 2, unseen: 0.2, sampling: {kind: fixed, cohorts: [[0]]}", "sampling: got a list "
         "of clients under cohorts; with clients.unseen the seed decides which of them train"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(
    problems: Callable[..., list[str]], clients: str, message: str
) -> None:
    (problem,) = problems(HEAD + f"clients: {{{clients}}}\n")
    assert problem == f"f.yaml:6: clients.{message}"


def test_settings_without_unseen_clients_stay_as_they_were() -> None:
    plain, chosen = (Clients.model_validate({"count": 3, **k}) for k in ({}, {"unseen": 0.5}))
    assert "unseen" not in plain.model_dump() and chosen.model_dump()["unseen"] == 0.5


# The metric


def test_the_metric_is_the_mean_over_unseen_clients() -> None:
    one = history([0.5], unseen_clients=3, unseen_examples=(10, 4), unseen_accuracy=(0.9, 0.5))
    assert metrics[NAME].function(one) == pytest.approx(0.7)
    assert coverage(spec_of(NAME), [one], {}) == "2 of 3 clients"
    with pytest.raises(NoValue, match=r"^accuracy of unseen clients not measured$"):
        metrics[NAME].function(history([0.5]))


def test_reports_show_them_where_there_are_any() -> None:
    plain = of_one_training()
    figures = {"unseen_clients": 2, "unseen_examples": (4, 4), "unseen_accuracy": (0.25, 0.0)}
    result = of_one_training(**figures)
    assert parse_result(json_text(result).encode(), "record") == result
    assert "unseen" not in json_text(plain)
    assert ["unseen clients", "2"] in settings_rows(result)
    rows, heads = seed_table(result)
    assert dict(zip(heads, rows[0]))["unseen clients"] == "0.125"
    assert NAME in next(iter(by_seed([result]))) and NAME not in next(iter(by_seed([plain])))
    assert NAME in [m.name for m in columns([plain, result])]


def test_a_federation_may_have_unseen_clients_without_a_split() -> None:
    data = digits(count=4)
    more = replace(data, unseen=(data.clients[0],), unseen_names=("x",))
    np.testing.assert_array_equal(more.unseen_examples(0).y, data.examples(0).y)
