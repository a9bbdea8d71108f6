"""Addresses of workers, their answers, and the command that serves a worker."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

import grpc
import portpicker
import pytest
from addresses import of_loopback, of_the_network, reachable
from forked_programs import Program, environment
from processes import is_running, wait_until
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError, RuntimeUnavailable
from pytest_federated.tff import health, remote
from pytest_federated.tff.addresses import parse_addresses
from pytest_federated.tff.context import runtime
from remote_workers import Served
from scenario_texts import LONG, TINY


@pytest.fixture
def stranger() -> Iterator[str]:
    """A gRPC server that is not a TFF worker."""
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
    with socket.create_server(("localhost", 0)) as mute:  # accepts connections but never answers
        silent = f"localhost:{mute.getsockname()[1]}"
        with pytest.raises(RuntimeUnavailable) as refused:
            runtime(workers=(there, nobody, silent, stranger)).start()
    assert str(refused.value) == (
        f"3 of 4 remote workers cannot be used: {nobody}: no answer within 0.5 s; "
        f"{silent}: no answer within 0.5 s; {stranger}: what answers there is not a TFF worker "
        "(start them with: pytest-federated worker --port N)"
    )


@pytest.mark.parametrize(
    ("text", "addresses"),
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
def test_addresses_are_parsed_and_normalized(text: Any, addresses: tuple[str, ...]) -> None:
    assert parse_addresses(text) == addresses
    assert parse_addresses(addresses) == addresses


@pytest.mark.parametrize(
    ("text", "said"),
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
def test_invalid_addresses_are_refused(text: str, said: str) -> None:
    with pytest.raises(FederatedError) as error:
        parse_addresses(text)
    assert str(error.value) == said


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


@pytest.mark.slow
def test_a_process_of_xdist_shares_a_worker_with_another_pytest(
    project: Path, tmp_path_factory: pytest.TempPathFactory, lasting: list[Served]
) -> None:
    shared, ours, theirs = lasting
    (elsewhere := tmp_path_factory.mktemp("other") / "a.yaml").write_text(LONG)
    option = f"--fed-workers={shared.address},{theirs.address}"
    before = shared.cpu_seconds(), ours.cpu_seconds()
    other = Program("pytest", elsewhere.name, option, cwd=elsewhere.parent)
    try:
        assert wait_until(lambda: shared.cpu_seconds() > before[0] + 0.5), "the other should train"
        done = run_pytest(project, "-n", "1", f"--fed-workers={shared.address},{ours.address}")
        assert is_running(other.pid), other.communicate()
    finally:
        other.kill()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert ours.cpu_seconds() > before[1] + 0.05


def test_a_scenario_that_loses_all_workers_fails(
    pytester: pytest.Pytester, mortal: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RECONNECT_SECONDS", 1)
    first, second, _ = mortal
    pytester.makeini(f"[pytest]\nfed_workers = {first.address},{second.address}\n")
    pytester.mkdir("scenarios").joinpath("a.yaml").write_text(LONG)
    is_noticed, lose = threading.Event(), remote.Workers._lose

    def note(workers: remote.Workers, worker: remote.Worker, reason: str) -> None:
        lose(workers, worker, reason)
        is_noticed.set()

    monkeypatch.setattr(remote.Workers, "_lose", note)

    def kill() -> None:
        first.send(signal.SIGKILL)
        assert is_noticed.wait(30)  # otherwise the second might be missed before the first
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
    """The reply to a ping, with a gRPC status."""

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
def test_a_ping_into_a_breaking_connection_is_repeated(
    last: grpc.StatusCode, reason: Optional[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [Reply(grpc.StatusCode.UNAVAILABLE), Reply(last)]
    monkeypatch.setattr(health, "ping", lambda channel, seconds: replies.pop(0))
    assert health.unreachable(None, 60) == reason
    assert not replies


def test_pings_end_if_the_connection_keeps_breaking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reply = Reply(grpc.StatusCode.UNAVAILABLE)
    monkeypatch.setattr(health, "ping", lambda channel, seconds: reply)
    assert health.unreachable(None, 0.1) == "no answer within 0.1 s"


@pytest.mark.parametrize(
    "more", [(), pytest.param(("-n", "1"), marks=pytest.mark.slow)], ids=["plain", "xdist"]
)
def test_pytest_stops_at_once_when_a_worker_cannot_be_used(
    pytester: pytest.Pytester, stranger: str, more: tuple[str, ...]
) -> None:
    pytester.makefile(".scenario.yaml", a=TINY)
    done = pytester.runpytest_inprocess(f"--fed-workers={stranger}", *more)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(
        [f"ERROR: 1 of 1 remote workers cannot be used: {stranger}: what answers*"]
    )
    assert "Traceback" not in f"{done.stdout}{done.stderr}"


def test_an_invalid_address_stops_pytest(pytester: pytest.Pytester) -> None:
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
    _, errors = served.process.communicate(timeout=150)
    assert served.process.returncode == (-9 if sent == signal.SIGKILL else 0)
    assert "Traceback" not in errors
    assert wait_until(lambda: not is_running(served.worker))


def test_the_command_ends_when_its_worker_does() -> None:
    served = Served().ready()
    served.send(signal.SIGKILL)
    _, errors = served.process.communicate(timeout=150)
    assert served.process.returncode == 1
    assert errors.endswith("TFF's worker process died (ended by signal 9)\n")


def test_two_workers_do_not_share_a_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["worker", "--port", str(port)]) == 1
    assert capsys.readouterr().err == f"port {port} cannot be used: Address already in use\n"


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_invalid_ports_are_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["worker", "--port", port])
    assert end.value.code == 2
    said = f"Invalid value for '--port': got '{port}'; a port is a number from 1 to 65535"
    assert said in capsys.readouterr().err
