"""Optimizers by name, each one of `tff.learning.optimizers`, for clients and for the server.

A server optimizer takes the aggregated change of the model as its gradient (Reddi et al.,
Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Callable, Optional, Protocol

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer

from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section, problem, without_empty
from pytest_federated.registry.choice import Choice
from pytest_federated.registry.registry import Registry, kind
from pytest_federated.registry.spec import Spec
from pytest_federated.training.optimizers import rates
from pytest_federated.training.schedules.schedule import schedules
from pytest_federated.user.functions import fingerprints

if TYPE_CHECKING:
    import tensorflow_federated as tff


class OptimizerKeys(Section):
    """Keys of every optimizer.

    `clip_norm` scales a gradient down to this L2 norm, over all weights together, if it is longer.
    `schedule` changes the learning rate from round to round; within a round it is the same.
    """

    clip_norm: Annotated[
        Optional[float],
        Field(
            gt=0, allow_inf_nan=False, description="L2 norm that longer gradients are scaled to."
        ),
    ] = None
    schedule: Annotated[
        Optional[Section],
        Choice(schedules, optional=True),
        Field(description="What the learning rate is multiplied by in each round."),
    ] = None

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        younger = {"clip_norm", "schedule", "weight_decay"}.intersection(type(self).model_fields)
        return without_empty(self, write, *younger)


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


# Makes an optimizer of a learning rate.
MakesStep = Callable[[float], Any]

optimizers = Registry(
    "optimizer",
    MakesOptimizer,
    OptimizerSpec,
    OptimizerKeys,
    plural="optimizers",
    package=__package__,
    usual="sgd",
    error=ModelError,
)
# (gradients, weights) to the gradients that the optimizer takes; None for a weight without one.
Change = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
_cache: dict[tuple[type[Section], str], tff.learning.optimizers.Optimizer] = {}

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def optimizer_of(settings: Section) -> tff.learning.optimizers.Optimizer:
    """Returns the optimizer of a validated section, without its schedule.

    Equal sections get the same object, which has no state, so that what is traced with it can be
    shared.
    """
    import tensorflow_federated as tff

    entry = optimizers.entry(settings)
    settings = settings.model_copy(update={"schedule": None})
    key = type(settings), f"{settings.model_dump_json()} {fingerprints(settings)}"
    if key not in _cache:
        optimizer = entry.call(settings)
        if not isinstance(optimizer, tff.learning.optimizers.Optimizer):
            raise entry.gave(optimizer, "a tff.learning.optimizers.Optimizer")
        optimizer = _clipping(optimizer, settings)
        _cache[key] = optimizer if is_the_users(settings) else _without_autograph(optimizer)
    return _cache[key]


def is_the_users(settings: Section) -> bool:
    """Returns whether an optimizer's code is the user's, by name or registered, and not ours."""
    entry = optimizers.entry(settings)
    return entry.spec.of_the_user or bool(entry.code)


def server_optimizer_of(settings: Section, make: Optional[MakesStep] = None) -> Any:
    """Returns the server optimizer of a validated section, with its schedule.

    With `make` it is the optimizer that `make` returns for the section's learning rate.
    """
    if make is None:
        optimizer = optimizer_of(settings)
    else:
        rate: float = settings.learning_rate  # type: ignore[attr-defined]  # it is SGD
        optimizer = _without_autograph(_clipping(make(rate), settings))
    return rates.with_factor(rates.SERVER, optimizer) if schedule_of(settings) else optimizer


def _clipping(optimizer: Any, settings: Section) -> Any:
    """Returns the optimizer with the `clip_norm` of a section, if it has one."""
    norm = settings.clip_norm  # type: ignore[attr-defined]  # see OptimizerKeys
    return optimizer if norm is None else after(_clipped(norm), optimizer)


def schedule_of(settings: Section) -> Optional[Section]:
    """Returns the schedule of a validated section, if it has one."""
    return settings.schedule  # type: ignore[attr-defined]  # see OptimizerKeys


def _unscheduled(settings: Optional[Section]) -> Optional[Section]:
    if settings is not None and (schedule := schedule_of(settings)):
        raise problem("schedule", f"got {kind(schedule)}; there are no rounds here: leave it out")
    return settings


# Annotates the choice of an optimizer that is not used round after round.
Unscheduled = AfterValidator(_unscheduled)


def _without_autograph(optimizer: Any) -> Any:
    """Exempts an optimizer's methods from TensorFlow's autograph, and returns it.

    Converting them takes a second of building a process, and they contain nothing to convert,
    unlike those of a user's own optimizer.
    """
    import tensorflow as tf

    for name in ("initialize", "next"):
        method = tf.autograph.experimental.do_not_convert(getattr(optimizer, name))
        setattr(optimizer, name, method)
    return optimizer


def after(change: Change, inner: tff.learning.optimizers.Optimizer) -> Any:
    """Returns the optimizer `inner` that takes gradients as `change` returns them.

    Its state is that of `inner`.
    """
    import tensorflow as tf
    import tensorflow_federated as tff

    class After(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            return inner.initialize(specs)

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            changed = change(tf.nest.flatten(gradients), tf.nest.flatten(weights))
            return inner.next(state, weights, tf.nest.pack_sequence_as(gradients, changed))

    return After()


def _clipped(norm: float) -> Change:
    def clipped(gradients: Sequence[Any], weights: Sequence[Any]) -> Sequence[Any]:
        import tensorflow as tf

        return tf.clip_by_global_norm(gradients, norm)[0]

    return clipped
