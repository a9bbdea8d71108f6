"""Looks: after how many seeds a scenario is judged that gets more until it is decided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from example_results import example_scenario, history
from made_trainings import TRAIN
from pytest_federated.expectations.bounds import Bounds, verdict_on
from pytest_federated.expectations.looks import looks
from pytest_federated.registry.registry import kind
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.running.store import Store
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.history import TrainingHistory


@pytest.mark.parametrize(
    ("seeds", "most", "counts"),
    [
        (5, 20, [5, 10, 20]),
        (5, 12, [5, 10, 12]),
        (1, 20, [3, 6, 12, 20]),
        (1, 2, [2]),
        (5, 5, [5]),
        (8, 4, [8]),
    ],
)
def test_there_are_twice_as_many_seeds_at_each_look(
    seeds: int, most: int, counts: list[int]
) -> None:
    planned = looks(seeds, most)
    assert [look.seeds for look in planned] == counts
    errors = [1 - look.confidence for look in planned]
    assert sum(errors) == pytest.approx(0.05)


@pytest.mark.parametrize("mean", [0.895, 0.905])
def test_looking_again_gives_no_more_wrong_verdicts(mean: float) -> None:
    """For a scenario just below or above its threshold, which takes the most looks."""
    rng, wrong, limits = np.random.default_rng(0), 0, Bounds(low=0.9)
    good = "pass" if mean > 0.9 else "fail"
    for _ in range(200):
        values = rng.normal(mean, 0.05, 20).tolist()
        for look in looks(5, 20):
            verdict = verdict_on("loss", values[: look.seeds], limits, "", look.confidence)
            if verdict.outcome != "inconclusive":
                wrong += verdict.outcome != good
                break
    assert wrong / 200 <= 0.05


def test_a_gap_gets_more_seeds_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 0.05 with a standard deviation of 0.02, and may be 0.065."""
    trained: dict[str, list[int]] = {"fedavg": [], "centralized": []}

    def train(one: Scenario, seed: int, *rest: Any) -> TrainingHistory:
        algorithm = kind(one.training.algorithm)
        trained[algorithm].append(seed)
        rng = np.random.default_rng(seed)
        central, gap = rng.normal(0.9, 0.05), rng.normal(0.05, 0.02)
        return history([central - gap if algorithm == "fedavg" else central], seed=seed)

    monkeypatch.setattr(TRAIN, train)
    gap = {"gap_to_centralized": {"at_most": 0.065}}
    scenario = example_scenario(1, [0, 1, 2], expect=gap)
    result = run(scenario, Options(decide=48, store=Store()))
    assert result.verdicts[0].outcome == "pass"
    seeds = list(range(len(result.histories)))
    assert trained == {"fedavg": seeds, "centralized": seeds} and len(seeds) > 3
