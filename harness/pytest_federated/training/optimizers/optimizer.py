"""Optimizers by name, each one of `tff.learning.optimizers`, for clients and for the server.

A server optimizer takes the aggregated change of the model as its gradient (Reddi et al.,
Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.user.functions import fingerprints

if TYPE_CHECKING:
    import tensorflow_federated as tff


@dataclass(frozen=True)
class OptimizerSpec(Spec):
    """The traits of an optimizer.

    Attributes:
        of_the_user: its code is the user's, so that TensorFlow's autograph may have to convert it.

    """

    of_the_user: bool = False


class MakesOptimizer(Protocol):
    """Makes an optimizer."""

    def __call__(self, *args: Any, **keys: Any) -> tff.learning.optimizers.Optimizer:
        """Returns the optimizer, an object without state."""
        ...


optimizers = Registry(
    "optimizer",
    MakesOptimizer,
    OptimizerSpec,
    plural="optimizers",
    package=__package__,
    error=ModelError,
)
_cache: dict[tuple[type[Section], str], tff.learning.optimizers.Optimizer] = {}

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def optimizer_of(settings: Section) -> tff.learning.optimizers.Optimizer:
    """Returns the optimizer of a validated section.

    Equal sections get the same object, which has no state, so that what is traced with it can be
    shared.
    """
    import tensorflow_federated as tff

    entry = optimizers.entry(settings)
    key = type(settings), f"{settings.model_dump_json()} {fingerprints(settings)}"
    if key not in _cache:
        optimizer = entry.call(settings)
        if not isinstance(optimizer, tff.learning.optimizers.Optimizer):
            raise entry.gave(optimizer, "a tff.learning.optimizers.Optimizer")
        _cache[key] = optimizer if entry.spec.of_the_user else _without_autograph(optimizer)
    return _cache[key]


def _without_autograph(optimizer: Any) -> Any:
    """Exempts an optimizer's methods from TensorFlow's autograph, and returns it.

    Converting them takes a second of building a process, and they contain nothing to convert.
    """
    import tensorflow as tf

    for name in ("initialize", "next"):
        method = tf.autograph.experimental.do_not_convert(getattr(optimizer, name))
        setattr(optimizer, name, method)
    return optimizer
