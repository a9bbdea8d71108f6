"""The sides that are compared, one file for each.

A side is a function of a `Federation`. It trains by FedAvg from `Federation.start` and yields the
server's weights, float32 in the order of a Keras model, after each round: one `next` is one round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Callable, NamedTuple

from workloads import Federation, Weights

Side = Callable[[Federation], Iterator[Weights]]


class _Place(NamedTuple):
    module: str  # imported when the side runs, as most import TensorFlow
    function: str
    keywords: Mapping[str, str] = MappingProxyType({})


NUMPY = "NumPy loop"
PLAIN = "one tf.function"
PACKED = "pytest-federated, packed"
STANDARD = "pytest-federated, standard"
ITERATOR = "bare TFF, DATASET_ITERATOR"
REDUCE = "bare TFF, DATASET_REDUCE"
FLOWER = "Flower"

_PLACES = {
    NUMPY: _Place("numpy_loop", "rounds"),
    PLAIN: _Place("plain_tf", "rounds"),
    PACKED: _Place("own_loop", "rounds", {"execution": "packed"}),
    STANDARD: _Place("own_loop", "rounds", {"execution": "standard"}),
    ITERATOR: _Place("bare_tff", "rounds", {"loop": "DATASET_ITERATOR"}),
    REDUCE: _Place("bare_tff", "rounds", {"loop": "DATASET_REDUCE"}),
    FLOWER: _Place("flower", "rounds"),
    f"{PACKED}: bare": _Place("own_loop", "bare", {"execution": "packed"}),
    f"{STANDARD}: bare": _Place("own_loop", "bare", {"execution": "standard"}),
    f"{PACKED}: ready": _Place("own_loop", "ready", {"execution": "packed"}),
    f"{STANDARD}: ready": _Place("own_loop", "ready", {"execution": "standard"}),
}
# What a packed round is made of: TFF's call without any local step, and these steps without TFF.
NO_STEPS, STEPS = f"{PACKED}: no steps", f"{PACKED}: local steps alone"
_PLACES |= {
    NO_STEPS: _Place("own_loop", "no_steps"),
    STEPS: _Place("own_loop", "local_steps"),
}
NAMES = tuple(_PLACES)


def side(name: str) -> Side:
    """Returns the side of that name."""
    place = _PLACES[name]
    module = import_module(f"sides.{place.module}")
    return partial(getattr(module, place.function), **place.keywords)
