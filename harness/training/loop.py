"""The round loop over a TFF learning process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

from harness.data.federate import FederatedData
from harness.data.heterogeneity import measure
from harness.settings import Section
from harness.training.cohorts import sample_cohort, shuffled_examples
from harness.training.evaluation import evaluate
from harness.training.history import Round, TrainingHistory
from harness.training.process import process_for
from harness.training.settings import Training

if TYPE_CHECKING:
    import tensorflow_federated as tff


class Step(NamedTuple):
    """A finished round, and the server's state after it."""

    round: Round
    state: tff.learning.templates.LearningAlgorithmState


def train(
    data: FederatedData,
    model: Section,
    training: Training,
    cohort_size: int,
    seed: int,
    on_round: Optional[Callable[[Round], None]] = None,
) -> TrainingHistory:
    """Trains by the chosen algorithm on TFF's default context and evaluates as it goes.

    Args:
        data: the clients and the test set.
        model: the chosen model.
        training: algorithm, rounds, local epochs, batch size, optimizers.
        cohort_size: clients in each round.
        seed: of initial weights, cohorts and order of examples.
        on_round: called after each round.

    Returns:
        The history; where the training diverged it ends with the round in which it did.

    Raises:
        ModelError: the model cannot be built or does not fit the data.

    """
    done: list[Round] = []
    diverged = None
    for step in steps(data, model, training, cohort_size, seed):
        done.append(step.round)
        if on_round:
            on_round(step.round)
        if diverged := _divergence(step.round, training):
            break
    return TrainingHistory(
        seed=seed,
        rounds=tuple(done),
        execution=str(process_for(model, training, data).execution),
        diverged=diverged,
        client_examples=tuple(int(n) for n in data.sizes),
        test_examples=len(data.test),
        heterogeneity=measure(data.label_counts, data.unused),
    )


def steps(
    data: FederatedData, model: Section, training: Training, cohort_size: int, seed: int
) -> Iterator[Step]:
    """Runs the rounds one by one; arguments as for `train`."""
    process = process_for(model, training, data)
    learning = process.learning
    state = process.initial_state(seed)
    for number in range(1, training.rounds + 1):
        cohort = sample_cohort(len(data.clients), cohort_size, seed, number)
        examples = [shuffled_examples(data, client, seed, number) for client in cohort]
        state, measured = learning.next(state, process.datasets(examples, training))
        loss = accuracy = None
        if number % training.eval_every == 0 or number == training.rounds:
            weights = learning.get_model_weights(state)
            weights.assign_weights_to(process.keras_model)
            loss, accuracy = evaluate(process.keras_model, process.loss, data.test)
        metrics = measured["client_work"]["train"]
        yield Step(
            Round(
                round=number,
                clients=len(cohort),
                held_examples=int(data.sizes[cohort].sum()),
                examples=int(metrics["num_examples"]),
                train_loss=float(metrics["loss"]),
                train_accuracy=float(metrics["accuracy"]),
                loss=loss,
                accuracy=accuracy,
            ),
            state,
        )


def _divergence(done: Round, training: Training) -> Optional[str]:
    """Says how a round stopped being finite, or None.

    TFF leaves a client out of the average, and out of the metrics, when its update is not
    finite; the examples that are missing from the metrics tell.
    """
    expected = done.held_examples * training.local_epochs
    if done.examples < expected:
        return (
            f"diverged in round {done.round}: clients with "
            f"{100 * (1 - done.examples / expected):.0f} % of the cohort's examples gave updates "
            "that are not finite"
        )
    for name in ("train_loss", "loss"):
        value = getattr(done, name)
        if value is not None and not math.isfinite(value):
            return f"diverged in round {done.round}: {name.replace('_', ' ')} is {value}"
    return None
