"""A learning rate that falls with the square root of the round."""

from __future__ import annotations

import math

from pytest_federated.training.schedules.schedule import schedules


@schedules("inverse_sqrt")
def inverse_sqrt(round_number: int) -> float:
    """One over the square root of the round.

    Source: Reddi et al., ICLR 2021, appendix C ("InvSqrt"), arXiv:2003.00295.
    """
    return 1 / math.sqrt(round_number)
