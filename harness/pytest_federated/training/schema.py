"""What a scenario says about its training."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Optional, Union, cast

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pytest_federated.clients.cohort import ALL, LocalWork
from pytest_federated.core.schema import Section, is_number, problem, without_empty
from pytest_federated.registry.choice import Choice
from pytest_federated.registry.registry import kind
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.algorithms.algorithm import MADE_FOR, algorithms
from pytest_federated.training.models.losses import LossName, unknown_loss
from pytest_federated.training.optimizers import rates
from pytest_federated.training.optimizers.optimizer import Unscheduled, optimizers, schedule_of
from pytest_federated.training.schedules.schedule import factors, spanning, unchanged
from pytest_federated.user.functions import UserFunction


class Personalize(Section):
    """What a client does with the final model before it is judged on what it holds out.

    `steps` steps of `optimizer`, by default the client optimizer without its schedule, on batches
    of its own examples.
    """

    steps: Annotated[int, Field(ge=1)]
    optimizer: Annotated[Optional[Section], Choice(optimizers, optional=True), Unscheduled] = None


def _known_loss(value: Any) -> Any:
    if isinstance(value, str) and (reason := unknown_loss(value)):
        raise problem("", reason)
    return value


def _batch_size(value: Any) -> Any:
    if isinstance(value, float) and not 0 < value <= 1:
        raise problem("", f"got {value}; a share of a client's examples is at most 1.0")
    if value != "all" and (not is_number(value) or (value < 1 and not isinstance(value, float))):
        raise problem("", "must be an integer, at least 1, a share of a client's examples, or all")
    return value


def _class_weights(value: Any) -> Any:
    """Checks weights of labels, whose names may be numbers in YAML."""
    if value is None or value == "balanced":
        return value
    if not isinstance(value, dict) or not value:
        raise problem("", "must be balanced, or a mapping from labels to weights")
    weights = {str(label): weight for label, weight in cast("dict[Any, Any]", value).items()}
    for label, weight in weights.items():
        if not is_number(weight) or not 0 <= weight < math.inf:
            raise problem(label, f"got {weight!r}; a weight must be a finite number of at least 0")
    return weights


Loss = Annotated[
    Optional[Union[LossName, UserFunction]],
    BeforeValidator(_known_loss),
    Field(description="The loss of a Keras model: one of Keras', or your own function."),
]
Weights = Annotated[
    Optional[
        Union[
            Literal["balanced"],
            Annotated[
                dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]], Field(min_length=1)
            ],
        ]
    ],
    BeforeValidator(_class_weights),
    Field(description="What each label counts in the loss of training, 1 for those not named."),
]


_YOUNGER = ("personalize", "local_steps", "loss", "class_weights", "eval_clients_every")


class Training(Section):
    """The algorithm and its settings; the defaults are FedAvg with one local epoch.

    `eval_every` is the number of rounds between two evaluations on the test set; the last
    round is always evaluated. `eval_clients_every` is the same for measuring single clients, which
    otherwise are measured only at the end. `loss` is that of the task unless it is named. With
    `personalize` the final model is also judged after each client has fine-tuned it. `execution`
    says how clients are put onto TFF's placements: one each (standard), or many together (packed),
    which gives the same weights within float32 rounding and is much faster; auto packs where it
    can.
    """

    algorithm: Annotated[Section, Choice(algorithms)] = Field(
        default_factory=lambda: algorithms.parse("fedavg")
    )
    aggregator: Annotated[Section, Choice(aggregators)] = Field(
        default_factory=lambda: aggregators.parse("mean")
    )
    rounds: Annotated[int, Field(ge=1)]
    local_epochs: Annotated[int, Field(ge=1)] = 1
    local_steps: Annotated[
        Optional[int], Field(ge=1, description="Of each client, in place of `local_epochs`.")
    ] = None
    batch_size: Annotated[
        Union[
            Literal["all"],
            Annotated[int, Field(ge=1)],
            Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)],
        ],
        BeforeValidator(_batch_size),
        Field(description="`all`: all examples of a client; below 1, a share of them."),
    ] = 20
    client_optimizer: Annotated[Section, Choice(optimizers)] = Field(
        default_factory=lambda: optimizers.parse({"kind": "sgd", "learning_rate": 0.1})
    )
    server_optimizer: Annotated[Section, Choice(optimizers)] = Field(
        default_factory=lambda: optimizers.parse({"kind": "sgd", "learning_rate": 1.0})
    )
    loss: Loss = None
    class_weights: Weights = None
    eval_every: Annotated[int, Field(ge=1)] = 1
    eval_clients_every: Annotated[
        Optional[int],
        Field(ge=1, description="Rounds between two measurements of single clients."),
    ] = None
    execution: Literal["auto", "standard", "packed"] = "auto"
    personalize: Optional[Personalize] = None

    @property
    def local_work(self) -> LocalWork:
        """What every client of a round does."""
        batch_size = ALL if self.batch_size == "all" else self.batch_size
        return LocalWork(batch_size, self.local_epochs, self.local_steps)

    def rate_factors(self) -> dict[str, tuple[float, ...]]:
        """Returns the factors of the learning rates that change by round, for each round.

        By `rates.CLIENT` and `rates.SERVER`, of the optimizers that the algorithm uses.
        """
        unused = algorithms.entry(self.algorithm).spec.unused
        return {
            side: factors(schedule, self.rounds)
            for side, key in rates.KEYS.items()
            if key not in unused and (schedule := schedule_of(getattr(self, key)))
        }

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, *_YOUNGER)

    @model_validator(mode="after")
    def _spans_schedules(self) -> Training:
        """Says how long the schedules are that span the training."""
        for key in rates.KEYS.values():
            optimizer = getattr(self, key)
            if schedule := schedule_of(optimizer):
                if reason := unchanged(schedule, self.rounds):
                    raise problem(f"{key}.schedule", reason)
                spanned = spanning(schedule, self.rounds)
                effective = optimizer.model_copy(update={"schedule": spanned})
                object.__setattr__(self, key, effective)
        return self

    @model_validator(mode="after")
    def _counts_local_work_once(self) -> Training:
        if self.local_steps is not None and self.local_epochs != 1:
            raise problem(
                "local_steps",
                f"got {self.local_steps}, and local_epochs {self.local_epochs}; give one of the "
                "two (local_epochs: 1 where a defaults.yaml has more)",
            )
        return self

    @model_validator(mode="after")
    def _leaves_to_the_algorithm_what_it_sets(self) -> Training:
        entry = algorithms.entry(self.algorithm)
        if self.personalize is not None and entry.spec.has_no_global_model:
            raise problem("personalize", f"{entry.name} has no model that all clients fine-tune")
        for key in entry.spec.fixes:
            value = getattr(self, key)
            default = Training.model_fields[key].get_default(call_default_factory=True)
            if value != default:
                shown = kind(value) if isinstance(value, Section) else value
                raise problem(
                    key, f"got {shown}; {entry.name} sets it itself: leave it out, or choose fedavg"
                )
        return self

    @model_validator(mode="after")
    def _has_the_parts_that_the_algorithm_needs(self) -> Training:
        entry, client = algorithms.entry(self.algorithm), self.client_optimizer
        if entry.spec.aggregates_itself and kind(self.aggregator) != "mean":
            raise problem(
                "aggregator",
                f"got {kind(self.aggregator)}; {entry.name} aggregates in its own way: leave it "
                "out",
            )
        needed = entry.spec.client_sgd
        if not needed or optimizers.entry(client).spec.of_the_user:
            return self
        momentum = getattr(client, "momentum", None)
        if kind(client) != "sgd" or (momentum and needed == "plain"):
            got = f"sgd with momentum {momentum}" if kind(client) == "sgd" else kind(client)
            reason = f"{entry.name} is made for {MADE_FOR[needed]}"
            raise problem("client_optimizer", f"got {got}; {reason}")
        return self

    @model_validator(mode="after")
    def _says_the_rate_of_the_servers_own_step(self) -> Training:
        entry, server = algorithms.entry(self.algorithm), self.server_optimizer
        if not entry.spec.server_step:
            return self
        if entry.spec.server_step is not True and "server_optimizer" not in self.model_fields_set:
            raise problem(
                "server_optimizer",
                f"missing; {entry.name} needs its learning rate, as {{learning_rate: 0.1}}",
            )
        others = [k for k in ("momentum", "weight_decay") if getattr(server, k, None)]
        if kind(server) != "sgd" or others:
            got = f"sgd with {' and '.join(others)}" if others else kind(server)
            raise problem(
                "server_optimizer",
                f"got {got}; the step of the server is that of {entry.name}, which takes a "
                "learning_rate, schedule and clip_norm from here: {learning_rate: ...}",
            )
        return self

    @model_validator(mode="after")
    def _weighs_where_it_counts(self) -> Training:
        """Has the weighting be uniform where the aggregator counts every client the same."""
        aggregator = aggregators.entry(self.aggregator)
        asked = self.algorithm.model_fields_set
        weighting = getattr(self.algorithm, "weighting", "uniform")
        if not aggregator.spec.unweighted or weighting == "uniform":
            return self
        if "weighting" in asked:
            raise problem(
                "aggregator",
                f"got {aggregator.name}; it counts every client the same: leave the algorithm's "
                f"weighting ({weighting}) out, or say uniform",
            )
        effective = self.algorithm.model_copy(update={"weighting": "uniform"})
        object.__setattr__(self, "algorithm", effective)  # what is not asked for, before it is read
        return self
