"""Attackers that turn the mean of all updates around."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_federated.clients.attacks.attack import Attack, attacks


@attacks("ipm", example={"share": 0.2, "epsilon": 0.5}, changes_updates=True)
def ipm(
    *,
    epsilon: Annotated[
        float, Field(gt=0, le=1e6, description="Times the mean of the honest updates.")
    ],
) -> Attack:
    """Sends the mean of the honest updates of the round times -`epsilon`.

    So the inner product of the honest mean with the aggregate is to become negative. A small
    epsilon stays close to the honest clients, which deceives aggregators that look at distances; a
    large one turns the mean around. All honest clients count the same, and all attackers of a
    round send the same.

    Source: Xie et al., Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product
    Manipulation, UAI 2019, arXiv:1903.03936.
    """
    return Attack(craft=lambda honest: -epsilon * honest.mean)
