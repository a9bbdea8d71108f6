"""No TFF worker outlives pytest, however pytest ends, and the terminal stays quiet."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import fault
from forked_programs import Program, environment
from processes import descendants, is_running, wait_until, worker_pids
from pytest_federated.results.store import read_results
from scenario_texts import LONG, TINY


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "scenarios").mkdir()
    return tmp_path


def write(project: Path, text: str, name: str = "a") -> None:
    (project / "scenarios" / f"{name}.yaml").write_text(text)


def command(*arguments: str) -> list[str]:
    """Returns the arguments after ``python -m``."""
    return ["pytest", "scenarios", "-p", "no:cacheprovider", *arguments]


def fresh(*arguments: str) -> list[str]:
    """Returns the command line of a new Python process."""
    return [sys.executable, "-m", *command(*arguments)]


@pytest.fixture
def training(project: Path, tff_programs: None) -> Iterator[Program]:
    """A pytest run in the middle of a long training."""
    write(project, LONG)
    program = Program(*command(), cwd=project)
    try:
        assert wait_until(lambda: worker_pids(program.pid)), "no worker started"
        time.sleep(3)  # into the rounds
        yield program
    finally:
        program.kill()
        program.wait()


def started_worker(program: Program) -> int:
    (pid,) = worker_pids(program.pid)
    return pid


@fault(
    "Ctrl-C while TFF trains",
    outcome="exit code 2, TFF's worker is gone",
)
def test_ctrl_c_ends_pytest_and_its_worker(training: Program) -> None:
    worker = started_worker(training)
    training.send_signal(signal.SIGINT)
    output = training.communicate(timeout=150)  # returns only when nobody holds the pipe
    assert training.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    assert not is_running(worker)


@fault(
    "SIGTERM, SIGKILL and SIGHUP while TFF trains",
    outcome="the signal ends pytest, and TFF's worker with it",
)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_signals_end_pytest_and_its_worker(training: Program, sent: signal.Signals) -> None:
    worker = started_worker(training)
    training.send_signal(sent)
    training.communicate(timeout=150)
    assert training.returncode == -sent
    assert wait_until(lambda: not is_running(worker))


@fault(
    "kill -9 of TFF's worker while it trains",
    outcome="errored, with how the worker ended; the others pass, exit code 1",
)
@pytest.mark.usefixtures("tff_programs")
def test_a_worker_that_dies_fails_its_scenario_and_no_other(project: Path) -> None:
    write(project, LONG, "a")
    write(project, TINY, "b")
    program = Program(*command("-v", "--fed-report=out"), cwd=project)
    assert wait_until(lambda: worker_pids(program.pid))
    time.sleep(3)
    subprocess.run(["kill", "-KILL", str(started_worker(program))], check=True)
    output = program.communicate(timeout=150)
    assert program.returncode == pytest.ExitCode.TESTS_FAILED
    assert "TFF's worker process died (ended by signal 9)" in output
    assert "Traceback" not in output
    assert "1 failed, 1 passed" in output
    found = {r.id: r.status for r in read_results(project / "out")}
    assert found == {"long": "errored", "tiny": "passed"}


INTERNAL_ERROR = """
def pytest_runtest_logreport(report):
    if report.when == "call":
        raise RuntimeError("a broken plugin")
"""


NOISE = ("cuDNN", "cuda", "oneDNN", "WARNING", "absl", "Warning", "TF-TRT")


def piped(project: Path, *arguments: str) -> tuple[str, int]:
    """Returns output and exit code of a new Python process, piped as CI systems do."""
    line = subprocess.list2cmdline([sys.executable, "-m", *arguments])
    done = subprocess.run(
        f"{line} 2>&1 | cat; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=project,
        capture_output=True,
        text=True,
        timeout=150,
        env=environment(),
    )
    return done.stdout + done.stderr, done.returncode


@pytest.mark.usefixtures("tff_programs")
@pytest.mark.parametrize(
    ("arguments", "code", "is_fresh"),
    [
        ((), 0, False),
        # Output of the import and of a training would show here: uncaptured, and as the captured
        # output of a failed test.
        (("-s",), 0, True),
        (("--capture=sys",), 0, False),
        (("-x", "--fed-strict"), 1, True),
        (("-p", "broken"), 3, False),
    ],
    ids=["plain", "-s", "capture=sys", "-x", "internal error"],
)
def test_a_piped_pytest_returns_and_is_quiet(
    project: Path, arguments: tuple[str, ...], code: int, is_fresh: bool
) -> None:
    write(project, TINY)
    write(project, TINY.replace("tiny", "second"), "b")
    if code == 1:
        write(project, TINY.replace("tiny", "first").replace("0.3", "1.0"), "a")
    (project / "broken.py").write_text(INTERNAL_ERROR)
    if is_fresh:
        output, returned = piped(project, *command(*arguments))
    else:
        program = Program(*command(*arguments), cwd=project)
        output = program.communicate()  # returns only when nobody holds the pipe
        returned = program.returncode
    assert returned == code, output
    for noise in NOISE:
        assert noise not in output
    if code == 0:
        assert "2 passed" in output
    if code == 1:
        assert "1 failed" in output and "second" not in output


@pytest.mark.usefixtures("tff_programs")
def test_processes_of_xdist_are_quiet_report_together_and_train_nothing_twice(
    project: Path,
) -> None:
    """The first two scenarios differ only in their names and go to different processes."""
    for name in ("one", "two"):
        write(project, TINY.replace("tiny", name), name)
    write(project, TINY.replace("tiny", "zero").replace("count: 4", "count: 3"), "zero")
    output, returned = piped(project, "pytest", "-n", "2", "--fed-report=out")
    assert returned == 0, output
    for noise in NOISE:
        assert noise not in output
    assert "3 passed" in output
    assert re.search(r"^1 of 3 trainings unchanged", output, flags=re.MULTILINE)
    names = {p.name for p in (project / "out/records").iterdir()}
    assert names == {"one.json", "two.json", "zero.json"}
    assert "report: out/index.md" in output


@fault(
    "kill -9 of a process of xdist while it trains",
    outcome="exit code 1, its TFF worker is gone",
)
@pytest.mark.usefixtures("tff_programs")
def test_no_worker_is_left_when_an_xdist_process_crashes(project: Path) -> None:
    write(project, LONG)
    process = subprocess.Popen(
        fresh("-n", "1", "--max-worker-restart=0"),
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        text=True,
    )

    def workers() -> set[int]:
        return worker_pids() & descendants(process.pid)

    try:
        assert wait_until(workers)
        time.sleep(2)
        (worker,) = workers()
        parent = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        assert parent != process.pid
        subprocess.run(["kill", "-KILL", str(parent)], check=True)
        output, _ = process.communicate(timeout=150)
    finally:
        process.kill()
    assert process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "crashed" in output
    assert wait_until(lambda: not is_running(worker))


def test_a_wrong_file_stops_xdist_before_it_starts(pytester: pytest.Pytester) -> None:
    pytester.makefile(".scenario.yaml", a=TINY.replace("count: 4", "count: 0"))
    done = pytester.runpytest_inprocess("-n2", "-p", "no:cacheprovider")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*a.scenario.yaml:5: clients.count: got 0*"])
    done.stdout.no_fnmatch_line("*workers*")


def test_tensorflow_is_not_imported_if_nothing_runs(project: Path) -> None:
    write(project, TINY)
    (project / "mistaken.yaml").write_text(TINY.replace("count: 4", "count: 0"))
    code = (
        "import sys, pytest\n"
        "for code, *arguments in [\n"
        "    (0, 'scenarios', '--help'),\n"
        "    (0, 'scenarios', '--collect-only', '-q'),\n"
        "    (4, 'mistaken.yaml'),\n"
        "]:\n"
        "    assert pytest.main(arguments) == code, arguments\n"
        "    heavy = {'tensorflow', 'tensorflow_federated', 'jax'}\n"
        "    assert not heavy & set(sys.modules), arguments\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr


SHOWS_COLLECTOR = """
import gc

def pytest_unconfigure():
    print("collector:", gc.isenabled(), gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(
    ("text", "is_frozen"), [(TINY, True), ("not: [a, scenario]", True), ("", False)]
)
def test_the_garbage_collector_is_on_after_collection(
    project: Path, text: str, is_frozen: bool
) -> None:
    """It passes over what was read; a session without scenarios is as it was."""
    (project / "conftest.py").write_text(SHOWS_COLLECTOR)
    if text:
        write(project, text)
    run = subprocess.run(fresh("--collect-only", "-s"), cwd=project, capture_output=True, text=True)
    assert f"collector: True {is_frozen}" in run.stdout
