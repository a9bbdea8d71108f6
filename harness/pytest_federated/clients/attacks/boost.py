"""Attackers that send a larger update than they trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_federated.clients.attacks.attack import Attack, attacks, flipped


@attacks("boost", example={"share": 0.2, "factor": 10}, changes_updates=True)
def boost(
    *,
    factor: Annotated[float, Field(gt=1, le=1e6, description="Times the trained size.")],
    flip_labels: bool = True,
) -> Attack:
    """Trains on flipped labels and sends its update `factor` times as large.

    With as many clients in a round as `factor`, and a server learning rate of 1, the attacker's
    model replaces the global one. With `flip_labels: false` only its update is too large.

    Source: Bagdasaryan et al., How To Backdoor Federated Learning, AISTATS 2020, equation 3
    ("model replacement"), arXiv:1807.00459.
    """
    return Attack(labels=flipped if flip_labels else None, factor=factor)
