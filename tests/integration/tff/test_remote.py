"""Remote workers give the numbers of a local one, also when some of them die on the way."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

import grpc
import numpy as np
import portpicker
import pytest
import pytest_federated
from addresses import of_loopback, of_the_network, reachable
from example_data import algorithm, federation
from forked_programs import Program, environment
from paths import ROOT
from processes import is_running, wait_until
from pytest_federated.__main__ import main
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.core.errors import FederatedError, RuntimeUnavailable
from pytest_federated.tff import health, remote
from pytest_federated.tff.addresses import parse_addresses
from pytest_federated.tff.context import runtime, shutdown
from pytest_federated.tff.sharding import undividable
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training
from remote_workers import Served, assert_close, assert_same, local, serve, train
from scenario_texts import LONG, TINY


@pytest.fixture(scope="module")
def lasting(tff: Any) -> Iterator[list[Served]]:
    """Three workers that no test harms."""
    started = serve(3)
    yield started
    shutdown()
    for served in started:
        served.end()


@pytest.fixture
def mortal(tff: Any) -> Iterator[list[Served]]:
    """Three workers to be killed."""
    started = serve(3)
    yield started
    shutdown()
    for served in started:
        served.end()


@pytest.mark.parametrize("execution", ["packed", "standard"])
def test_any_number_of_workers_gives_the_local_numbers(
    lasting: list[Served], execution: str
) -> None:
    assert_same(train(lasting[:1], execution), local(execution))
    for count in (2, 3):
        divided = train(lasting[:count], execution)
        assert_close(divided, local(execution))
        assert_same(train(lasting[:count], execution), divided)


def test_more_workers_than_clients(lasting: list[Served]) -> None:
    scenario = pytest_federated.Scenario.model_validate(
        {
            "name": "two",
            "data": {"dataset": "digits"},
            "clients": {"count": 2},
            "model": {"kind": "mlp", "hidden": [8]},
            "training": {"rounds": 2, "local_epochs": 1},
        }
    )
    addresses = ",".join(w.address for w in lasting)
    divided = pytest_federated.run(scenario, pytest_federated.Options(workers=addresses))
    local = pytest_federated.run(scenario, pytest_federated.Options())
    assert divided.accuracies == pytest.approx(local.accuracies, abs=0.01)
    assert divided.histories[0].rounds[-1].loss == pytest.approx(
        local.histories[0].rounds[-1].loss, abs=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "execution"),
    [("fedavg", "standard"), ("fedprox", "standard"), ("fedsgd", "standard")]
    + [
        (n, "packed" if algorithms[n].spec.packs else "standard")
        for n in algorithms.names()
        if n != "tff"  # of the user's own
    ],
)
def test_which_algorithms_can_be_divided(lasting: list[Served], name: str, execution: str) -> None:
    """As docs/scaling.md says."""
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    (promise,) = re.findall(rf"^\| `{name}` \| (yes|no) ", page, flags=re.MULTILINE)
    trainer = trainer_for(
        models.parse({"kind": "mlp", "hidden": [16]}),
        Training.model_validate(
            {"rounds": 3, "execution": execution, "algorithm": algorithm(name)}
        ),
        federation([5, 5], 0),
    )
    assert (undividable(trainer.algorithm.computation) is None) == (promise == "yes")
    if promise == "yes":
        divided = train(lasting[:2], execution, algorithm=algorithm(name))
        assert_close(divided, local(execution, name))


# Keys of aggregators that have no default.
NEEDED: dict[str, dict[str, Any]] = {
    "dp": {"noise_multiplier": 0.2},
    "distributed_dp": {"noise_multiplier": 0.2},
    "dp_ftrl": {"noise_multiplier": 0.2, "clip": 0.1},
    "trimmed_mean": {"trim": 0.2},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in aggregators.names() if n not in ("mean", "tff")])
def test_which_aggregators_can_be_divided(lasting: list[Served], name: str) -> None:
    """As docs/scaling.md says; where it can be packed, that way. Nobody comes to round 2."""
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    (promise,) = re.findall(rf"^\| `{name}` \| (yes|no) ", page, flags=re.MULTILINE)
    chosen = {"kind": name, **NEEDED.get(name, {})}
    trainer = trainer_for(
        models.parse({"kind": "mlp", "hidden": [16]}),
        Training.model_validate({"rounds": 3, "aggregator": chosen}),
        federation([5, 5], 0),
        13,
    )
    assert (undividable(trainer.algorithm.computation) is None) == (promise == "yes")
    if promise == "yes":
        cohorts = {"kind": "fixed", "cohorts": [list(range(13)), []]}
        participation = Participation(sampling=samplers.parse(cohorts))
        alone = train([], "auto", participation=participation, aggregator=chosen)
        assert_close(
            train(lasting[:2], "auto", participation=participation, aggregator=chosen), alone
        )


def test_what_cannot_be_divided_says_so_and_runs_on_one_worker(
    tff: Any, lasting: list[Served]
) -> None:
    @tff.tensorflow.computation(np.float32, np.float32)
    def difference(a: Any, b: Any) -> Any:
        return a - b

    @tff.federated_computation(tff.FederatedType(np.float32, tff.CLIENTS))
    def spread(values: Any) -> Any:
        mean = tff.federated_broadcast(tff.federated_mean(values))
        return tff.federated_sum(tff.federated_map(difference, (values, mean)))

    runtime(workers=(lasting[0].address,)).start()
    assert spread([1.0, 2.0, 6.0]) == pytest.approx(0.0)
    runtime(workers=(lasting[0].address, lasting[1].address)).start()
    with pytest.raises(RuntimeUnavailable, match="cannot be divided among several") as refused:
        spread([1.0, 2.0, 6.0])
    assert "\n" not in str(refused.value)
    assert undividable(spread) == str(refused.value)


def test_an_error_in_a_computation_is_not_taken_for_a_lost_worker(
    tff: Any, lasting: list[Served]
) -> None:
    import tensorflow as tf

    @tff.tensorflow.computation(np.int32)
    def fails(a: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_less(a, 3, message="too large")]):
            return tf.identity(a)

    @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
    def total(values: Any) -> Any:
        return tff.federated_sum(tff.federated_map(fails, values))

    runtime(workers=tuple(w.address for w in lasting)).start()
    assert total([1, 2, 1]) == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Exception, match="too large"):
            total([1, 5, 1])
    assert total([1, 2, 1]) == 4


# Long enough that a worker can be struck in the middle of its share.
SLOW = 2000  # local epochs


@pytest.fixture(scope="module")
def undisturbed(lasting: list[Served]) -> list[np.ndarray]:
    return train(lasting, "packed", local_epochs=SLOW)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (signal.SIGKILL, "its connection broke, then no answer within 1 s"),
        (signal.SIGSTOP, "no answer within 3 s"),
    ],
    ids=["killed", "silent"],
)
def test_a_worker_lost_in_mid_round_changes_no_number(
    undisturbed: list[np.ndarray],
    mortal: list[Served],
    monkeypatch: pytest.MonkeyPatch,
    sent: signal.Signals,
    reason: str,
) -> None:
    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 1)
    monkeypatch.setattr(remote, "SILENT_SECONDS", 3)
    first, struck, last = mortal
    with pytest.warns(remote.WorkerLost) as said:
        disturbed = train(
            mortal,
            "packed",
            local_epochs=SLOW,
            after_round_1=lambda: struck.while_it_computes(lambda: struck.send(sent)),
        )
    assert [str(w.message) for w in said if w.category is remote.WorkerLost] == [
        f"the TFF worker at {struck.address} is lost ({reason}): "
        f"its clients go to {first.address}, {last.address}"
    ]
    assert_same(disturbed, undisturbed)


def test_a_worker_that_is_started_again_is_used_again(
    lasting: list[Served], mortal: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same round when it comes back soon, otherwise in the next training."""
    undisturbed = train(lasting, "packed")

    def kill() -> None:
        mortal[1].send(signal.SIGKILL)
        mortal[1].process.wait()

    def start() -> None:
        mortal[1] = Served(mortal[1].port).ready()

    def restart() -> None:
        kill()
        start()

    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 1)
    with pytest.warns(remote.WorkerLost):
        assert_same(train(mortal, "packed", after_round_1=kill), undisturbed)
    start()
    idle = mortal[1].cpu_seconds()
    with warnings.catch_warnings():
        warnings.simplefilter("error", remote.WorkerLost)
        assert_same(train(mortal, "packed"), undisturbed)
        assert mortal[1].cpu_seconds() > idle + 0.05
        monkeypatch.setattr(remote, "RECONNECT_SECONDS", 20)
        assert_same(train(mortal, "packed", after_round_1=restart), undisturbed)


def test_with_no_worker_left_the_run_stops_with_an_error(
    mortal: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 1)

    def strike() -> None:
        for served in mortal:
            served.send(signal.SIGKILL)

    with pytest.warns(remote.WorkerLost), pytest.raises(RuntimeUnavailable) as stopped:
        train(
            mortal,
            "packed",
            local_epochs=SLOW,
            after_round_1=lambda: mortal[0].while_it_computes(strike),
        )
    each = "; ".join(
        f"{w.address}: its connection broke, then no answer within 1 s" for w in mortal
    )
    assert str(stopped.value) == f"no remote worker is left ({each})"


@pytest.fixture
def stranger() -> Iterator[str]:
    """A gRPC server that is no TFF worker."""
    import grpc

    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(0).wait()


def test_workers_that_do_not_answer_at_the_start_are_named(
    lasting: list[Served], stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "START_SECONDS", 0.5)
    monkeypatch.setattr(health, "_TLS_SECONDS", 0.5)
    there, nobody = lasting[0].address, f"localhost:{portpicker.pick_unused_port()}"
    with socket.create_server(("localhost", 0)) as mute:  # takes connections, says nothing
        silent = f"localhost:{mute.getsockname()[1]}"
        with pytest.raises(RuntimeUnavailable) as refused:
            runtime(workers=(there, nobody, silent, stranger)).start()
    assert str(refused.value) == (
        f"3 of 4 remote workers cannot be used: {nobody}: no answer within 0.5 s; "
        f"{silent}: no answer within 0.5 s; {stranger}: what answers there is not a TFF worker "
        "(start them with: pytest-federated worker --port N)"
    )


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("a:1", ("a:1",)),
        ("A.example.org:65535, b_2-x:80", ("a.example.org:65535", "b_2-x:80")),
        ("[fd00:0::5]:8000,10.0.0.5:8000", ("[fd00::5]:8000", "10.0.0.5:8000")),
        ("dns:08000", ("dns:8000",)),
        ("", ()),
        (("a:1", "b:1"), ("a:1", "b:1")),
        ((), ()),
    ],
)
def test_addresses(given: Any, addresses: tuple[str, ...]) -> None:
    assert parse_addresses(given) == addresses
    assert parse_addresses(addresses) == addresses


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("localhost", "got 'localhost'; must be host:port, such as 10.0.0.5:8000"),
        ("a:1,", "got ''; must be host:port, such as 10.0.0.5:8000"),
        (":80", "got ':80'; must be host:port, such as 10.0.0.5:8000"),
        ("http://a:80", "got 'http://a:80'; must be host:port, such as 10.0.0.5:8000"),
        ("a:b", "got 'a:b'; must be host:port, such as 10.0.0.5:8000"),
        ("a:0", "got 'a:0'; the port must be from 1 to 65535"),
        ("a:65536", "got 'a:65536'; the port must be from 1 to 65535"),
        (
            "fd00::5:80",
            "got 'fd00::5:80'; must be host:port, such as 10.0.0.5:8000; "
            "an IPv6 address needs brackets: [fd00::5]:8000",
        ),
        ("[a]:80", "got '[a]:80'; there is no IPv6 address in the brackets"),
        ("a:1,b:1,A:01", "a:1 is given twice; name each worker once"),
        ("[::1]:1,[0::1]:1", "[::1]:1 is given twice; name each worker once"),
    ],
)
def test_invalid_addresses(given: str, said: str) -> None:
    with pytest.raises(FederatedError) as wrong:
        parse_addresses(given)
    assert str(wrong.value) == said


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "scenarios").mkdir()
    return tmp_path


def run_pytest(
    project: Path, *arguments: str, text: str = TINY
) -> subprocess.CompletedProcess[str]:
    (project / "scenarios/a.yaml").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "scenarios", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
    )


def test_a_process_of_xdist_shares_a_worker_with_another_pytest(
    project: Path, tmp_path_factory: pytest.TempPathFactory, lasting: list[Served]
) -> None:
    shared, ours, theirs = lasting
    (elsewhere := tmp_path_factory.mktemp("other") / "a.yaml").write_text(LONG)
    option = f"--fed-workers={shared.address},{theirs.address}"
    before = shared.cpu_seconds(), ours.cpu_seconds()
    other = Program("pytest", elsewhere.name, option, cwd=elsewhere.parent)
    try:
        assert wait_until(lambda: shared.cpu_seconds() > before[0] + 0.5), "the other trains"
        done = run_pytest(project, "-n", "1", f"--fed-workers={shared.address},{ours.address}")
        assert is_running(other.pid), other.communicate()
    finally:
        other.kill()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert ours.cpu_seconds() > before[1] + 0.05


def test_a_scenario_that_loses_all_workers(
    pytester: pytest.Pytester, mortal: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 1)
    first, second, _ = mortal
    pytester.makeini(f"[pytest]\nfed_workers = {first.address},{second.address}\n")
    pytester.mkdir("scenarios").joinpath("a.yaml").write_text(LONG)

    def kill() -> None:
        first.send(signal.SIGKILL)
        assert wait_until(lambda: not is_running(first.worker))
        second.while_it_computes(lambda: second.send(signal.SIGKILL))

    first.while_it_computes(kill)
    done = pytester.runpytest_inprocess("scenarios")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    broke = "its connection broke, then no answer within 1 s"
    done.stdout.fnmatch_lines(
        [
            f"no remote worker is left ({first.address}: {broke}; {second.address}: {broke})",
            "scenarios/a.yaml::long (line 1)",
            f"*WorkerLost: the TFF worker at {first.address} is lost ({broke}): "
            f"its clients go to {second.address}",
            "FAILED scenarios/a.yaml::long - no remote worker is left*",
        ]
    )
    for noise in ("Traceback", "_MultiThreadedRendezvous", "never retrieved", "Exception ignored"):
        assert noise not in done.stdout.str() + done.stderr.str()


class Reply:
    """A ping that has ended, with a status of gRPC."""

    def __init__(self, status: grpc.StatusCode) -> None:
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return "Stream removed"

    def exception(self) -> Any:
        return None if self._status is grpc.StatusCode.OK else self

    def done(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (grpc.StatusCode.OK, None),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "no answer within 60 s"),
        (grpc.StatusCode.UNIMPLEMENTED, "what answers there is not a TFF worker"),
        (grpc.StatusCode.INTERNAL, "Stream removed"),
    ],
)
def test_a_ping_into_a_breaking_connection_says_nothing(
    last: grpc.StatusCode, reason: Optional[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [Reply(grpc.StatusCode.UNAVAILABLE), Reply(last)]
    monkeypatch.setattr(health, "ping", lambda channel, seconds: replies.pop(0))
    assert health.unreachable(None, 60) == reason
    assert not replies


def test_pings_end_where_the_connection_breaks_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reply = Reply(grpc.StatusCode.UNAVAILABLE)
    monkeypatch.setattr(health, "ping", lambda channel, seconds: reply)
    assert health.unreachable(None, 0.1) == "no answer within 0.1 s"


@pytest.mark.parametrize("more", [(), ("-n", "1")], ids=["plain", "xdist"])
def test_pytest_stops_at_once_when_a_worker_cannot_be_used(
    project: Path, stranger: str, more: tuple[str, ...]
) -> None:
    done = run_pytest(project, f"--fed-workers={stranger}", *more)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: 1 of 1 remote workers cannot be used: {stranger}: what answers" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_wrong_spelling_stops_pytest(pytester: pytest.Pytester) -> None:
    pytester.makefile(".scenario.yaml", a=TINY)
    done = pytester.runpytest_inprocess("--fed-workers=localhost")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*--fed-workers: got 'localhost'; must be host:port*"])
    pytester.makeini("[pytest]\nfed_workers = a:1 b:1\n")
    done = pytester.runpytest_inprocess()
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*.ini: got 'a:1 b:1'; must be host:port*"])


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_ends_with_its_worker(sent: signal.Signals) -> None:
    served = Served(None, "--threads", "1").ready()
    assert served.said == (
        f"TFF worker ready on port {served.port} of localhost, for this machine only\n"
    )
    assert not health.silent([served.address], 5)
    assert reachable(served.port, [*of_loopback(), *of_the_network()]) == set(of_loopback())
    served.process.send_signal(sent)
    _, errors = served.process.communicate(timeout=10)
    assert served.process.returncode == (-9 if sent == signal.SIGKILL else 0)
    assert "Traceback" not in errors
    assert wait_until(lambda: not is_running(served.worker), 5)


def test_the_command_ends_when_its_worker_does() -> None:
    served = Served().ready()
    served.send(signal.SIGKILL)
    _, errors = served.process.communicate(timeout=10)
    assert served.process.returncode == 1
    assert errors.endswith("TFF's worker process died (ended by signal 9)\n")


def test_two_workers_do_not_share_a_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["worker", "--port", str(port)]) == 1
    assert capsys.readouterr().err == f"port {port} cannot be used: Address already in use\n"


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_invalid_ports(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["worker", "--port", port])
    assert end.value.code == 2
    said = f"Invalid value for '--port': got '{port}'; a port is a number from 1 to 65535"
    assert said in capsys.readouterr().err
