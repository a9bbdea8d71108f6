"""A learning rate that falls in steps."""

from __future__ import annotations

from pytest_federated.training.schedules.schedule import Rounds, Share, schedules


@schedules("step", changes_after="every")
def step(round_number: int, *, every: Rounds, rate: Share = 0.1) -> float:
    """Multiplies by `rate` after every `every` rounds (staircase decay)."""
    return rate ** ((round_number - 1) // every)
