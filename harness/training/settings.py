"""What a scenario says about its training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.registry import Choice
from harness.settings import Section
from harness.training.algorithms import algorithms
from harness.training.optimizers import optimizers


class Training(Section):
    """The algorithm and its settings; the defaults are FedAvg with one local epoch.

    `eval_every` is the number of rounds between two evaluations on the test set; the last
    round is always evaluated. `execution` says how clients are put onto TFF's placements: one
    each (standard), or many together (packed), which gives the same weights within float32
    rounding and is much faster; auto packs where it can.
    """

    algorithm: Annotated[Section, Choice(algorithms)] = Field(
        default_factory=lambda: algorithms.parse("fedavg")
    )
    rounds: Annotated[int, Field(ge=1)]
    local_epochs: Annotated[int, Field(ge=1)] = 1
    batch_size: Annotated[int, Field(ge=1)] = 20
    client_optimizer: Annotated[Section, Choice(optimizers)] = Field(
        default_factory=lambda: optimizers.parse({"kind": "sgd", "learning_rate": 0.1})
    )
    server_optimizer: Annotated[Section, Choice(optimizers)] = Field(
        default_factory=lambda: optimizers.parse({"kind": "sgd", "learning_rate": 1.0})
    )
    eval_every: Annotated[int, Field(ge=1)] = 1
    execution: Literal["auto", "standard", "packed"] = "auto"
