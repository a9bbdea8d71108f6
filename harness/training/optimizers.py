"""Optimizers by name, each one of `tff.learning.optimizers`, for clients and for the server.

A server optimizer takes the aggregated change of the model as its gradient (Reddi et al.,
Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Callable, Optional

from pydantic import Field

from harness.registry import Registry
from harness.settings import Section

if TYPE_CHECKING:
    import tensorflow_federated as tff

optimizers: Registry[Callable[..., tff.learning.optimizers.Optimizer]] = Registry("optimizer")
_made: dict[tuple[str, str], tff.learning.optimizers.Optimizer] = {}

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@optimizers("sgd")
def sgd(
    *, learning_rate: Rate, momentum: Optional[Decay] = None
) -> tff.learning.optimizers.Optimizer:
    """Gradient descent, with momentum where given (`tff.learning.optimizers.build_sgdm`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_sgdm(learning_rate, momentum)


@optimizers("adam")
def adam(
    *, learning_rate: Rate, beta_1: Decay = 0.9, beta_2: Decay = 0.999, epsilon: Positive = 1e-7
) -> tff.learning.optimizers.Optimizer:
    """Adam (Kingma and Ba, ICLR 2015; `tff.learning.optimizers.build_adam`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_adam(learning_rate, beta_1, beta_2, epsilon)


@optimizers("adagrad")
def adagrad(
    *, learning_rate: Rate, initial_accumulator: Decay = 0.1, epsilon: Positive = 1e-7
) -> tff.learning.optimizers.Optimizer:
    """Adagrad (Duchi et al., JMLR 2011; `tff.learning.optimizers.build_adagrad`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_adagrad(
        learning_rate, initial_preconditioner_value=initial_accumulator, epsilon=epsilon
    )


@optimizers("yogi")
def yogi(
    *, learning_rate: Rate, beta_1: Decay = 0.9, beta_2: Decay = 0.999, epsilon: Positive = 1e-3
) -> tff.learning.optimizers.Optimizer:
    """Yogi (Zaheer et al., NeurIPS 2018; `tff.learning.optimizers.build_yogi`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_yogi(learning_rate, beta_1, beta_2, epsilon)


def optimizer_of(chosen: Section) -> tff.learning.optimizers.Optimizer:
    """The optimizer that a validated section chooses.

    Equal sections get one and the same object, which has no state of its own: what is traced with
    it can be shared.
    """
    entry = optimizers.entry(chosen)
    key = entry.name, chosen.model_dump_json()
    if key not in _made:
        _made[key] = entry.call(chosen)
    return _made[key]
