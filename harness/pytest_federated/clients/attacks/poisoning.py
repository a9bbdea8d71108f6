"""Images with the trigger of a backdoor: for attackers to train on, and to test with."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_federated.clients.attacks.attack import Trigger
from pytest_federated.core.errors import DataError
from pytest_federated.core.shares import least
from pytest_federated.data.datasets.dataset import Examples, levels_of
from pytest_federated.data.datasets.rows import GrayLevels
from pytest_federated.data.federation import FederatedData

_KEY = "clients.attacks"


def require_images(data: FederatedData, trigger: Trigger, most: int) -> None:
    """Raises DataError unless the examples are images with labels, of which some get the trigger.

    `most` is the number of examples of the attacker that has the most; 0 without attackers.
    """
    x = data.train.x
    if data.task != "label" or x.dtype.names or len(x.shape) != 4:
        raise DataError(
            f"{_KEY}: a backdoor needs images (height, width, channels) with a label each; these "
            f"examples have features of shape {tuple(x.shape[1:])} (task: {data.task})"
        )
    if trigger.target >= data.num_classes:
        raise DataError(
            f"{_KEY}.target: got {trigger.target}; there are labels 0 to {data.num_classes - 1}"
        )
    if most and not _chosen(most, trigger).any():
        raise DataError(
            f"{_KEY}.examples: got {trigger.examples:g}; no attacker has more than {most} "
            f"examples, of which that is none; allowed: at least {least(1 / most)}"
        )


def poisoned(own: Examples, trigger: Trigger) -> Examples:
    """Returns an attacker's examples, in their order, with the trigger in evenly spaced ones."""
    chosen = _chosen(len(own), trigger)
    levels: Any = levels_of(own.x)
    images: Any = np.array(own.x if levels is None else levels)
    images[chosen] = trigger.stamp(images[chosen])
    labels = np.where(chosen, trigger.target, own.y).astype(own.y.dtype)
    return Examples(images if levels is None else GrayLevels(images), labels)


def _chosen(examples: int, trigger: Trigger) -> np.ndarray:
    """Returns which of so many examples get the trigger, bool (examples,)."""
    # 1e-9 more, as 10 * 0.3 may come out below 3.
    so_far = np.floor(np.arange(examples + 1) * trigger.examples + 1e-9)
    return np.diff(so_far) > 0


def triggered(data: FederatedData, trigger: Trigger) -> Examples:
    """Returns the test images of other labels than the target, with the trigger and its label."""
    others = np.flatnonzero(data.test.y != trigger.target)
    images = trigger.stamp(np.asarray(data.test.x[others]))
    return Examples(images, np.full(len(others), trigger.target, data.test.y.dtype))
