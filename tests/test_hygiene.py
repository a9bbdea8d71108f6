"""No TFF worker outlives pytest, however pytest ends; and the terminal stays quiet."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import (
    LONG,
    TINY,
    environment,
    is_running,
    wait_until,
    worker_pids,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "scenarios").mkdir()
    return tmp_path


def write(project: Path, text: str, name: str = "a") -> None:
    (project / "scenarios" / f"{name}.yaml").write_text(text)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "scenarios", "-p", "no:cacheprovider", *arguments]


def descendants(root: int) -> set[int]:
    """Process ids of all processes below `root`."""
    children: dict[int, set[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, set()).add(int(status.parent.name))
    found, todo = set(), [root]
    while todo:
        new = children.get(todo.pop(), set())
        found |= new
        todo += new
    return found


@pytest.fixture
def training(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A pytest that trains for long, in the middle of it."""
    write(project, LONG)
    process = subprocess.Popen(
        command(), cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
    )
    assert wait_until(lambda: worker_pids(process.pid)), "no worker came up"
    time.sleep(3)  # into the rounds
    yield process
    process.kill()
    process.communicate()


def started_worker(process: subprocess.Popen[Any]) -> int:
    (pid,) = worker_pids(process.pid)
    return pid


def test_ctrl_c(training: subprocess.Popen[bytes]) -> None:
    worker = started_worker(training)
    training.send_signal(signal.SIGINT)
    output, _ = training.communicate(timeout=30)  # returns only when nobody holds the pipe
    assert training.returncode == pytest.ExitCode.INTERRUPTED
    assert b"KeyboardInterrupt" in output
    assert not is_running(worker)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_signals_that_end_python(training: subprocess.Popen[bytes], sent: signal.Signals) -> None:
    worker = started_worker(training)
    training.send_signal(sent)
    training.communicate(timeout=30)
    assert training.returncode == -sent
    assert wait_until(lambda: not is_running(worker), 5)


def test_a_worker_that_dies_fails_its_scenario_and_no_other(project: Path) -> None:
    write(project, LONG, "a")
    write(project, TINY, "b")
    process = subprocess.Popen(
        command("-v"),
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        text=True,
    )
    assert wait_until(lambda: worker_pids(process.pid))
    time.sleep(3)
    subprocess.run(["kill", "-KILL", str(started_worker(process))], check=True)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "TFF's worker process died (ended by signal 9)" in output
    assert "Traceback" not in output
    assert "1 failed, 1 passed" in output


INTERNAL_ERROR = """
def pytest_runtest_logreport(report):
    if report.when == "call":
        raise RuntimeError("a broken plugin")
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 0),
        (("-s",), 0),
        (("--capture=sys",), 0),
        (("-n", "2"), 0),
        (("-x", "--fed-strict"), 1),
        (("-p", "broken"), 3),
    ],
    ids=["plain", "-s", "capture=sys", "-n 2", "-x", "internal error"],
)
def test_a_piped_pytest_returns_and_is_quiet(
    project: Path, arguments: tuple[str, ...], code: int
) -> None:
    write(project, TINY)
    write(project, TINY.replace("tiny", "second"), "b")
    if code == 1:
        write(project, TINY.replace("tiny", "first").replace("0.3", "1.0"), "a")
    (project / "broken.py").write_text(INTERNAL_ERROR)
    done = subprocess.run(
        f"{subprocess.list2cmdline(command(*arguments))} | cat; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=project,
        capture_output=True,
        text=True,
        timeout=150,
        env={**environment(), "PYTHONPATH": str(project)},
    )
    assert done.returncode == code, done.stdout + done.stderr
    for noise in ("cuDNN", "cuda", "oneDNN", "WARNING", "absl", "Warning", "TF-TRT"):
        assert noise not in done.stdout + done.stderr
    if code == 0:
        assert "2 passed" in done.stdout
    if code == 1:
        assert "1 failed" in done.stdout and "second" not in done.stdout


def test_no_worker_is_left_when_an_xdist_process_crashes(project: Path) -> None:
    write(project, LONG)
    process = subprocess.Popen(
        command("-n", "1", "--max-worker-restart=0"),
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        text=True,
    )

    def workers() -> set[int]:
        return worker_pids() & descendants(process.pid)

    assert wait_until(workers)
    time.sleep(2)
    (worker,) = workers()
    parent = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    assert parent != process.pid
    subprocess.run(["kill", "-KILL", str(parent)], check=True)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "crashed" in output
    assert wait_until(lambda: not is_running(worker), 5)


def test_xdist_reports_results_of_all_processes(project: Path) -> None:
    write(project, TINY + "matrix:\n  clients.count: [2, 3, 4]\n")
    done = subprocess.run(
        command("-n", "2", "--fed-report=out"),
        cwd=project,
        capture_output=True,
        text=True,
        timeout=150,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout
    names = {p.name for p in (project / "out/records").iterdir()}
    assert names == {f"tiny-count={n}.json" for n in (2, 3, 4)}
    assert "report: out/report.md" in done.stdout


def test_xdist_stops_for_a_bad_file_before_it_starts(project: Path) -> None:
    write(project, TINY.replace("count: 4", "count: 0"))
    done = subprocess.run(
        command("-n", "2"),
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "a.yaml:5: clients.count: got 0" in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("--collect-only", "-q"), ("--bad",)], ids=str)
def test_tensorflow_is_not_imported_for_what_needs_none(
    project: Path, arguments: tuple[str, ...]
) -> None:
    write(project, TINY if arguments != ("--bad",) else TINY.replace("count: 4", "count: 0"))
    code = (
        "import sys, pytest\n"
        f"code = pytest.main(['scenarios', *{[a for a in arguments if a != '--bad']}])\n"
        "assert not {'tensorflow', 'tensorflow_federated', 'jax'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == (4 if arguments == ("--bad",) else 0), done.stdout + done.stderr
