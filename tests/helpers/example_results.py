"""Made-up results and histories, for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
from pytest_federated.data.heterogeneity import measure
from pytest_federated.expectations.expectation import expectations
from pytest_federated.results.record import Result
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.history import Round, TrainingHistory

COUNTS = np.array([[5, 5, 0], [0, 10, 10]])  # of examples, by client and label
HETEROGENEITY = measure(COUNTS)


def example_scenario(rounds: int = 9, seeds: Sequence[int] = (0, 1), **sections: Any) -> Scenario:
    """Returns a small scenario; `sections` are others of it, or replace its own."""
    return Scenario.model_validate(
        {
            "name": "a",
            "data": {"dataset": "digits"},
            "clients": {"count": 4},
            "model": "mlp",
            "training": {"rounds": rounds},
            "seeds": list(seeds),
            **sections,
        }
    )


def expect(**names: Any) -> Any:
    """Returns the expectations of these names, with these keys, as a scenario has them."""
    return {name: expectations[name].params.model_validate(keys) for name, keys in names.items()}


def example_result(
    name: str = "tiny",
    accuracies: Sequence[float] = (0.5, 0.6),
    *,
    rounds: int = 2,
    split: Any = "iid",
    algorithm: Any = "fedavg",
    **more: Any,
) -> Result:
    """Returns a result with a training for each final accuracy; losses are 1 - accuracy."""
    scenario = Scenario.model_validate(
        {
            "name": name.partition("[")[0],
            "data": {"dataset": "digits"},
            "clients": {"count": 2, "split": split},
            "model": "mlp",
            "training": {"rounds": rounds, "algorithm": algorithm},
            "seeds": list(range(len(accuracies))),
        }
    )
    histories = tuple(
        TrainingHistory(
            seed=seed,
            rounds=tuple(
                Round(
                    round=number,
                    clients=2,
                    held_examples=30,
                    examples=30,
                    train_loss=1.0,
                    train_accuracy=0.5,
                    loss=1 - accuracy * number / rounds,
                    accuracy=accuracy * number / rounds,
                )
                for number in range(1, rounds + 1)
            ),
            client_examples=(10, 20),
            test_examples=1000,
            heterogeneity=HETEROGENEITY,
            label_counts=COUNTS.tolist(),
        )
        for seed, accuracy in enumerate(accuracies)
    )
    fields = {
        "id": name,
        "settings": scenario.settings(),
        "status": "passed",
        "histories": histories,
        "versions": {"numpy": "1.25.2"},
    }
    return Result.model_validate({**fields, **more})


def of_one_training(**figures: Any) -> Result:
    """Returns an example result of one training, whose history has these fields."""
    result = example_result(accuracies=(0.6,))
    (one,) = result.histories
    return result.model_copy(update={"histories": (one.model_copy(update=figures),)})


def history(
    accuracies: Sequence[Optional[float]],
    losses: Optional[Sequence[float]] = None,
    *,
    clients: int = 2,
    bytes_up: Optional[int] = None,
    bytes_down: Optional[int] = None,
    **more: Any,
) -> TrainingHistory:
    """Returns a training of seed 0 with these test accuracies, and other fields of a history.

    A round whose accuracy is None is not evaluated. Without `losses`, a loss is 1 - accuracy.
    """
    rounds = [
        Round(
            round=number,
            clients=clients,
            held_examples=5 * clients,
            examples=5 * clients,
            train_loss=1.0,
            train_accuracy=0.5,
            accuracy=accuracy,
            loss=None if accuracy is None else losses[number - 1] if losses else 1 - accuracy,
            bytes_up=bytes_up,
            bytes_down=bytes_down,
        )
        for number, accuracy in enumerate(accuracies, start=1)
    ]
    fields = {"seed": 0, "client_examples": (5,) * clients, "test_examples": 10, **more}
    return TrainingHistory(rounds=tuple(rounds), **fields)


def with_validation(
    one: TrainingHistory, accuracies: Sequence[Optional[float]], examples: int = 20
) -> TrainingHistory:
    """Returns a training with these validation accuracies; losses are 1 - accuracy."""
    rounds = tuple(
        done.model_copy(
            update={
                "validation_accuracy": accuracy,
                "validation_loss": None if accuracy is None else 1 - accuracy,
            }
        )
        for done, accuracy in zip(one.rounds, accuracies)
    )
    return one.model_copy(update={"rounds": rounds, "validation_examples": examples})
