"""Learning rates that change from round to round.

The factor of a round is a number in the state of an algorithm, under the name of the side whose
rate it changes. The loop sets it before each round: TFF's `schedule_learning_rate` and
`build_weighted_fed_avg_with_optimizer_schedule` count calls instead, and a round in which nobody
takes part has none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.tff.imports import import_tff

CLIENT, SERVER = "client_rate_factor", "server_rate_factor"
# The keys of `training` that they are about.
KEYS = {CLIENT: "client_optimizer", SERVER: "server_optimizer"}


def no_change(name: str) -> OrderedDict[str, Any]:
    """Returns the part of a state that has a factor, in a graph; it is 1 until a round sets it."""
    import tensorflow as tf

    return OrderedDict([(name, tf.constant(1.0))])


def times(factor: Any, inner: Any) -> Any:
    """Returns the TFF optimizer `inner` with its learning rate times `factor`, a tensor.

    Its state is that of `inner`, for an optimizer that begins anew in each round.
    """
    tff: Any = import_tff()

    class Scaled(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            return scaled(inner.initialize(specs), factor)

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            return inner.next(state, weights, gradients)

    return Scaled()


def with_factor(name: str, inner: Any) -> Any:
    """Returns the TFF optimizer `inner` with its learning rate times a factor in its state.

    For an optimizer whose state is kept from round to round.
    """
    import tree

    tff: Any = import_tff()
    kept = "unscaled"

    def unscaled(path: tuple[Any, ...], new: Any, old: Any) -> Any:
        return old if _is_rate(path) else new

    class WithFactor(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            state = inner.initialize(specs)
            scaled(state, 1.0, name)
            return OrderedDict([*no_change(name).items(), (kept, state)])

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            given = scaled(state[kept], state[name], name)
            new, weights = inner.next(given, weights, gradients)
            new = tree.map_structure_with_path(unscaled, new, state[kept])
            return OrderedDict([(name, state[name]), (kept, new)]), weights

    return WithFactor()


def lasting(inner: Any, scheduled: bool) -> Any:
    """Returns a client optimizer whose state is kept from round to round, `scheduled` or not."""
    return with_factor(CLIENT, inner) if scheduled else inner


def _is_rate(path: tuple[Any, ...]) -> bool:
    tff: Any = import_tff()
    return bool(path) and path[-1] == tff.learning.optimizers.LEARNING_RATE_KEY


def scaled(state: Any, factor: Any, name: str = CLIENT) -> Any:
    """Returns an optimizer's state with its learning rate times `factor`; as it is if that is None.

    Raises:
        ModelError: it has none.
    """
    import tree

    if factor is None:
        return state

    found = False

    def changed(path: tuple[Any, ...], leaf: Any) -> Any:
        nonlocal found
        if not _is_rate(path):
            return leaf
        found = True
        return leaf * factor

    changed_state = tree.map_structure_with_path(changed, state)
    if not found:
        raise ModelError(
            f"training.{KEYS[name]}: has no learning rate in its state that a schedule could change"
        )
    return changed_state


def at_round(state: Any, factors: Mapping[str, float]) -> Any:
    """Returns an algorithm's state with the factors of a round, by `CLIENT` and `SERVER`.

    Raises:
        ModelError: the state has no place for one.
    """
    import tree

    found: set[str] = set()

    def changed(path: tuple[Any, ...], leaf: Any) -> Any:
        for name in factors:
            if name in path:
                found.add(name)
                return np.full(np.shape(leaf), factors[name], np.float32)
        return leaf

    if not factors:
        return state
    state = tree.map_structure_with_path(changed, state)
    if lost := [KEYS[name] for name in factors if name not in found]:
        raise ModelError(
            f"training.{lost[0]}.schedule: the algorithm does not use the optimizer that it is "
            "given anew in each round; leave the schedule out"
        )
    return state
