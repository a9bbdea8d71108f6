"""Attackers that teach the model a backdoor."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.clients.attacks.attack import Attack, Trigger, attacks


@attacks("backdoor")
def backdoor(
    *,
    target: Annotated[int, Field(ge=0, description="The label, counted from 0.")] = 0,
    examples: Annotated[
        float, Field(gt=0, le=1, description="Share of an attacker's examples with the patch.")
    ] = 0.5,
    size: Annotated[int, Field(ge=1, description="Side of the patch, in pixels.")] = 3,
    factor: Annotated[
        float, Field(ge=1, le=1e6, description="What the update is multiplied by, as in boost.")
    ] = 1.0,
) -> Attack:
    """Trains some images with a white patch in the lower right corner, labeled as the `target`.

    In the order of training every second image of an attacker has the patch where `examples` is
    0.5, so that each batch has as many. The metric backdoor_success measures how well that works;
    the accuracy on clean images is to stay as it was.

    Source: Gu et al., BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply
    Chain, 2017, arXiv:1708.06733 (the pattern); Bagdasaryan et al., How To Backdoor Federated
    Learning, AISTATS 2020, arXiv:1807.00459 (in batches of clean images, and the factor).
    """

    def stamp(images: np.ndarray) -> np.ndarray:
        stamped = images.copy()
        stamped[:, -size:, -size:] = 255 if images.dtype == np.uint8 else 1
        return stamped

    return Attack(factor=factor, trigger=Trigger(stamp, target, examples))
