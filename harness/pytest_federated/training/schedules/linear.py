"""A learning rate that falls by the same amount in every round."""

from __future__ import annotations

from pytest_federated.training.schedules.schedule import Lowest, Span, schedules


@schedules("linear", spans_training=True)
def linear(round_number: int, *, rounds: Span = None, lowest: Lowest = 0.0) -> float:
    """Falls evenly from 1 to `lowest`, which it reaches after `rounds` rounds and keeps."""
    assert rounds is not None  # see `spanning`
    return 1 - (1 - lowest) * min(1.0, (round_number - 1) / rounds)
