"""A scenario's comparison, from its file to the pages of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from example_results import history
from made_trainings import TRAIN
from pytest_federated.__main__ import main
from pytest_federated.training.history import TrainingHistory

SCENARIO = """\
schema: 1
name: epochs
data: {dataset: digits}
clients: {count: 4}
model: {kind: mlp, hidden: [16]}
training: {rounds: 3}
seeds: [0, 1, 2]
matrix:
  training.batch_size: [10, 20]
  training.local_epochs: [1, 5]
comparison: {reference: local_epochs=1, targets: [0.6]}
"""


def train(one: Any, seed: int, *rest: Any) -> TrainingHistory:
    """In place of a training: one that five local epochs make faster and better."""
    gain = 0.1 if one.training.local_epochs == 5 else 0.0
    curve = [0.4 + gain, 0.6 + gain + seed / 100, 0.8 + gain + seed / 50]
    return history(curve, seed=seed, clients=4, test_examples=100, bytes_up=500, bytes_down=500)


@pytest.mark.usefixtures("undrawn")
def test_a_session_makes_the_comparison_that_its_scenarios_ask_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TRAIN, train)
    pytester.makefile(".yaml", **{"scenarios/epochs": SCENARIO})
    result = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    result.assert_outcomes(passed=4)
    page = Path("out/comparison.md").read_text(encoding="utf-8")
    for said in (
        "**Compared with local\\_epochs 1: 2 better.**",
        "- At batch\\_size 10, local\\_epochs 5 is 10.0 points ahead of local\\_epochs 1 (paired",
        "1.3 times faster than local\\_epochs 1 to accuracy 0.6",
        "(comparison/epochs.curves.svg)",
        "(comparison/epochs.heat.svg)",
        "Over 2 tasks, local\\_epochs 5 has the best average rank",
    ):
        assert said in page
    assert "Compared with local\\_epochs 1: 2 better." in Path("out/index.md").read_text("utf-8")
    assert main(["report", "out", "--check"]) == 0
    assert main(["compare", "out", "--out", "own.md"]) == 0
    own = Path("own.md").read_text(encoding="utf-8")
    assert (
        own.partition("## epochs")[2].replace("(own/", "(comparison/")
        == (page.partition("## epochs")[2])
    )
