"""Attacks that an algorithm cannot have: told before anything runs, with the line to change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.training.algorithms.algorithm import algorithms
from scenario_texts import GOOD

FIXED = [
    name
    for name in algorithms.names()
    if algorithms[name].spec.fixes_updates is True
    and "clients.attacks" not in algorithms[name].spec.refuses  # any attack at all
]
CHANGING = [name for name in attacks.names() if attacks[name].spec.changes_updates]


def _text(algorithm: str, attack: str, more: str = "") -> str:
    keys = {"kind": algorithm, **algorithms[algorithm].spec.example}
    attacking = {"kind": attack, "share": 0.5, **attacks[attack].spec.example}
    text = GOOD.replace("count: 4", f"count: 4, attacks: {attacking}")
    text = text.replace("rounds: 2", f"rounds: 2, algorithm: {keys}{more}")
    needs_none = "model" in algorithms[algorithm].spec.refuses
    return text.replace("model: mlp\n", "" if needs_none else "model: mlp\n")


@pytest.mark.parametrize("algorithm", FIXED)
@pytest.mark.parametrize("attack", CHANGING)
def test_attacks_on_updates_that_cannot_be_changed_are_refused(
    problems: Callable[..., list[str]], algorithm: str, attack: str
) -> None:
    (problem,) = problems(_text(algorithm, attack))
    assert problem.startswith(
        f"f.yaml:4: clients.attacks: got {attack}; {algorithm} gives no way to change a client's "
        "update; allowed with it: "
    )
    assert "label_flip" in problem


def test_so_they_are_where_only_packed_clients_can_have_them(
    problems: Callable[..., list[str]],
) -> None:
    more = ", execution: standard"
    (problem,) = problems(_text("fedsgd", "sign_flip", more))
    assert problem.startswith(
        "f.yaml:4: clients.attacks: got sign_flip; fedsgd gives no way to change a client's "
        "update in standard execution; allowed with it: "
    )
    assert problems(_text("fedavg", "sign_flip", more)) == []
    assert problems(_text("fedsgd", "sign_flip", ", aggregator: {kind: clipping}")) == []


@pytest.mark.parametrize(
    ("algorithm", "attack"),
    [("scaffold", "label_flip"), ("fedavg", "alie"), ("fedsgd", "ipm"), ("fedprox", "boost")],
)
def test_others_are_not(problems: Callable[..., list[str]], algorithm: str, attack: str) -> None:
    assert problems(_text(algorithm, attack)) == []
