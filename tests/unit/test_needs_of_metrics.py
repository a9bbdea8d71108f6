"""Metrics that a scenario can never have: told before it runs, with the line to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.metrics.metric import metrics
from pytest_federated.metrics.needs import Lack
from scenario_texts import GOOD, clients, training


class Broken(Exception):
    """Raised by functions of a user."""


PERSONAL = "personalize: {steps: 2}"
DITTO = training("algorithm: {kind: ditto, penalty: 0.1}")
RECON = training("algorithm: fed_recon")
PRIVATE = training("aggregator: {kind: dp, noise_multiplier: 1.0, delta: 1.0e-3}")
HELD_OUT = "data: {dataset: digits, holdout: per_client}"


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        (
            GOOD,
            "backdoor_success: {at_most: 0.5}",
            "4: clients.attacks: missing; expect.backdoor_success is measured with the trigger of "
            "an attack, such as backdoor",
        ),
        (
            clients("attacks: {kind: label_flip, share: 0.5}"),
            "backdoor_success: {at_most: 0.5}",
            "4: clients.attacks: got label_flip; expect.backdoor_success is measured with the "
            "trigger of an attack, such as backdoor",
        ),
        (
            DITTO.replace("count: 4", "count: 4, attacks: {kind: backdoor, share: 0.5}"),
            "backdoor_success: {at_most: 0.5}",
            "7: expect.backdoor_success: got {'at_most': 0.5}; it is measured on the "
            "model that all clients share; with ditto there is none",
        ),
        (
            DITTO,
            "class_recall: {at_least: 0.5}",
            "7: expect.class_recall: got {'at_least': 0.5}; it is measured on the model "
            "that all clients share; with ditto there is none",
        ),
        (
            GOOD,
            "personalized_accuracy: {at_least: 0.5}",
            "6: training.personalize: missing; expect.personalized_accuracy is measured on models "
            "that clients have fine-tuned",
        ),
        (
            GOOD,
            "worst_client_accuracy: {at_least: 0.5, personalized: true}",
            "6: training.personalize: missing; expect.worst_client_accuracy is measured on models "
            "that clients have fine-tuned",
        ),
        (
            DITTO,
            "client_accuracy: {at_least: 0.5}",
            "3: data.holdout: got global; expect.client_accuracy needs per_client, as with ditto "
            "each client's model is judged on its own examples",
        ),
        (
            GOOD,
            "unseen_client_accuracy: {at_least: 0.5}",
            "4: clients.unseen: missing; expect.unseen_client_accuracy is measured on clients that "
            "never train",
        ),
        (  # it has a test set of its own, but split anew it has no clients with test examples only
            GOOD.replace("digits", "emnist"),
            "unseen_client_accuracy: {at_least: 0.5}",
            "4: clients.unseen: missing; expect.unseen_client_accuracy is measured on clients that "
            "never train",
        ),
        (
            GOOD.replace("rounds: 2", "rounds: 1"),
            "seconds_per_round: {at_most: 5}",
            "6: training.rounds: got 1; expect.seconds_per_round leaves the first round out, and "
            "there is no other",
        ),
        (
            PRIVATE,
            "epsilon: {at_most: 9, delta: 1.0e-4}",
            "6: training.aggregator: got a delta of 0.001; expect.epsilon is for a delta of at "
            "most 0.0001",
        ),
        (
            RECON,
            "f1: {at_least: 0.5}",
            "7: expect.f1: got {'at_least': 0.5}; it is measured on predictions; "
            "fed_recon gives loss and accuracy only",
        ),
        (
            GOOD.replace("digits", "digits, validation_fraction: 0.1"),
            "f1: {at_least: 0.5, over: clients, best_by: validation}",
            "7: expect.f1: got {'at_least': 0.5, 'over': 'clients', 'best_by': 'validati...; it "
            "takes best_by on the test set only: leave over out",
        ),
    ],
)
def test_what_a_scenario_lacks_for_a_metric_is_named(
    problems: Callable[..., list[str]], text: str, expected: str, said: str
) -> None:
    assert problems(text + f"expect: {{{expected}}}\n") == [f"f.yaml:{said}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            clients("attacks: {kind: backdoor, share: 0.5}"),
            "backdoor_success: {at_most: 0.5}, class_recall: {at_least: 0}",
        ),
        (
            training(PERSONAL).replace("data: {dataset: digits}", HELD_OUT),
            "worst_client_accuracy: {at_least: 0, personalized: true}",
        ),
        (DITTO.replace("data: {dataset: digits}", HELD_OUT), "client_accuracy: {at_least: 0}"),
        (clients("unseen: 0.3"), "unseen_client_accuracy: {at_least: 0}"),
        (
            GOOD.replace("digits", "emnist").replace("count: 4", "split: natural"),
            "unseen_client_accuracy: {at_least: 0}",
        ),
        (GOOD, "seconds_per_round: {at_most: 5}, client_accuracy: {at_least: 0}"),
        (PRIVATE, "epsilon: {at_most: 9, delta: 1.0e-3}"),
        (GOOD, "f1: {at_least: 0, over: clients}"),
    ],
)
def test_what_a_scenario_has_can_be_expected(
    problems: Callable[..., list[str]], text: str, expected: str
) -> None:
    assert problems(text + f"expect: {{{expected}}}\n") == []


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("comparison: {metric: backdoor_success}", "comparison.metric"),
        (
            "tune: {by: test, metric: backdoor_success, keys: {training.local_epochs: [1, 2]}}",
            "tune.metric",
        ),
    ],
)
def test_who_else_asks_for_a_metric_is_named(
    problems: Callable[..., list[str]], asked: str, place: str
) -> None:
    (said, *_) = problems(GOOD + f"matrix: {{model: [mlp, linear]}}\n{asked}\n")
    assert said == (
        f"f.yaml:4: clients.attacks: missing; {place} is measured with the trigger of an attack, "
        "such as backdoor"
    )


def test_a_metric_of_the_user_may_need_something(
    problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_ten_rounds(keys: object, scenario: object) -> Lack:
        return Lack("is measured after ten rounds", "training.rounds", "got too few")

    monkeypatch.setattr(metrics, "_entries", metrics.entries())  # restores them afterwards
    metrics("lately", needs=in_ten_rounds)(lambda history: 0.0)
    assert problems(GOOD + "expect: {lately: {at_least: 0}}\n") == [
        "f.yaml:6: training.rounds: got too few; expect.lately is measured after ten rounds"
    ]


def test_what_a_users_metric_needs_may_be_wrong(
    problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(keys: object, scenario: object) -> Lack:
        raise Broken

    def of_text(keys: object, scenario: object) -> Any:
        return "training.rounds"

    monkeypatch.setattr(metrics, "_entries", metrics.entries())  # restores them afterwards
    metrics("broken", needs=broken)(lambda history: 0.0)
    metrics("of_text", needs=of_text)(lambda history: 0.0)
    (said,) = problems(GOOD + "expect: {broken: {at_least: 0}}\n")
    assert said.startswith("f.yaml:7: expect.broken: ")
    assert "the metric 'broken' raised Broken" in said
    (said,) = problems(GOOD + "expect: {of_text: {at_least: 0}}\n")
    assert said.startswith("f.yaml:7: expect.of_text: ")
    assert said.endswith("gave 'training.rounds'; it must give a Lack, or None, as what it needs")


def test_an_attack_of_the_user_may_be_wrong(
    problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other files are read all the same."""

    def broken() -> Any:
        raise Broken

    monkeypatch.setattr(attacks, "_entries", attacks.entries())  # restores them afterwards
    attacks("broken")(broken)
    text = clients("attacks: {kind: broken, share: 0.5}")
    said = problems(
        text + "expect: {backdoor_success: {at_most: 1}}\n", other=GOOD.replace("mlp", "mpl")
    )
    assert len(said) == 2
    assert said[0].startswith("f.yaml:7: expect.backdoor_success: ")
    assert "the attack 'broken' raised Broken" in said[0]
    assert said[1].startswith("other.yaml:5: model: ")
