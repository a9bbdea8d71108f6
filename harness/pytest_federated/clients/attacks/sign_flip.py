"""Attackers that send their update with the sign reversed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_federated.clients.attacks.attack import Attack, attacks


@attacks("sign_flip", changes_updates=True)
def sign_flip(
    *, scale: Annotated[float, Field(gt=0, le=1e6, description="Times the honest size.")] = 1.0
) -> Attack:
    """Sends its update with the sign reversed, `scale` times as large.

    Source: Li et al., RSA: Byzantine-Robust Stochastic Aggregation Methods for Distributed
    Learning from Heterogeneous Datasets, AAAI 2019 ("sign-flipping attack"), arXiv:1811.03761.
    """
    return Attack(factor=-scale)
