"""docs/tff_names.py, a source of docs/algorithms.md, has all names of the installed TFF."""

from __future__ import annotations

import inspect
import runpy
from operator import attrgetter
from typing import Any

import pytest
import yaml
from paths import ROOT
from pytest_federated.scenario.schema import Scenario

NAMES = runpy.run_path(str(ROOT / "docs/tff_names.py"))["NAMES"]
CODE = "".join(f.read_text(encoding="utf-8") for f in (ROOT / "harness").rglob("*.py"))


def test_all_packages_for_learning_are_listed(tff: Any) -> None:
    inside = {
        f"tff.learning.{name}"
        for name, value in vars(tff.learning).items()
        if inspect.ismodule(value) and hasattr(value, "__path__")
    }
    assert set(NAMES) == {"tff.learning", "tff.aggregators", *inside}


@pytest.mark.parametrize("package", NAMES)
def test_each_public_name_is_reached_or_has_a_reason(tff: Any, package: str) -> None:
    module = attrgetter(package.partition(".")[2])(tff)
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(NAMES[package]) == public
    assert all(reached or why for reached, why in NAMES[package].values())


@pytest.mark.parametrize(
    ("name", "reached"),
    [
        (name, reached)
        for names in NAMES.values()
        for name, (reached, why) in names.items()
        if reached and "my_" not in reached and not why
    ],
)
def test_a_name_that_a_key_reaches_is_in_our_code(name: str, reached: str) -> None:
    assert name in CODE, reached


@pytest.mark.parametrize(
    "reached", sorted({reached for names in NAMES.values() for reached, _ in names.values()} - {""})
)
def test_keys_that_reach_a_name_are_valid_in_a_scenario_file(reached: str) -> None:
    keys = yaml.safe_load(reached)
    scenario = {
        "name": "a",
        "data": {"dataset": "digits", "holdout": "per_client", **keys.get("data", {})},
        "clients": {"count": 4},
        "model": keys.get("model", None if "kmeans" in reached else "mlp"),
        "training": {"rounds": 1, **keys.get("training", {})},
    }
    Scenario.model_validate(scenario)
