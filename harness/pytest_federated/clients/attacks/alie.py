"""Attackers that stay within the spread of the honest clients' updates."""

from __future__ import annotations

from typing import Annotated, Any, Optional

from pydantic import Field

from pytest_federated.clients.attacks.attack import Attack, HonestUpdates, attacks


@attacks("alie", changes_updates=True)
def alie(
    *,
    z: Annotated[
        Optional[float],
        Field(
            ge=-10,
            le=10,
            description="Standard deviations from the mean; the paper's z_max by default.",
        ),
    ] = None,
) -> Attack:
    """Sends the mean of the honest updates less `z` standard deviations ("A Little Is Enough").

    Mean and standard deviation are those of each coordinate of the update, over the honest clients
    of the round, all counted the same; of one client the standard deviation is 0. All attackers of
    a round send the same. With n clients, m of which attack, z_max is the (n - m - s) / (n - m)
    quantile of the standard normal distribution, s = floor(n/2 + 1) - m: as many honest clients as
    the attackers need for a majority are expected farther from the mean. Where they have one
    already, m counts as the largest minority. In the paper the attackers estimate mean and
    standard deviation from their own honest updates; here they know those of the others.

    Source: Baruch et al., A Little Is Enough: Circumventing Defenses For Distributed Learning,
    NeurIPS 2019, arXiv:1902.06156; z_max, and that the attackers know the others' updates, as in
    lishenghui/blades, blades/adversaries/alie_adversary.py.
    """

    def craft(honest: HonestUpdates) -> Any:
        return honest.mean - (honest.z_max if z is None else z) * honest.deviation

    return Attack(craft=craft)
