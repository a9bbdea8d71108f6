"""The round loop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from pytest_federated.clients.attacks.attack import attack
from pytest_federated.clients.attacks.poisoning import triggered
from pytest_federated.clients.cohort import cohort_of_round, most_often
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import expected_cohort
from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.data.federation import FederatedData
from pytest_federated.data.heterogeneity import measure
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.checkpoints import Checkpoints
from pytest_federated.training.engine.build import Trainer, trainer_for
from pytest_federated.training.evaluation.central import NO_SCORES, Recall, Scores
from pytest_federated.training.evaluation.per_client import (
    client_figures,
    unseen_figures,
)
from pytest_federated.training.evaluation.personalized import (
    personalized_accuracy,
    require_tested_clients,
)
from pytest_federated.training.history import (
    LISTED_FEATURES,
    ON_VALIDATION,
    Round,
    TrainingHistory,
    listed_clients,
    recorded_names,
)
from pytest_federated.training.observer import Observer, Observers, Progress
from pytest_federated.training.optimizers.rates import at_round
from pytest_federated.training.privacy import adds_noise_without_clients, guarantee
from pytest_federated.training.schema import Training

if TYPE_CHECKING:
    import tensorflow_federated as tff


# The metrics of a round in which nobody trained.
_NOTHING: dict[str, Any] = {"num_examples": 0, "loss": None, "accuracy": None}
# The figures of a round after which nothing was evaluated.
_NOT_JUDGED: dict[str, Any] = {
    **{"loss": None, "accuracy": None, "scores": {}},
    **dict.fromkeys(ON_VALIDATION),
}
# Those of a round after which no client was measured.
_OF_NO_CLIENTS: dict[str, Any] = {
    "client_accuracy": (),
    "client_scores": {},
    "measured_clients": (),
}


class Step(NamedTuple):
    """A finished round.

    Attributes:
        round: its figures.
        state: the server's, after it.
        planned_examples: those that should have counted.
        recall: of that state's model, where it was evaluated for the last time.

    """

    round: Round
    state: tff.learning.templates.LearningAlgorithmState
    planned_examples: int
    recall: Optional[Recall] = None


def train(
    data: FederatedData,
    model: Optional[Section],
    training: Training,
    cohort_size: int,
    seed: int,
    observer: Observer = Observer(),  # noqa: B008  # does nothing
    checkpoints: Optional[Checkpoints] = None,
    participation: Optional[Participation] = None,
    keeps_model: bool = False,
    scores: Scores = NO_SCORES,
) -> TrainingHistory:
    """Trains by the chosen algorithm on TFF's default context and evaluates as it goes.

    Args:
        data: the clients, the test set and, if there is one, the validation set.
        model: the chosen model; None for an algorithm that needs none.
        training: algorithm, rounds, local epochs, batch size, optimizers.
        cohort_size: clients that the scenario asks for in each round.
        seed: of initial weights, cohorts and order of examples.
        observer: called after each round; the training ends where it returns True.
        checkpoints: where to go on from, and where the state is kept as the training proceeds
            and when it is cut off by an error or an interrupt.
        participation: how clients are drawn, drop out, straggle and attack; by default none do.
        keeps_model: whether the history has the final model, if there is one for all clients.
        scores: metrics of the predictions to measure besides loss and accuracy.

    Returns:
        The history; where the training diverged it ends with the round in which it did.

    Raises:
        ModelError: the model cannot be built or does not fit the data.
        DataError: sampling, dropout or stragglers do not fit the federation, or no client has
            examples of its own to judge its own or its fine-tuned model on.

    """
    participation = participation or Participation()
    if training.personalize is not None:
        require_tested_clients(data)
    if training.eval_clients_every is not None:
        _require_measurable_clients(data, training)
    trainer = _trainer(model, training, data, cohort_size, participation)
    begin = None
    if checkpoints:
        begin = checkpoints.latest(trainer.initial_state(seed, data), training.rounds)
        begin = begin and _as_of(begin, trainer, data, training, seed, scores)
    so_far = begin or Progress((), None)
    watching = Observers((checkpoints, observer)) if checkpoints else observer
    if len(so_far.rounds) == training.rounds:
        observer.after_round(so_far)
    diverged = recall = None
    try:
        for step in steps(data, model, training, cohort_size, seed, begin, participation, scores):
            so_far = Progress((*so_far.rounds, step.round), step.state)
            recall = step.recall
            diverged = _divergence(step.round, step.planned_examples)
            if diverged:  # of which there is no checkpoint to go on from
                observer.after_round(so_far)
                break
            if watching.after_round(so_far):
                break
    except BaseException:
        if checkpoints:
            checkpoints.end(None)
        raise
    personalized: tuple[float, ...] = ()
    if training.personalize is not None and not diverged:
        personalized = personalized_accuracy(
            trainer.adapter,
            trainer.algorithm.weights(so_far.state),
            data,
            training,
            training.personalize,
            seed,
        )
    counts, shape = data.label_counts, trainer.adapter.shape
    aggregator = aggregators.entry(training.aggregator)
    private = guarantee(
        training.aggregator,
        participation,
        len(data.clients),
        cohort_size,
        len(so_far.rounds),
        most_often(data, cohort_size, seed, len(so_far.rounds), participation)
        if aggregator.spec.by_participation
        else None,
    )
    has_model = not algorithms.entry(training.algorithm).spec.has_no_global_model
    final = {}
    if not diverged:
        final = (
            _final_figures(trainer, so_far, data, seed, scores, recall)
            if has_model
            else _figures_of_clients(trainer, so_far.state, data, training, scores)
        )
        if has_model and participation.attacks is not None:
            final |= _backdoor(trainer, so_far.state, data, training, participation.attacks)
        if has_model and keeps_model:
            weights = trainer.algorithm.weights(so_far.state)
            final["model"] = trainer.adapter.final_model(weights)
    history = TrainingHistory(
        seed=seed,
        rounds=so_far.rounds,
        execution=str(trainer.execution),
        diverged=diverged,
        client_examples=tuple(int(n) for n in data.sizes),
        test_examples=len(data.test),
        tested_clients=data.tested_clients,
        has_shared_test=data.has_shared_test,
        left_out_clients=data.left_out,
        unseen_clients=len(data.unseen),
        validation_examples=0 if data.validation is None else len(data.validation),
        personalized_accuracy=personalized,
        heterogeneity=measure(counts, data.unused, data.sizes),
        epsilon=private and private.epsilon,
        delta=private and private.delta,
        client_names=recorded_names(data.names, _measured(so_far, final)),
        label_names=data.label_names,
        features=len(data.features),
        feature_names=data.features[:LISTED_FEATURES],
        label_counts=counts[listed_clients(len(data.clients))].tolist() if shape.task.hits else (),
        parameters=trainer.adapter.parameters(),
        model_summary=trainer.adapter.summary(),
        update_bytes=trainer.traffic.update,
        outputs="probabilities" if trainer.adapter.infers_probabilities else None,
        task=shape.kind if shape.kind in ("binary", "regression") else None,
        **final,
    )
    if checkpoints:
        checkpoints.end(history)
    return history


def _trainer(
    model: Optional[Section],
    training: Training,
    data: FederatedData,
    cohort_size: int,
    participation: Participation,
) -> Trainer:
    """Returns what trains a scenario; arguments as for `train`."""
    clients = expected_cohort(participation.sampling, len(data.population), cohort_size)
    return trainer_for(model, training, data, clients, participation.attacks)


def _require_measurable_clients(data: FederatedData, training: Training) -> None:
    """Raises DataError if clients' own models are to be measured on examples that no client has."""
    entry = algorithms.entry(training.algorithm)
    if entry.spec.has_no_global_model and not any(map(len, data.client_test)):
        raise DataError(
            f"training.eval_clients_every: with {entry.name}, clients have models of their own, "
            "which are judged on examples of their own; needs data.holdout: per_client"
        )


def _measured(so_far: Progress, final: Mapping[str, Any]) -> list[int]:
    """Returns the positions of clients that were measured after a round or at the end."""
    of_rounds = {client for done in so_far.rounds for client in done.measured_clients}
    return sorted(of_rounds.union(final.get("measured_clients", ())))


def _as_of(
    begin: Progress,
    trainer: Trainer,
    data: FederatedData,
    training: Training,
    seed: int,
    scores: Scores,
) -> Progress:
    """Returns the rounds of a checkpoint, evaluated where this training evaluates.

    The checkpoint may be that of a training of fewer rounds, or of more.
    """
    *before, last = (_with(done, _figures_not_due(done.round, training)) for done in begin.rounds)
    if _is_evaluated(last.round, training) and last.loss is None:
        last = _with(last, _judged(trainer, begin.state, data, training, scores)[0])
    if _measures_clients(last.round, training) and not (last.client_accuracy or last.client_scores):
        last = _with(last, _of_clients(trainer, begin.state, data, training, seed, scores))
    return Progress((*before, last), begin.state)


def _figures_not_due(number: int, training: Training) -> dict[str, Any]:
    """Returns those fields of a round that this training does not measure after it, empty."""
    return {
        **({} if _is_evaluated(number, training) else _NOT_JUDGED),
        **({} if _measures_clients(number, training) else _OF_NO_CLIENTS),
    }


def _measures_clients(number: int, training: Training) -> bool:
    every = training.eval_clients_every
    return every is not None and (number % every == 0 or number == training.rounds)


def _is_evaluated(number: int, training: Training) -> bool:
    return number % training.eval_every == 0 or number == training.rounds


def _with(done: Round, figures: Mapping[str, Any]) -> Round:
    """Returns a round with these figures in place of its own."""
    return Round.model_validate({**done.model_dump(), **figures}) if figures else done


def _judged(
    trainer: Trainer,
    state: Any,
    data: FederatedData,
    training: Training,
    scores: Scores,
    with_recall: bool = False,
) -> tuple[dict[str, Any], Optional[Recall]]:
    """Judges a state on the test set and the validation set, as fields of a round; and by label."""
    work = training.local_work
    judged = trainer.evaluate(state, data, work, scores, with_recall)
    figures = {"loss": judged.loss, "accuracy": judged.accuracy, "scores": dict(judged.scores)}
    if data.validated is None:
        return figures, judged.recall
    validated = trainer.evaluate(state, data.validated, work)
    figures |= {
        "validation_loss": validated.loss,
        "validation_accuracy": validated.accuracy,
    }
    return figures, judged.recall


def _of_clients(
    trainer: Trainer,
    state: Any,
    data: FederatedData,
    training: Training,
    seed: int,
    scores: Scores,
) -> dict[str, Any]:
    """How a state serves clients, as fields of a round; of at most 1,000, with all they hold."""
    if not algorithms.entry(training.algorithm).spec.has_no_global_model:
        return _of_common_model(trainer, state, data, seed, math.inf, scores)
    return _figures_of_clients(trainer, state, data, training, scores)


def _of_common_model(
    trainer: Trainer,
    state: Any,
    data: FederatedData,
    seed: int,
    processed: float,
    scores: Scores,
) -> dict[str, Any]:
    """How the model that all clients share serves them; arguments as for `client_figures`."""
    trainer.adapter.set_weights(trainer.algorithm.weights(state))
    figures = client_figures(trainer.adapter, data, seed, processed, scores)
    are_all = len(figures.clients) == len(data.clients)
    return {
        "client_accuracy": figures.accuracy,
        "measured_clients": () if are_all else figures.clients,
        "client_scores": figures.scores,
    }


def _final_figures(
    trainer: Trainer,
    so_far: Progress,
    data: FederatedData,
    seed: int,
    scores: Scores,
    recall: Optional[Recall],
) -> dict[str, Any]:
    """How the final model serves clients and labels, as fields of a history.

    `recall` is None unless the last evaluation has measured it.
    """
    processed = sum(r.examples for r in so_far.rounds)
    return {
        **_of_common_model(trainer, so_far.state, data, seed, processed, scores),
        "class_recall": trainer.recall(so_far.state, data) if recall is None else recall,
        **(_figures_of_unseen(trainer, data, seed, processed) if data.unseen else {}),
    }


def _figures_of_unseen(
    trainer: Trainer, data: FederatedData, seed: int, processed: int
) -> dict[str, Any]:
    """How the final model serves the clients that never train, as fields of a history."""
    figures = unseen_figures(trainer.adapter, data, seed, processed)
    return {
        "unseen_examples": tuple(len(data.unseen[client]) for client in figures.clients),
        "unseen_accuracy": figures.accuracy,
    }


def _backdoor(
    trainer: Trainer, state: Any, data: FederatedData, training: Training, attacks: Section
) -> dict[str, Any]:
    """Returns how well a backdoor works in the final model, for its history; nothing if none."""
    trigger = attack(attacks).trigger
    if trigger is None:
        return {}
    tested = replace(data, test=triggered(data, trigger))
    judged = trainer.evaluate(state, tested, training.local_work)
    return {"backdoor_success": judged.accuracy}


def _figures_of_clients(
    trainer: Trainer, state: Any, data: FederatedData, training: Training, scores: Scores
) -> dict[str, Any]:
    """How each client's own model serves it, where it holds something out to see."""
    if not data.client_test:
        return {}
    judged = trainer.client_evaluations(state, data, training.local_work, scores)
    are_all = len(judged) in (0, len(data.clients))
    measured = {name for one in judged.values() for name in one.scores}
    return {
        "client_accuracy": tuple(
            one.accuracy for one in judged.values() if one.accuracy is not None
        ),
        "measured_clients": () if are_all else tuple(judged),
        "client_scores": {
            name: tuple(one.scores.get(name) for one in judged.values())
            for name in scores
            if name in measured
        },
    }


def steps(
    data: FederatedData,
    model: Optional[Section],
    training: Training,
    cohort_size: int,
    seed: int,
    begin: Optional[Progress] = None,
    participation: Optional[Participation] = None,
    scores: Scores = NO_SCORES,
) -> Iterator[Step]:
    """Runs the rounds one by one, after those of `begin`; other arguments as for `train`."""
    participation = participation or Participation()
    trainer = _trainer(model, training, data, cohort_size, participation)
    begin = begin or Progress((), trainer.initial_state(seed, data))
    state, work = begin.state, training.local_work
    factors = training.rate_factors()
    for number in range(len(begin.rounds) + 1, training.rounds + 1):
        state = at_round(state, {side: by_round[number - 1] for side, by_round in factors.items()})
        cohort = cohort_of_round(data, cohort_size, seed, number, work, participation)
        metrics = _NOTHING
        if len(cohort.clients):
            state, metrics = trainer.next(state, cohort, work, seed, number)
        elif adds_noise_without_clients(training.aggregator):
            state, _ = trainer.next(state, cohort, work, seed, number)
        judged: dict[str, Any] = {}
        recall: Optional[Recall] = None
        if _is_evaluated(number, training):
            is_last = number == training.rounds
            judged, recall = _judged(trainer, state, data, training, scores, is_last)
        if _measures_clients(number, training):
            judged |= _of_clients(trainer, state, data, training, seed, scores)
        yield Step(
            Round(
                round=number,
                clients=len(cohort.clients),
                held_examples=int(data.sizes[cohort.clients].sum()),
                examples=int(metrics["num_examples"]),
                train_loss=_number(metrics["loss"]),
                train_accuracy=_number(metrics.get("accuracy")),
                **judged,
                dropped=cohort.dropped,
                stragglers=cohort.stragglers,
                attackers=cohort.attackers,
                # Who drops out has been sent the model, too.
                bytes_down=trainer.traffic.down * (len(cohort.clients) + cohort.dropped),
                bytes_up=trainer.traffic.up * len(cohort.clients),
            ),
            state,
            trainer.algorithm.planned_examples(cohort, work),
            recall,
        )


def _number(value: Any) -> Optional[float]:
    return None if value is None else float(value)


def _divergence(done: Round, expected: int) -> Optional[str]:
    """Says how a round stopped being finite, or None.

    TFF leaves a client out of the average, and out of the metrics, when its update is not
    finite; the examples that are missing from the metrics, of those that were `expected`, tell.
    """
    if done.examples < expected:
        return (
            f"diverged in round {done.round}: clients with "
            f"{100 * (1 - done.examples / expected):.0f} % of the cohort's examples gave updates "
            "that are not finite"
        )
    for name in ("train_loss", "loss", "validation_loss"):
        value = getattr(done, name)
        if value is not None and not math.isfinite(value):
            return f"diverged in round {done.round}: {name.replace('_', ' ')} is {value}"
    return None
