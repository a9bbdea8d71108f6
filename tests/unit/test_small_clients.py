"""Natural clients that hold too few examples are left out, and their number is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from example_data import save
from example_results import of_one_training
from hypothesis import given
from hypothesis import strategies as st
from own_files import made, refusal
from pytest_federated.report.describe import describe
from pytest_federated.report.tables.settings import settings_rows
from pytest_federated.results.store import json_text, parse_result
from rich.console import Console

pytestmark = pytest.mark.usefixtures("in_tmp_path")

SIZES = {"ann": 12, "bob": 5, "cid": 3, "dan": 20, "eve": 1}


def chosen(sizes: dict[str, int] = SIZES, **tested: Any) -> dict[str, Any]:
    whose = np.repeat(list(sizes), list(sizes.values()))
    x = np.arange(len(whose), dtype=np.float64)[:, None] ** 2
    save("all.npz", x=x, y=np.arange(len(whose)) % 2, who=whose)
    return {"kind": "npz", "npz": "all.npz", "client": "who", **tested}


def natural(least: int) -> dict[str, Any]:
    return {"kind": "natural", "min_examples": least}


HELD = {"holdout": "per_client", "test_fraction": 0.25}


def test_small_clients_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    data = made(chosen(), HELD, split=natural(5))
    assert (data.names, data.left_out) == (("ann", "bob", "dan"), 2)
    held = np.concatenate([*data.clients, *data.client_test])
    assert len(held) == 37 and data.unused == 0
    describe("", data, Console())
    assert "clients left out as too small  2\n" in capsys.readouterr().out


def test_examples_that_are_held_out_later_count() -> None:
    data = made(chosen(), split=natural(5))
    assert (data.names, data.left_out) == (("ann", "bob", "dan"), 2)
    assert len(data.train) + len(data.test) == 37


@pytest.mark.parametrize("seed", range(4))
def test_as_many_clients_are_drawn_as_the_scenario_says(seed: int) -> None:
    data = made(chosen(), HELD, seed=seed, split=natural(5), count=2)
    assert len(data.names) == 2 and data.left_out == 2
    assert set(data.names) < {"ann", "bob", "dan"}


@given(least=st.integers(1, 25), seed=st.integers(0, 20))
def test_each_client_is_large_enough_or_left_out(least: int, seed: int) -> None:
    large = [name for name, size in SIZES.items() if size >= least]
    if not large:
        said = refusal(made, chosen(), HELD, split=natural(least))
        assert said == (
            f"all.npz has 0 natural clients with {least} training examples or more (min_examples)"
        )
        return
    data = made(chosen(), HELD, seed=seed, split=natural(least))
    assert list(data.names) == large and data.left_out == 5 - len(large)


def test_too_few_that_are_large_enough_are_refused() -> None:
    assert refusal(made, chosen(), split=natural(5), count=4) == (
        "all.npz has 3 natural clients with 5 training examples or more (min_examples), not 4"
    )
    assert refusal(made, chosen(), split="natural", count=6) == (
        "all.npz has 5 natural clients, not 6"
    )


def test_a_client_whose_examples_are_all_held_out_is_left_out() -> None:
    sizes = {f"one-{i}": 1 for i in range(10)}
    data = made(chosen(sizes), {"test_fraction": 0.4}, split="natural")
    assert len(data.names) == 6 and data.left_out == 4
    held = {str(name): int(data.train.x[own[0], 0]) for name, own in zip(data.names, data.clients)}
    assert held == {name: int(name[4:]) ** 2 for name in data.names}


def test_test_rows_of_clients_that_are_left_out_are_no_clients() -> None:
    whose = np.array(["ann", "cid", "eve", "zoe"])
    save("test.npz", x=1000 + np.arange(4.0)[:, None], y=np.arange(4) % 2, who=whose)
    data = made(chosen(test="test.npz"), split=natural(5))
    assert data.names == ("ann", "bob", "dan") and data.unseen_names == ("zoe",)
    assert [own.tolist() for own in data.client_test] == [[0], [], []]
    assert [own.tolist() for own in data.unseen] == [[3]]
    assert len(data.test) == 4


def test_a_record_and_its_report_say_how_many() -> None:
    plain, result = of_one_training(), of_one_training(left_out_clients=7)
    assert parse_result(json_text(result).encode(), "record") == result
    assert ["clients left out as too small", "7"] in settings_rows(result)
    assert "left_out" not in json_text(plain)
    assert not [row for row in settings_rows(plain) if "left out" in row[0]]
