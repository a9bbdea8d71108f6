"""A learning rate that grows to begin with."""

from __future__ import annotations

from pytest_federated.training.schedules.schedule import Rounds, schedules


@schedules("warmup")
def warmup(round_number: int, *, rounds: Rounds) -> float:
    """Grows evenly to 1, which it reaches in round `rounds` and keeps.

    Source: Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2 ("gradual warmup"),
    arXiv:1706.02677.
    """
    return min(1.0, round_number / rounds)
