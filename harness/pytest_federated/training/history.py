"""What a training leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional, Union

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from pytest_federated.core.schema import Figure, without_empty
from pytest_federated.data.heterogeneity import Heterogeneity
from pytest_federated.data.population import made_up_name
from pytest_federated.training.final_model import FinalModel

_LISTED = 100  # clients whose label counts a record has
LISTED_FEATURES = 100  # names of columns that a record has
_NAMED = 1000  # clients up to which a record has the names of all


def _counts(rows: Any) -> Any:
    """Rows that a record has as text."""
    return [row.split() if isinstance(row, str) else row for row in rows]


def _lines(rows: Sequence[Sequence[int]]) -> list[str]:
    return [" ".join(map(str, row)) for row in rows]


# Rows of whole numbers; one line each in a record.
Counts = Annotated[
    tuple[tuple[int, ...], ...],
    BeforeValidator(_counts),
    PlainSerializer(_lines, when_used="json"),
]


def listed_clients(clients: int) -> list[int]:
    """Positions of the clients whose label counts a record has: all, or 100 spread evenly."""
    return np.unique(np.linspace(0, clients - 1, min(_LISTED, clients)).astype(int)).tolist()


def recorded_names(names: Sequence[str], measured: Sequence[int]) -> dict[int, str]:
    """Returns the clients' names that a record has, by position.

    These are all or, of more than 1,000, those of `listed_clients` and of the measured ones. There
    are none where the data has none.
    """
    if all(name == made_up_name(client) for client, name in enumerate(names)):
        return {}
    every = range(len(names))
    places = every if len(names) <= _NAMED else sorted({*listed_clients(len(names)), *measured})
    return {place: names[place] for place in places}


# The figures of a round that are of the validation set.
ON_VALIDATION = ("validation_loss", "validation_accuracy")
# Those that are of single clients.
ON_CLIENTS = ("client_accuracy", "client_scores", "measured_clients")


class Round(BaseModel):
    """One round. Figures of training are TFF's own federated metrics over the cohort.

    Attributes:
        round: number of the round, from 1.
        clients: clients in the cohort; 0 where all dropped out or none was there, and then the
            round leaves the model as it was, but for the noise of a private aggregator.
        held_examples: examples that the cohort's clients hold.
        examples: examples that the cohort processed, all local epochs counted.
        train_loss: mean loss over those examples while they were trained on; None where nobody
            trained.
        train_accuracy: share of them that was classified correctly; None as above.
        loss: mean loss on the test set after the round; None where it was not evaluated.
        accuracy: share of the test set classified correctly; None where not evaluated.
        dropped: clients that were drawn for the round, too, and dropped out of it.
        stragglers: clients of the cohort that did only a part of their local steps.
        attackers: clients of the cohort that attacked.
        bytes_down: bytes that the server sent to the cohort, all clients together; None where
            that is not known.
        bytes_up: bytes that the cohort sent back, after compression.
        scores: other metrics of the predictions on the test set, by name; written if there are any.
        validation_loss: as `loss`, on the validation examples; written if there are any.
        validation_accuracy: as `accuracy`, on these.
        client_accuracy: of the model after the round, for single clients, as in `TrainingHistory`,
            but always of all that a client has, and of at most 1,000 clients. Written only if
            clients were measured after the round; so are the next two.
        client_scores: the same for other metrics of the predictions, by name.
        measured_clients: positions of the clients that these are of, where it is not all.

    """

    model_config = ConfigDict(frozen=True, defer_build=True, ser_json_inf_nan="strings")

    round: int
    clients: int
    held_examples: int
    examples: int
    train_loss: Optional[Figure]
    train_accuracy: Optional[Figure]
    loss: Optional[Figure] = None
    accuracy: Optional[Figure] = None
    dropped: int = 0
    stragglers: int = 0
    attackers: int = 0
    bytes_down: Optional[int] = None
    bytes_up: Optional[int] = None
    scores: dict[str, Figure] = Field(default_factory=dict)
    validation_loss: Optional[Figure] = None
    validation_accuracy: Optional[Figure] = None
    client_accuracy: tuple[Figure, ...] = ()
    client_scores: dict[str, tuple[Optional[Figure], ...]] = Field(default_factory=dict)
    measured_clients: tuple[int, ...] = ()

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, "scores", *ON_VALIDATION, *ON_CLIENTS)


class TrainingHistory(BaseModel):
    """All rounds of one training.

    Attributes:
        seed: the seed that everything random came from.
        rounds: in order.
        execution: how clients were put onto placements, and why where it was not chosen.
        ended_early: whether it was ended before its last round, as its scenario's verdicts were
            certain. Only then it is written.
        diverged: in which round and how the training stopped being finite, or None.
        client_examples: examples that each client holds, in the order of clients.
        test_examples: size of the test set.
        validation_examples: size of the validation set; written if there is one.
        heterogeneity: how non-IID the clients came out; None in records older than the figures.
        client_names: the clients' own names, by position; see `recorded_names`. Written only if not
            empty.
        label_names: what the labels are called, in order; empty where they are called 0, 1, ...
            Written only if not empty.
        features: how many columns are learned from, of a table; written if there are any.
        feature_names: the names of the first 100. Written if there are any.
        label_counts: examples of each label at each of `listed_clients`. Empty in older records.
        parameters: trainable numbers of the model; None where that is not known.
        model_summary: the model's layers in order: what each is, the shape of its output for one
            example, and its parameters. Empty in older records.
        update_bytes: bytes that a client sends back in a round before compression.
        client_accuracy: of the final model, for each client in order: on its own test examples or
            what it holds out for testing; where no client has any, on what it trains on. Empty
            where it was not measured.
            Where clients have models of their own it is that of the client's, and on what it
            holds out only.
        measured_clients: positions of the clients that `client_accuracy` is of, where it is not
            all: some of very many, drawn from the seed, or those that hold something out.
        tested_clients: how many clients have test examples of their own in the data set's test set;
            written if there are any.
        has_shared_test: whether the test set is the data set's own, though clients hold examples
            out, too. Only then it is written.
        left_out_clients: how many natural clients hold too few examples, and so are none of the
            clients; written if there are any.
        unseen_clients: how many clients never train; written if there are any.
        unseen_examples: for each of these that was measured, the examples that it was tested on.
        unseen_accuracy: of the final model, for each of these. Written if there are any.
        class_recall: of the final model on the test set, for each label; None for a label that
            the test set does not have. Empty where it was not measured.
        backdoor_success: share of the test images of other labels that the final model takes for
            the target of a backdoor attack when they have its trigger; written if there is one.
        personalized_accuracy: as `client_accuracy`, after each client has fine-tuned the model.
        epsilon: of the differential privacy that the whole training gives at `delta`; None where
            it gives none.
        delta: see `epsilon`.
        outputs: ``probabilities`` where that was found from the model; None where it gives logits,
            or the scenario says what it gives. Only then it is written.
        task: what was predicted, of the tasks with one output; None of others. Only then it is
            written.
        client_scores: as `client_accuracy`, other metrics of the predictions by name; None for a
            client whose examples have no such value. Written if there are any.
        seconds: wall time of each round, where it was taken; no part of the record.
        model: the final model, where it was to be kept; no part of the record.

    """

    model_config = ConfigDict(
        frozen=True,
        defer_build=True,
        ser_json_inf_nan="constants",
        arbitrary_types_allowed=True,
    )

    seed: int
    rounds: tuple[Round, ...]
    execution: str = "standard"
    ended_early: bool = False
    diverged: Optional[str] = None
    client_examples: tuple[int, ...]
    test_examples: int
    validation_examples: int = 0
    heterogeneity: Optional[Heterogeneity] = None
    client_names: dict[int, str] = Field(default_factory=dict)
    label_names: tuple[str, ...] = ()
    features: int = 0
    feature_names: tuple[str, ...] = ()
    label_counts: Counts = ()
    parameters: Optional[int] = None
    model_summary: tuple[tuple[str, str, int], ...] = ()
    update_bytes: Optional[int] = None
    client_accuracy: tuple[Figure, ...] = ()
    measured_clients: tuple[int, ...] = ()
    tested_clients: int = 0
    has_shared_test: bool = False
    left_out_clients: int = 0
    unseen_clients: int = 0
    unseen_examples: tuple[int, ...] = ()
    unseen_accuracy: tuple[Figure, ...] = ()
    class_recall: tuple[Optional[Figure], ...] = ()
    personalized_accuracy: tuple[Figure, ...] = ()
    backdoor_success: Optional[Figure] = None
    epsilon: Optional[Figure] = None
    delta: Optional[Figure] = None
    outputs: Optional[Literal["probabilities"]] = None
    task: Optional[Literal["binary", "regression"]] = None
    client_scores: dict[str, tuple[Optional[Figure], ...]] = Field(default_factory=dict)
    seconds: Annotated[tuple[float, ...], Field(exclude=True)] = ()
    model: Annotated[Optional[FinalModel], Field(exclude=True)] = None

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(
            self,
            write,
            "outputs",
            "client_names",
            "label_names",
            "features",
            "feature_names",
            "ended_early",
            "task",
            "client_scores",
            "validation_examples",
            "tested_clients",
            "has_shared_test",
            "left_out_clients",
            "unseen_clients",
            "unseen_examples",
            "unseen_accuracy",
            "backdoor_success",
        )

    def client_name(self, client: int) -> str:
        """Returns what the client at a position is called."""
        return self.client_names.get(client) or made_up_name(client)

    def label_name(self, label: int) -> str:
        """Returns what the label at a position is called."""
        return self.label_names[label] if self.label_names else str(label)

    def label_at(self, name: Union[int, str]) -> Optional[int]:
        """Returns the position of the label of that name; None if there is none."""
        names = [self.label_name(label) for label in range(len(self.class_recall))]
        return names.index(str(name)) if str(name) in names else None

    @property
    def is_whole(self) -> bool:
        """Whether it came to its end, so that what is final in it can be compared with others."""
        return not self.ended_early and self.diverged is None

    @property
    def has_labels(self) -> bool:
        """Whether labels were predicted, not numbers."""
        return self.task != "regression"

    @property
    def best_on_validation(self) -> Optional[Round]:
        """The first of the rounds with the highest validation accuracy.

        Where numbers are predicted, with the lowest validation loss. None without validation.
        """
        rounds = [r for r in self.evaluated if r.validation_loss is not None]
        if any(r.validation_accuracy is not None for r in rounds):
            return max(rounds, key=lambda r: r.validation_accuracy or 0.0)
        return min(rounds, key=lambda r: r.validation_loss or 0.0, default=None)

    @property
    def evaluated(self) -> tuple[Round, ...]:
        """The rounds after which the test set was evaluated."""
        return tuple(r for r in self.rounds if r.accuracy is not None or r.loss is not None)
