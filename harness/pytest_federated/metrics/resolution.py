"""Resolutions: the steps in which metrics come, given what was trained.

No spread over seeds is taken for less than a step allows, and no tolerance is smaller than one.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional

from pytest_federated.training.history import Round, TrainingHistory


class Step(NamedTuple):
    """The step of a metric in one training.

    Attributes:
        size: the least by which two values can differ; 0 where there is no such step.
        examples: how many examples the value is a share of; None where it is no share.

    """

    size: float = 0.0
    examples: Optional[int] = None


@dataclass(frozen=True)
class Resolution:
    """In what steps a metric comes.

    Attributes:
        text: the step in words, for tables.
        step: finds it, from a training and the metric's keys.

    """

    text: str
    step: Callable[[TrainingHistory, Mapping[str, Any]], Step]


def constant(size: float) -> Resolution:
    """The same step in every training."""
    return Resolution("one" if size == 1 else f"{size:g}", lambda history, keys: Step(size))


def _of_examples(examples: int) -> Step:
    return Step(1 / examples, examples) if examples > 0 else Step()


def _test_example(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
    return _of_examples(history.test_examples)


def _validation_example(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
    return _of_examples(history.validation_examples)


def _test_example_of_a_round(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
    size = _of_examples(history.test_examples).size / max(1, len(history.evaluated) - 1)
    return Step(size, history.test_examples or None)


def _test_example_of_the_label(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
    recalls = {label: r for label, r in enumerate(history.class_recall) if r is not None}
    if not recalls:
        return _of_examples(history.test_examples)
    named = keys.get("label")
    label = None if named is None else history.label_at(named)
    if label is None:
        label = min(recalls, key=recalls.__getitem__)
    return _of_examples(test_examples_of(history, label))


def test_examples_of(history: TrainingHistory, label: int) -> int:
    """How many test examples a label has, one at least.

    A history does not hold that number. It follows from the label's share of the clients' examples,
    where the counts of all clients are known; else all labels have equally many.
    """
    counts = [sum(of_label) for of_label in zip(*history.label_counts)]
    are_all = sum(counts) == sum(history.client_examples) > 0
    if are_all and label < len(counts) and counts[label]:
        share = counts[label] / sum(counts)
    else:
        share = 1 / max(1, sum(recall is not None for recall in history.class_recall))
    return max(1, round(share * history.test_examples))


def examples_by_client(history: TrainingHistory) -> Optional[list[int]]:
    """How many examples each measured client was judged on.

    None where that is not known: a history has the sizes of the clients' training data, and clients
    that hold examples out are judged on others.
    """
    places = history.measured_clients or range(len(history.client_examples))
    sizes = [history.client_examples[place] for place in places]
    if not sizes or len(sizes) != len(history.client_accuracy):
        return None
    pairs = zip(history.client_accuracy, sizes)
    are_whole = all(_is_share_of(accuracy, size) for accuracy, size in pairs)
    return sizes if are_whole else None


def _is_share_of(accuracy: float, examples: int) -> bool:
    """Whether a whole number of these examples gives this accuracy, which has six digits."""
    correct = round(accuracy * examples)
    return abs(accuracy * examples - correct) <= 1e-6 * examples


def _of_clients(
    select: Callable[[Sequence[tuple[float, int]]], Step],
) -> Callable[[TrainingHistory, Mapping[str, Any]], Step]:
    """A step from the accuracies and examples of clients, the worst first.

    It is that of the whole test set where the clients' own examples are not known.
    """

    def step(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
        sizes = None if keys.get("personalized") else examples_by_client(history)
        if sizes is None:
            return _of_examples(history.test_examples)
        return select(sorted(zip(history.client_accuracy, sizes)))

    return step


def _mean_over_clients(clients: Sequence[tuple[float, int]]) -> Step:
    sizes = [size for _, size in clients]
    return Step(1 / (len(sizes) * max(sizes)), sum(sizes))


def _of_unseen(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
    clients = list(zip(history.unseen_accuracy, history.unseen_examples))
    return _mean_over_clients(clients) if clients else Step()


def _of_predictions(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
    """The step of a share of examples: of the test set, or over clients as the keys say."""
    places = history.measured_clients or range(len(history.client_examples))
    sizes = [history.client_examples[place] for place in places]
    over = keys.get("over")
    if over is None or not sizes:
        return _test_example(history, keys)
    if over == "clients":
        return Step(1 / (len(sizes) * max(sizes)), sum(sizes))
    return _of_examples(min(sizes))


def _bytes_until_next_evaluation(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
    sent = [bytes_of(done, keys.get("direction", "both")) for done in history.rounds]
    known = [n for n in sent if n is not None]
    return Step(rounds_between_evaluations(history) * statistics.fmean(known) if known else 0.0)


def bytes_of(done: Round, direction: str) -> Optional[int]:
    """Bytes of a round, ``up``, ``down`` or ``both``; None where they were not measured."""
    up = 0 if direction == "down" else done.bytes_up
    down = 0 if direction == "up" else done.bytes_down
    return None if up is None or down is None else up + down


def rounds_between_evaluations(history: TrainingHistory) -> int:
    """The largest number of rounds from one evaluation to the next: `eval_every`."""
    evaluated = [0, *(done.round for done in history.evaluated)]
    return max((end - begin for begin, end in zip(evaluated, evaluated[1:])), default=1)


NONE = Resolution("none", lambda history, keys: Step())
TEST_EXAMPLE = Resolution("one test example", _test_example)
PREDICTED_EXAMPLE = Resolution("one example, of the test set or of a client", _of_predictions)
VALIDATION_EXAMPLE = Resolution("one validation example", _validation_example)
TEST_EXAMPLE_OF_A_ROUND = Resolution(
    "one test example of one evaluated round", _test_example_of_a_round
)
LABEL_EXAMPLE = Resolution("one test example of the label", _test_example_of_the_label)
CLIENT_EXAMPLE = Resolution("one example of one client", _of_clients(_mean_over_clients))
UNSEEN_CLIENT_EXAMPLE = Resolution("one example of one unseen client", _of_unseen)
WORST_CLIENT_EXAMPLE = Resolution(
    "one example of that client", _of_clients(lambda clients: _of_examples(clients[0][1]))
)
WORST_TENTH_EXAMPLE = Resolution(
    "one example of one of these clients",
    _of_clients(lambda clients: _mean_over_clients(clients[: -(-len(clients) // 10)])),
)
EVALUATED_ROUND = Resolution(
    "`eval_every` rounds", lambda history, keys: Step(rounds_between_evaluations(history))
)
EVALUATED_BYTES = Resolution("bytes of `eval_every` rounds", _bytes_until_next_evaluation)
