"""Where a scenario file may have a learning rate by round, and where the server's rate is."""

from __future__ import annotations

from typing import Callable

import pytest

TEXT = """\
schema: 1
name: a
data: {dataset: digits}
clients: {count: 3}
model: mlp
training:
  rounds: 2
  algorithm: ALGORITHM
  client_optimizer:
    kind: sgd
    learning_rate: 0.1
    CLIENT
  server_optimizer:
    kind: sgd
    learning_rate: 1.0
    SERVER
"""
CLIENT, SERVER = "training.client_optimizer.schedule", "training.server_optimizer.schedule"


@pytest.fixture
def found(problems: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Returns what is wrong with a scenario of these settings, without what to do."""

    def check(algorithm: str = "fedavg", client: str = "", server: str = "") -> list[str]:
        text = TEXT.replace("ALGORITHM", algorithm)
        return problems(text.replace("CLIENT", client).replace("SERVER", server))

    return check


@pytest.mark.parametrize(
    ("algorithm", "key", "reason"),
    [
        ("fedsgd", CLIENT, "its only rate is that of server_optimizer, which can have one"),
        ("fed_recon", CLIENT, "the clients of TFF's build_fed_recon have the same optimizer in"),
        ("{tff: 'own:build'}", CLIENT, "the rates of clients are up to your function (tff.learn"),
        ("centralized", SERVER, "there is no step of a server"),
        ("local_only", SERVER, "there is no step of a server"),
    ],
)
def test_algorithms_that_have_no_such_rate_refuse_its_schedule(
    found: Callable[..., list[str]], algorithm: str, key: str, reason: str
) -> None:
    line, side = (12, "client") if key == CLIENT else (16, "server")
    (problem,) = found(algorithm, **{side: "schedule: inverse_sqrt"})
    assert problem.startswith(f"f.yaml:{line}: {key}: got inverse_sqrt; ")
    assert f"has no use for it, as {reason}" in problem
    assert problem.endswith("leave it out, or say null where a defaults.yaml has it")
    assert found(algorithm, **{side: "schedule: null"}) == []


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("cosin", f"f.yaml:12: {CLIENT}: got 'cosin'; no such schedule; allowed: cosine, ex"),
        ("{kind: step, rate: 0.5}", f"f.yaml:12: {CLIENT}.every: missing"),
        ("{kind: linear, rounds: 0}", f"f.yaml:12: {CLIENT}.rounds: got 0; "),
        ("{kind: warmup, rounds: 2, rate: 1}", f"f.yaml:12: {CLIENT}.rate: unknown key"),
        ("0.5", f"f.yaml:12: {CLIENT}: got 0.5; must be a name, or a mapping with 'kind'"),
    ],
)
def test_mistakes_in_a_schedule_are_named(
    found: Callable[..., list[str]], schedule: str, said: str
) -> None:
    (problem,) = found(client=f"schedule: {schedule}")
    assert problem.startswith(said)


def test_both_sides_may_have_one(found: Callable[..., list[str]]) -> None:
    falling = "schedule: {kind: exponential, rate: 0.9}"
    assert found("scaffold", falling, falling) == []
    assert found("fedavg", "schedule: cosine", "schedule: {kind: warmup, rounds: 5}") == []


SERVERS = ["fedavgm", "fedadagrad", "fedadam", "fedyogi"]


def of_server(algorithm: str, optimizer: str) -> str:
    """Returns a scenario with this server optimizer in its line 8."""
    head = TEXT.partition("  client_optimizer:")[0].replace("ALGORITHM", algorithm)
    return f"{head}  {optimizer}\n"


@pytest.mark.parametrize("algorithm", [*SERVERS, "fedavg", "scaffold", "mime_lite"])
def test_the_servers_rate_has_one_key(problems: Callable[..., list[str]], algorithm: str) -> None:
    for optimizer in ("{learning_rate: 0.3}", "{learning_rate: 0.3, schedule: cosine}"):
        assert problems(of_server(algorithm, f"server_optimizer: {optimizer}")) == []
    grid = f"matrix: {{training.algorithm: [{algorithm}, fedsgd]}}"
    assert problems(of_server(algorithm, f"server_optimizer: {{learning_rate: 1}}\n{grid}")) == []


@pytest.mark.parametrize("algorithm", SERVERS)
@pytest.mark.parametrize(
    ("optimizer", "got"),
    [
        ("{kind: adam, learning_rate: 0.1}", "adam"),
        ("{learning_rate: 0.1, momentum: 0.9}", "sgd with momentum"),
        ("{learning_rate: 0.1, momentum: 0.9, weight_decay: 0.1}", "sgd with momentum and weight_"),
    ],
)
def test_an_algorithm_with_a_step_of_its_own_takes_only_the_rate(
    problems: Callable[..., list[str]], algorithm: str, optimizer: str, got: str
) -> None:
    (problem,) = problems(of_server(algorithm, f"server_optimizer: {optimizer}"))
    assert problem.startswith(f"f.yaml:9: training.server_optimizer: got {got}")
    assert f"the step of the server is that of {algorithm}, which takes a learning_rate" in problem


@pytest.mark.parametrize("algorithm", SERVERS[1:])
def test_an_adaptive_server_has_no_usual_rate(
    problems: Callable[..., list[str]], algorithm: str
) -> None:
    (problem,) = problems(of_server(algorithm, "local_epochs: 1"))
    assert problem == (
        f"f.yaml:6: training.server_optimizer: missing; {algorithm} needs its learning rate, as "
        "{learning_rate: 0.1}"
    )
    assert problems(of_server("fedavgm", "local_epochs: 1")) == []
