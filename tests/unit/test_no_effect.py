"""What a scenario asks for, and could change nothing, is refused; neutral values are allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_data import NO_CACHE, federation
from pytest_federated.clients.cohort import cohort_of_round
from pytest_federated.clients.sampling.sampler import draw, largest_cohort, samplers
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError
from pytest_federated.core.shares import least, share_of_none
from pytest_federated.data.federation import federate
from pytest_federated.data.schema import Data
from pytest_federated.training.schema import Training
from scenario_texts import GOOD, clients, training

STRAGGLERS = "stragglers: {{kind: {}, share: 0.5{}}}"


def slow(kind: str, keys: str, settings: str) -> str:
    """Returns a scenario with stragglers and settings of its training."""
    return training(settings).replace("count: 4", f"count: 4, {STRAGGLERS.format(kind, keys)}")


ONE_EPOCH = (
    "got epochs; a straggler does at least one local epoch (training.local_epochs), and no client "
    "has more, so it would do all of its work; allowed: more local epochs, steps, or drop: true"
)
ONE_STEP = (
    "got {}; a straggler does at least one local step, and no client has more, so it would do all "
    "of its work; allowed: more local epochs or steps, smaller batches, or drop: true"
)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("epochs", "batch_size: 20", ONE_EPOCH),
        ("epochs", "batch_size: all, local_epochs: 1", ONE_EPOCH),
        ("steps", "local_steps: 1", ONE_STEP.format("steps")),
        ("steps", "batch_size: all", ONE_STEP.format("steps")),
        ("steps", "batch_size: 1.0", ONE_STEP.format("steps")),
    ],
)
def test_stragglers_that_would_do_all_of_their_work_are_refused(
    problems: Callable[..., list[str]], kind: str, settings: str, said: str
) -> None:
    assert problems(slow(kind, "", settings)) == [f"f.yaml:4: clients.stragglers: {said}"]
    assert problems(slow(kind, ", drop: true", settings)) == []


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("epochs", "local_epochs: 2, batch_size: all"),
        ("steps", "local_steps: 2"),
        ("steps", "local_epochs: 2, batch_size: all"),
        ("steps", "batch_size: 0.5"),
        ("steps", "batch_size: 20"),
    ],
)
def test_stragglers_that_may_do_less_are_not(
    problems: Callable[..., list[str]], kind: str, settings: str
) -> None:
    assert problems(slow(kind, "", settings)) == []


@pytest.mark.parametrize(
    ("sampling", "share", "cohort"),
    [
        ("per_round: 2, sampling: uniform", 0.3, ""),
        ("per_round: 2, sampling: uniform", 0.2, "2 clients"),
        ("per_round: 2, sampling: poisson", 0.2, ""),
        ("sampling: {kind: cyclic, blocks: 3}", 0.3, ""),
        ("sampling: {kind: cyclic, blocks: 3}", 0.2, "2 clients"),
        ("per_round: 1, sampling: {kind: cyclic, blocks: 3}", 0.3, "the one client"),
        ("sampling: {kind: fixed, cohorts: [[0], [1, 2, 3], []]}", 0.2, ""),
        ("sampling: {kind: fixed, cohorts: [[0], [1, 2, 3], []]}", 0.1, "3 clients"),
        ("sampling: {kind: fixed, cohorts: [[]]}", 0.1, ""),
    ],
)
def test_a_share_is_that_of_the_largest_cohort(
    problems: Callable[..., list[str]], sampling: str, share: float, cohort: str
) -> None:
    found = problems(clients(f"{sampling}, stragglers: {{kind: steps, share: {share}}}"))
    assert len(found) == bool(cohort)
    assert all(f"of {cohort} that is nobody" in problem for problem in found)


@pytest.mark.parametrize("name", [n for n in samplers.names() if n != "trace"])
def test_no_cohort_is_larger_than_the_largest(name: str) -> None:
    keys = {"cyclic": {"blocks": 3}, "fixed": {"cohorts": [[0], [1, 2, 3]]}}.get(name, {})
    sampling = samplers.parse({"kind": name, **keys})
    population = federation([5] * 10, 0).population
    drawn = [len(draw(sampling, population, 6, 0, number)) for number in range(1, 200)]
    assert max(drawn) <= largest_cohort(sampling, 10, 6)
    assert max(drawn) >= largest_cohort(sampling, 10, 6) - 1  # all of Poisson's rarely come


@pytest.mark.parametrize("side", ["client_optimizer", "server_optimizer"])
def test_a_schedule_that_begins_after_the_last_round_is_refused(
    problems: Callable[..., list[str]], side: str
) -> None:
    def found(schedule: str) -> list[str]:
        return problems(training(f"{side}: {{learning_rate: 0.1, schedule: {schedule}}}"))

    assert found("{kind: step, every: 2}") == [
        f"f.yaml:6: training.{side}.schedule: got every 2; there are 2 rounds (training.rounds), "
        "so the learning rate would stay as it is; allowed: every below 2, or no schedule"
    ]
    for schedule in ("{kind: step, every: 1}", "{kind: warmup, rounds: 1}", "cosine"):
        assert found(schedule) == []


def test_neutral_values_are_allowed(problems: Callable[..., list[str]]) -> None:
    """A matrix may have them, as its control."""
    assert problems(clients("dropout: {rate: 0}, attacks: {kind: label_flip, share: 0}")) == []
    assert problems(training("server_optimizer: {learning_rate: 1, momentum: 0}")) == []
    varied = "matrix: {clients.stragglers: [null, {kind: steps, share: 1.0, at_least: 1.0}]}\n"
    assert problems(GOOD + varied) == []


# What is known only when the data are read


def drawn(more: dict[str, Any], sizes: list[int], **settings: Any) -> None:
    """Draws the cohort of a round, of clients that come with the data."""
    data = federation(sizes, 0)
    chosen = Clients.model_validate({"split": "natural", **more})
    work = Training.model_validate({"rounds": 1, **settings}).local_work
    cohort_of_round(data, chosen.cohort_size(len(sizes)), 0, 1, work, chosen.participation)


@pytest.mark.parametrize(
    ("more", "cohort", "least"),
    [
        ({}, "4 clients", "0.125"),
        ({"per_round": 2}, "2 clients", "0.25"),
        ({"per_round": 0.25}, "the one client", "0.5"),
        ({"per_round": 2, "sampling": "poisson"}, "4 clients", "0.125"),
    ],
)
@pytest.mark.parametrize("drop", [False, True])
def test_stragglers_of_none_are_refused_when_the_clients_are_known(
    more: dict[str, Any], cohort: str, least: str, drop: bool
) -> None:
    few = {"stragglers": {"kind": "steps", "share": 0.1, "drop": drop}, **more}
    said = f"^clients.stragglers.share: got 0.1; of {cohort} that is nobody, .* than {least}$"
    with pytest.raises(DataError, match=said):
        drawn(few, [30] * 4)
    drawn({"stragglers": {"kind": "steps", "share": 0.6}, **more}, [30] * 4)


def test_stragglers_whose_clients_have_one_batch_are_refused() -> None:
    some = {"stragglers": {"kind": "steps", "share": 0.5}}
    with pytest.raises(DataError, match=r"^clients\.stragglers: got steps; .* one local step, "):
        drawn(some, [20, 3, 7], batch_size=20)
    drawn(some, [21, 3, 7], batch_size=20)
    drawn(some, [20, 3, 7], batch_size=20, local_epochs=2)


NOISE = "{kind: label_noise, rate: 0.5, share: 0.1}"
OF_NOBODY = (
    "clients.shift.1.share: got 0.1; of 4 clients that is nobody, so it would change nothing; "
    "allowed: more than 0.125"
)


def test_noise_in_the_labels_of_nobody_is_refused(problems: Callable[..., list[str]]) -> None:
    noise = f"shift: [{{kind: noise, level: 1}}, {NOISE}]"
    assert problems(clients(noise)) == [f"f.yaml:4: {OF_NOBODY}"]
    assert problems(clients(noise).replace("count: 4", "count: 6")) == []


def test_so_it_is_where_the_clients_come_with_the_data(tmp_path: Path) -> None:
    rows = "".join(f"{i * i % 7},{i % 2},{i % 4}\n" for i in range(40))
    (tmp_path / "a.csv").write_text(f"x,y,who\n{rows}")
    table = {"csv": str(tmp_path / "a.csv"), "label": "y", "client": "who"}
    shift = [{"kind": "noise", "level": 1.0}, {"kind": "label_noise", "rate": 0.5, "share": 0.1}]
    chosen = Clients.model_validate({"split": "natural", "shift": shift})
    with pytest.raises(DataError, match=re.escape(OF_NOBODY)):
        federate(Data.model_validate({"dataset": table}), chosen, 0, NO_CACHE)


@pytest.mark.parametrize("clients", [*range(1, 40), 341_873])
def test_the_share_that_a_message_names_is_enough(clients: int) -> None:
    named = float(least(1 / clients))
    assert 1 <= named * clients + 1e-9 < 1.02
    told = share_of_none(0.4 / clients, clients, "nobody").rpartition(" ")[2]
    assert round(float(told) * clients * (1 + 1e-6)) == 1
