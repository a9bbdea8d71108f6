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
from processes import is_running, wait_until
from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff import health, port, worker
from pytest_federated.tff.port import WorkerPort
from pytest_federated.tff.worker import LocalWorker, OpenPort


def addresses_of_this_machine() -> list[str]:
    """Those of loopback, and those that others would use."""
    found = ["127.0.0.1", "127.1.2.3"]
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        found.append("::1")
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((anywhere, 9))
            found.append(probe.getsockname()[0])
    return found


def reachable(number: int, hosts: list[str]) -> set[str]:
    found = set()
    for host in hosts:
        with suppress(OSError):
            socket.create_connection((host, number), 0.1).close()
            found.add(host)
    return found


@contextmanager
def listening(number: int) -> Iterator[socket.socket]:
    """What gRPC does with a port, for whichever addresses."""
    with port._bound(0) as probe:
        family = probe.family
    with socket.socket(family) as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
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
    """Of this process to the port."""
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
    hosts = [*addresses_of_this_machine(), ours.getpeername()[0]]
    assert reachable(number, hosts) == set()
    assert answers(local)


def test_a_connection_that_broke_is_made_anew_and_the_port_shut_again(local: LocalWorker) -> None:
    assert local._port is not None
    (ours,) = connections(local._port.number)
    ours.shutdown(socket.SHUT_RDWR)
    assert wait_until(lambda: answers(local), 20)
    (again,) = connections(local._port.number)
    assert again.getsockname() != ours.getsockname()
    assert wait_until(local._port.is_shut, 5)
    assert reachable(local._port.number, [again.getpeername()[0]]) == set()
    assert answers(local)


def test_a_worker_that_outlives_us_for_a_moment_stays_shut(local: LocalWorker) -> None:
    assert local._port is not None and local.pid
    number = local._port.number
    local._port.close()
    assert reachable(number, addresses_of_this_machine()) == set()
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
    """Such as on kernels that are not Linux, and accept an option that they do not know."""
    monkeypatch.setattr(WorkerPort, "_attach", lambda *_: None)
    held = WorkerPort()
    assert not held.is_private
    with listening(held.number):
        assert held.answers()


def test_a_worker_that_does_not_start_says_so(tff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "command", lambda number: ["/bin/sh", "-c", "echo broken; exit 3"])
    started = LocalWorker()
    with pytest.raises(RuntimeUnavailable) as wrong:
        started.start()
    assert str(wrong.value) == "TFF's worker process did not start (exit code 3)\n    broken"
    assert not started.died


def test_what_a_port_admits() -> None:
    with closing(WorkerPort()) as held:
        hosts = addresses_of_this_machine()
        with listening(held.number):
            assert reachable(held.number, hosts) == set()
            secret = held.admit()
            assert reachable(held.number, [*hosts, secret]) == {secret}
            assert held.admit() != secret
            assert reachable(held.number, [*hosts, secret]) == set()
            held.admit_loopback()
            assert reachable(held.number, hosts) == {"127.0.0.1", "127.1.2.3", "::1"} & set(hosts)
            assert held.answers()
            assert reachable(held.number, hosts) == set()


def test_a_port_is_taken_once() -> None:
    with closing(WorkerPort()) as held, pytest.raises(OSError, match="in use"):
        WorkerPort(held.number)


def test_an_ordinary_user_is_enough() -> None:
    """In a copy of this process, which is no longer root if it was."""
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
    others = set(addresses_of_this_machine()) - {"127.0.0.1", "127.1.2.3", "::1"}
    if others:
        assert port.has_other_addresses()
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (9, "dummy9")])
    assert not port.has_other_addresses()
