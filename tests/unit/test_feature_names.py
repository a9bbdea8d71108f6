"""What a table is learned from is in `describe`, the record and the report."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from example_results import example_result, of_one_training
from hypothesis import given
from hypothesis import strategies as st
from own_files import made
from pytest_federated.core.text import counted
from pytest_federated.data.federation import FederatedData
from pytest_federated.report.describe import describe
from pytest_federated.report.tables.settings import settings_rows
from pytest_federated.results.store import json_text, parse_result
from rich.cells import cell_len
from rich.console import Console

pytestmark = pytest.mark.usefixtures("in_tmp_path")

ROWS = pd.DataFrame(
    {
        "age": [40.5, 51.5, None, 60.5],
        "pulse": [70, 82, 91, 77],
        "sex": ["f", "m", "f", "m"],
        "row": [8, 5, 7, 6],
        "died": [0, 1, 0, 1],
    }
)


def federated(suffix: str, **keys: Any) -> FederatedData:
    if suffix == "csv":
        ROWS.to_csv("visits.csv", index=False)
    else:
        ROWS.to_parquet("visits.parquet")
    chosen = {"kind": suffix, suffix: f"visits.{suffix}", "label": "died", **keys}
    return made(chosen, {"test_fraction": 0.5}, count=1)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("keys", "learned"),
    [
        ({"exclude": ["row"], "categories": ["sex"], "missing": "drop"}, "age pulse sex"),
        ({"features": ["pulse", "row"]}, "pulse row"),
        ({"features": {"vitals": ["pulse"], "other": ["row"]}}, "pulse row"),
        ({"features": ["age", "pulse"], "missing": "median"}, "age pulse"),
    ],
)
def test_describe_lists_the_columns_that_are_learned_from(
    suffix: str, keys: dict[str, Any], learned: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = federated(suffix, **keys)
    assert " ".join(data.features) == learned
    describe("visits", data, Console(width=80))
    shown = f"{len(data.features)}: {', '.join(data.features)}"
    assert f"features                 {shown}\n" in capsys.readouterr().out


def test_a_column_that_marks_what_was_missing_is_one_of_them() -> None:
    data = federated("csv", features=["age", "pulse"], missing="indicator")
    assert data.features[:2] == ("age", "pulse") and len(data.features) == 3


def test_a_data_set_without_columns_has_no_such_line(capsys: pytest.CaptureFixture[str]) -> None:
    data = made({"kind": "digits"}, count=2)
    assert data.features == ()
    describe("digits", data, Console(width=80))
    assert "features" not in capsys.readouterr().out
    assert "features" not in dict(settings_rows(example_result()))
    assert '"features"' not in json_text(example_result())


def test_a_record_and_its_report_have_them() -> None:
    result = of_one_training(features=300, feature_names=("age", "pulse|rate"))
    read = parse_result(json_text(result).encode(), "record")
    assert read == result
    assert dict(settings_rows(read))["features"] == "300: age, pulse|rate, ..."


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=20), st.integers(0, 50))
def test_however_long_names_are_they_fit(names: list[str], more: int) -> None:
    text = counted(names, len(names) + more, 60)
    assert cell_len(text) <= 60 and "\n" not in text
