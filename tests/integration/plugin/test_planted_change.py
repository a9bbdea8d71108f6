"""Checks that the suite notices a small change in a user's own code."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import pytest_run

SCENARIO = """\
schema: 1
name: {name}
data: {{dataset: digits}}
clients: {{count: 10, split: {{kind: dirichlet, alpha: 0.3, min_examples: 10}}, per_round: 5}}
model: {{kind: mlp, hidden: [16]}}
training: {{rounds: 10, local_epochs: 3, client_optimizer: {optimizer}}}
seeds: [0, 1, 2, 3, 4]
expect:
  accuracy: {{at_least: 0.3}}
"""
OWN = """\
import tensorflow_federated as tff

def optimizer():
    return tff.learning.optimizers.build_sgdm(RATE)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("tff_programs")
def test_a_change_in_a_users_optimizer_fails_the_scenario_that_uses_it(tmp_path: Path) -> None:
    """The learning rate becomes 0.08 instead of 0.1; the threshold still holds."""
    optimizers = {"own": '{tff: "parts:optimizer"}', "plain": "{kind: sgd, learning_rate: 0.1}"}
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "scenarios").mkdir()
    for name, optimizer in optimizers.items():
        text = SCENARIO.format(name=name, optimizer=optimizer)
        (tmp_path / f"scenarios/{name}.yaml").write_text(text)
    code = tmp_path / "parts.py"
    code.write_text(OWN.replace("RATE", "0.1"))
    assert "baselines: 2 written" in pytest_run(tmp_path, "--fed-baseline=update")
    assert "baselines: 2 same" in pytest_run(tmp_path, "--fed-baseline=check")
    code.write_text(OWN.replace("RATE", "0.08"))
    output = pytest_run(tmp_path, "--fed-baseline=check")
    assert "1 failed, 1 passed" in output
    assert "  worse: own: accuracy" in output and "plain: " not in output
