"""Nobody but pytest can connect to TFF's worker, whoever runs pytest."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from addresses import of_loopback, of_the_network, reachable
from processes import is_running, wait_until
from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff import health, port, worker
from pytest_federated.tff.port import WorkerPort
from pytest_federated.tff.worker import LocalWorker, OpenPort

EVERYWHERE = [*of_loopback(), *of_the_network()]


@contextmanager
def listening(number: int) -> Iterator[socket.socket]:
    """Listens on a port as gRPC does, on all addresses."""
    with socket.socket(port._family()) as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if theirs.family == socket.AF_INET6:
            theirs.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        theirs.bind(("", number))
        theirs.listen()
        yield theirs


@pytest.fixture
def local(tff: Any) -> Iterator[LocalWorker]:
    started = LocalWorker()
    started.start()
    yield started
    started.stop()


def connections(number: int) -> list[socket.socket]:
    """Returns this process's connections to the port."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it is no socket, or one that is not connected
            ours = socket.socket(fileno=os.dup(int(link.name)))
            if ours.family != socket.AF_UNIX and ours.getpeername()[1] == number:
                found.append(ours)
    return found


def answers(local: LocalWorker) -> bool:
    return health.ping(local.channel, 10).exception() is None


def test_only_we_are_connected_to_a_local_worker(local: LocalWorker) -> None:
    assert local._port is not None and local._port.is_private
    number = local._port.number
    (ours,) = connections(number)
    assert reachable(number, [*EVERYWHERE, ours.getpeername()[0]]) == set()
    assert answers(local)


def test_a_broken_connection_is_made_again_and_the_port_shut_again(local: LocalWorker) -> None:
    assert local._port is not None
    (ours,) = connections(local._port.number)
    ours.shutdown(socket.SHUT_RDWR)
    assert wait_until(lambda: answers(local))
    (again,) = connections(local._port.number)
    assert again.getsockname() != ours.getsockname()
    assert wait_until(local._port.is_shut)
    assert reachable(local._port.number, [again.getpeername()[0]]) == set()
    assert answers(local)


def test_a_worker_that_outlives_us_for_a_moment_stays_shut(local: LocalWorker) -> None:
    assert local._port is not None and local.pid
    number = local._port.number
    local._port.close()
    assert reachable(number, EVERYWHERE) == set()
    assert is_running(local.pid)


def test_a_start_that_is_interrupted_leaves_nothing(
    tff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = LocalWorker()
    pids = []

    def interrupted(self: WorkerPort) -> bool:
        pids.append(started.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(WorkerPort, "answers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        started.start()
    assert not is_running(pids[0])
    assert (started.pid, started.channel, started.died) == (None, None, False)


@pytest.mark.parametrize("is_on_a_network", [True, False])
def test_a_kernel_that_cannot_keep_others_out_is_a_warning_on_a_network(
    tff: Any, is_on_a_network: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "_SO_ATTACH_REUSEPORT_CBPF", 9999)  # an option that is unknown
    monkeypatch.setattr(worker, "has_other_addresses", lambda: is_on_a_network)
    started = LocalWorker()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        started.start()
    with closing(started.channel):
        assert answers(started)
        assert started._port is not None
        number = started._port.number
    started.stop()
    assert [str(w.message) for w in said if w.category is OpenPort] == [
        f"anybody who reaches port {number} of this machine can use TFF's worker, which asks for "
        "no password: this system cannot keep them out (docs/security.md)"
    ] * is_on_a_network


def test_an_attachment_without_effect_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as on kernels other than Linux that accept options they do not know."""
    monkeypatch.setattr(WorkerPort, "_attach", lambda *_: None)
    held = WorkerPort()
    assert not held.is_private
    with listening(held.number):
        assert held.answers()


def test_a_worker_that_does_not_start_says_so(tff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ["/bin/sh", "-c", "echo broken; exit 3"]
    monkeypatch.setattr(worker, "command", lambda number, threads: broken)
    started = LocalWorker()
    with pytest.raises(RuntimeUnavailable) as error:
        started.start()
    assert str(error.value) == "TFF's worker process did not start (exit code 3)\n    broken"
    assert not started.died


@pytest.mark.parametrize("family", [port._family(), socket.AF_INET], ids=["usual", "IPv4"])
def test_a_port_admits_only_the_expected_addresses(
    family: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "_family", lambda: family)
    has_six = family == socket.AF_INET6
    here = {host for host in of_loopback() if has_six or ":" not in host}
    with closing(WorkerPort()) as held, listening(held.number):
        assert reachable(held.number, EVERYWHERE) == set()
        secret = held.admit()
        assert reachable(held.number, [*EVERYWHERE, secret]) == {secret}
        assert held.admit() != secret
        assert reachable(held.number, [*EVERYWHERE, secret]) == set()
        held.admit_loopback()
        assert reachable(held.number, EVERYWHERE) == here
        assert held.answers()
        assert reachable(held.number, EVERYWHERE) == set()


def test_a_port_is_taken_once() -> None:
    with closing(WorkerPort()) as held, pytest.raises(OSError, match="in use"):
        WorkerPort(held.number)


def test_an_ordinary_user_is_enough() -> None:
    """Runs in a copy of this process, which gives up root if needed."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            with closing(WorkerPort()) as held, listening(held.number):
                secret = held.admit()
                code = reachable(held.number, ["127.0.0.1", secret]) != {secret}
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_machine_has_other_addresses_on_other_interfaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if of_the_network():
        assert port.has_other_addresses()
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (9, "dummy9")])
    assert not port.has_other_addresses()


def test_nobody_watches_the_channel_of_a_worker_that_is_stopped(local: LocalWorker) -> None:
    """gRPC's watching thread would ask the channel for its state, and fail once it is closed."""
    channel, calls = local.channel, []

    class Watched:
        def unsubscribe(self, callback: Any) -> None:
            calls.append(("unsubscribe", local.alive))
            channel.unsubscribe(callback)

        def close(self) -> None:
            calls.append(("close", local.alive))
            channel.close()

    local.channel = Watched()
    local.stop()
    assert calls == [("unsubscribe", True), ("close", False)]
