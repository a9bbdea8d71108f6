"""A learning rate that falls as half a cosine."""

from __future__ import annotations

import math

from pytest_federated.training.schedules.schedule import Lowest, Span, schedules


@schedules("cosine", spans_training=True)
def cosine(round_number: int, *, rounds: Span = None, lowest: Lowest = 0.0) -> float:
    """Half a cosine from 1 to `lowest`, which it reaches after `rounds` rounds and keeps.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, equation 5 without restarts, arXiv:1608.03983.
    """
    assert rounds is not None  # see `spanning`
    done = min(1.0, (round_number - 1) / rounds)
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * done)) / 2
