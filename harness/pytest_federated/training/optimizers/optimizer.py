"""Optimizers by name, each one of `tff.learning.optimizers`, for clients and for the server.

A server optimizer takes the aggregated change of the model as its gradient (Reddi et al.,
Adaptive Federated Optimization, ICLR 2021, algorithm 2, arXiv:2003.00295).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional, Protocol

from pydantic import Field

from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.user.functions import UserFunction, call, demand, fingerprints

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
        """The optimizer, which has no state of its own."""
        ...


optimizers = Registry("optimizer", MakesOptimizer, OptimizerSpec, package=__package__)
_made: dict[tuple[type[Section], str], tff.learning.optimizers.Optimizer] = {}

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


@optimizers("adamw")
def adamw(
    *,
    learning_rate: Rate,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
    epsilon: Positive = 1e-7,
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.004,
) -> tff.learning.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019; `tff.learning.optimizers.build_adamw`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_adamw(learning_rate, beta_1, beta_2, epsilon, weight_decay)


@optimizers("rmsprop")
def rmsprop(
    *, learning_rate: Rate, decay: Decay = 0.9, epsilon: Positive = 1e-7
) -> tff.learning.optimizers.Optimizer:
    """RMSprop (Tieleman and Hinton, 2012; `tff.learning.optimizers.build_rmsprop`)."""
    import tensorflow_federated as tff

    return tff.learning.optimizers.build_rmsprop(learning_rate, decay, epsilon)


@optimizers("adafactor")
def adafactor(
    *,
    learning_rate: Rate,
    beta_2_decay: Annotated[float, Field(lt=0, allow_inf_nan=False)] = -0.8,
    # TFF's 1e-30, of a row times of a column, is 0 in float32: a weight that nothing moves is NaN.
    epsilon_1: Positive = 1e-16,
    epsilon_2: Positive = 1e-3,
    clip_threshold: Positive = 1.0,
    relative_step: Annotated[
        bool, Field(description="The rate falls as one over the root of the step.")
    ] = True,
) -> tff.learning.optimizers.Optimizer:
    """Adafactor (Shazeer and Stern, ICML 2018; `tff.learning.optimizers.build_adafactor`)."""
    import tensorflow as tf
    import tensorflow_federated as tff

    rate = tff.learning.optimizers.LEARNING_RATE_KEY
    fixed = {
        "beta_2_decay": beta_2_decay,
        "epsilon_1": epsilon_1,
        "epsilon_2": epsilon_2,
        "clip_threshold": clip_threshold,
        "relative_step": relative_step,
    }
    inner = tff.learning.optimizers.build_adafactor(learning_rate, **fixed)

    # TFF's own has in its state a number that is an integer before the first step and none after,
    # and a choice that no graph can make.
    class Adafactor(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            first = inner.initialize(specs)
            return OrderedDict(
                [(rate, learning_rate), ("steps", tf.constant(0.0)), ("moments", first["moments"])]
            )

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            hparams = {rate: state[rate], **fixed}
            done, weights = inner.next({**state, "hparams": hparams}, weights, gradients)
            return OrderedDict(state, steps=done["steps"], moments=done["moments"]), weights

    return Adafactor()


@optimizers("tff", of_the_user=True)
def own(
    *,
    tff: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
) -> tff.learning.optimizers.Optimizer:
    """Any `tff.learning.optimizers.Optimizer`: `tff: "module:function"`, called with `args`.

    Raises:
        ModelError: the function cannot be imported, raises, or returns something else.
    """
    import tensorflow_federated

    key = "training: the key tff of an optimizer"
    optimizer = call(demand(tff, key, ModelError), {}, args, f"{key}: {tff}", ModelError)
    if not isinstance(optimizer, tensorflow_federated.learning.optimizers.Optimizer):
        raise ModelError(
            f"{key}: {tff} gave {type(optimizer).__name__}, not a tff.learning.optimizers.Optimizer"
        )
    return optimizer


def optimizer_of(chosen: Section) -> tff.learning.optimizers.Optimizer:
    """The optimizer that a validated section chooses.

    Equal sections get one and the same object, which has no state of its own: what is traced with
    it can be shared.
    """
    entry = optimizers.entry(chosen)
    key = type(chosen), f"{chosen.model_dump_json()} {fingerprints(chosen)}"
    if key not in _made:
        made = entry.call(chosen)
        _made[key] = made if entry.spec.of_the_user else _unconverted(made)
    return _made[key]


def _unconverted(optimizer: Any) -> Any:
    """The same, of which TensorFlow's autograph leaves the code alone.

    To rewrite it takes a second, while a process is built, and there is nothing in it to rewrite.
    """
    import tensorflow as tf

    for name in ("initialize", "next"):
        method = tf.autograph.experimental.do_not_convert(getattr(optimizer, name))
        setattr(optimizer, name, method)
    return optimizer
