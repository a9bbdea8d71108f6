"""After any fault the exit code and the report are right, nothing is left running, and the next
session works.

Other faults are in test_hygiene, test_outcomes, test_long_runs and test_signals, next to the tests
of what they affect. All of them are rows of docs/reliability.md.
"""

from __future__ import annotations

import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import fault
from forked_programs import Program, environment
from processes import descendants, is_running, wait_until, worker_pids
from pytest_federated.results.record import Result
from pytest_federated.results.store import read_results
from scenario_texts import TINY

pytestmark = pytest.mark.slow

# Marks the beginning of the session; its split never ends.
CONFTEST = """\
import os, time
from pathlib import Path
import pytest_federated

def pytest_sessionstart():
    Path("begun").touch()

@pytest_federated.split("hangs")
def hangs(pool, rng):
    '''Never ends.'''
    Path(f"hangs-{os.getpid()}").touch()
    time.sleep(600)
"""


def scenario(name: str, text: str = TINY) -> str:
    return text.replace("name: tiny", f"name: {name}")


TWO = {"a": scenario("a"), "b": scenario("b").replace("count: 4", "count: 5")}


def set_up(folder: Path, conftest: str = "", **scenarios: str) -> Path:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST + conftest)
    (folder / "scenarios").mkdir()
    for name, text in scenarios.items():
        (folder / "scenarios" / f"{name}.yaml").write_text(text)
    return folder


def command(*arguments: str) -> list[str]:
    return ["pytest", "scenarios", "--fed-report=out", *arguments]


def started(folder: Path, *arguments: str) -> Program:
    return Program(*command(*arguments), cwd=folder)


def finished(folder: Path, *arguments: str) -> tuple[int, str]:
    """Returns exit code and output of a pytest run, and asserts that its TFF worker is gone."""
    program = started(folder, *arguments)
    output = program.communicate()
    assert not worker_pids(program.pid)
    return program.wait(), output


def recorded(folder: Path) -> dict[str, Result]:
    return {r.id: r for r in read_results(folder / "out")}


def statuses(folder: Path) -> dict[str, str]:
    return {name: result.status for name, result in recorded(folder).items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tff_programs: None) -> Path:
    """The report of the two tiny scenarios without a fault."""
    folder = set_up(tmp_path_factory.mktemp("undisturbed"), **TWO)
    assert finished(folder)[0] == 0
    return folder / "out"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return set_up(tmp_path, **TWO)


def assert_same(folder: Path, undisturbed: Path) -> None:
    """Asserts that the report equals that of an undisturbed session, with no other files."""
    files = {p.relative_to(undisturbed) for p in undisturbed.rglob("*") if p.is_file()}
    assert files == {p.relative_to(folder / "out") for p in (folder / "out").rglob("*.*")}
    for file in files:
        assert (folder / "out" / file).read_bytes() == (undisturbed / file).read_bytes(), file


# Ends of processes


def hanging(folder: Path, process: int) -> set[int]:
    """Returns the xdist processes below a process, once both are in the user's function."""
    assert wait_until(lambda: len(list(folder.glob("hangs-*"))) == 2)
    pids = {int(p.name.partition("-")[2]) for p in folder.glob("hangs-*")}
    assert pids <= descendants(process)
    return pids


# No two are the same training, so that none waits for the other.
HANGS = {
    name: scenario(name).replace("count: 4", f"count: {clients}, split: hangs")
    for name, clients in {"a": 3, "b": 4}.items()
}


@fault(
    "pytest under xdist ended by SIGTERM or SIGKILL while its processes are in a user's function",
    outcome="no process is left after five seconds; the scenarios are not reached",
)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_processes_of_xdist_end_with_their_pytest(tmp_path: Path, sent: signal.Signals) -> None:
    set_up(tmp_path, **HANGS)
    process = subprocess.Popen(
        [sys.executable, "-m", *command("-n2")],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        env=environment(),
    )
    try:
        pids = hanging(tmp_path, process.pid)
        process.send_signal(sent)
        assert process.wait(150) == -sent
        assert wait_until(lambda: not any(map(is_running, pids)))
    finally:
        process.kill()
    assert statuses(tmp_path) == {"a": "not reached", "b": "not reached"}


@fault(
    "the terminal closed under pytest with xdist",
    outcome="no process is left after five seconds; the scenarios are not reached",
)
def test_a_closed_terminal_ends_all_processes(tmp_path: Path) -> None:
    set_up(tmp_path, **HANGS)
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-m", *command("-n2")], environment())
    pids = hanging(tmp_path, pid)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGHUP
    assert wait_until(lambda: not any(map(is_running, pids)))
    assert statuses(tmp_path) == {"a": "not reached", "b": "not reached"}


# Kills this process after it has written the first half of a file that matches the pattern.
KILLED_WHILE_WRITING = """
import contextlib, signal
from pytest_federated.core import files

def replacing(path, plainly=files.replacing):
    @contextlib.contextmanager
    def cut_off():
        with plainly(path) as file:
            class Half:
                def write(self, data):
                    file.write(data[:len(data) // 2])
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
            yield Half() if path.match("{pattern}") else file
    return cut_off()

files.replacing = replacing
"""


@fault(
    "kill -9 of pytest in the middle of writing a record, the report, a cache entry or a baseline",
    outcome="at most a hidden temporary file is half written; unfinished scenarios are not "
    "reached; the next run is as usual",
)
@pytest.mark.parametrize(
    ("pattern", "reached"),
    [
        ("*.training", 0),
        ("records/a.json", 0),
        ("baselines/b.json", 1),
        ("out/index.md", 2),
    ],
)
def test_a_kill_while_writing_leaves_no_half_written_file(
    project: Path, undisturbed: Path, pattern: str, reached: int
) -> None:
    (project / "conftest.py").write_text(
        CONFTEST + KILLED_WHILE_WRITING.replace("{pattern}", pattern)
    )
    arguments = ["--fed-baseline=update"]
    assert finished(project, *arguments)[0] == -signal.SIGKILL
    ended = ["passed"] * reached + ["not reached"] * (2 - reached)
    assert list(statuses(project).values()) == ended
    (project / "conftest.py").write_text(CONFTEST)
    code, output = finished(project, "--fed-baseline=check" if reached == 2 else arguments[0])
    assert code == 0 and "2 passed" in output and "damaged" not in output
    for temporary in (project / "out").rglob(".*"):  # of the file that was being written
        assert temporary.name.startswith(f".{Path(pattern).name}.")
        temporary.unlink()
    if reached == 2:  # the report says how the scenarios compare with their baselines
        assert finished(project)[0] == 0
    assert_same(project, undisturbed)


@fault(
    "Ctrl-C at ten random moments of a session",
    outcome="exit code 2 (0 if it was over); passed or not reached; the next run is as usual",
    times=10,
)
def test_ctrl_c_at_a_random_moment_ends_the_session(project: Path, undisturbed: Path) -> None:
    draw, begun = random.Random(1), project / "begun"
    begin = time.monotonic()
    assert finished(project, "--fed-no-cache")[0] == 0
    lasts = time.monotonic() - begin
    assert_same(project, undisturbed)
    shutil.rmtree(project / "out")
    for _ in range(10):
        begun.unlink()
        program = started(project, "--fed-no-cache")
        assert wait_until(begun.exists)
        time.sleep(draw.random() * lasts)
        program.send_signal(signal.SIGINT)
        output = program.communicate()
        # The second is the code after a Ctrl-C in the last lines of pytest itself.
        # Python 3.11 knows no line of some instructions; pytest cannot print a Ctrl-C in one.
        unprinted = "self._rawentry.tb_lineno - 1" in output and program.wait() == 1
        interrupted = program.wait() in (pytest.ExitCode.INTERRUPTED, -signal.SIGINT) or unprinted
        assert interrupted or program.wait() == 0, output
        assert not worker_pids(program.pid)
        if (project / "out").exists():  # it reached the first scenario
            found = statuses(project)
            assert set(found) == {"a", "b"}
            assert set(found.values()) <= {"passed", "not reached"}
            assert interrupted or set(found.values()) == {"passed"}
    assert finished(project, "--fed-no-cache")[0] == 0
    assert_same(project, undisturbed)


# Files


@fault(
    "files larger than 2,000 bytes cannot be written (RLIMIT_FSIZE)",
    outcome="results are shown, exit code 1, each missing file named; the next run is as usual",
)
def test_a_limit_on_file_sizes_loses_no_results(project: Path, undisturbed: Path) -> None:
    _assert_nothing_lost(
        project,
        undisturbed,
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000,) * 2)\n",
    )


FULL_DISK = """
import ctypes, subprocess
if ctypes.CDLL(None).unshare(0x00020000):  # its own mount namespace
    os._exit(77)
for folder in ("out", ".pytest_cache/d/federated"):
    Path(folder).mkdir(parents=True, exist_ok=True)
    command = f"mount --make-rprivate / && mount -t tmpfs -o size=8k tmpfs {folder}"
    if subprocess.run(command, shell=True).returncode:
        os._exit(77)
"""


@fault(
    "the disk of the report and of the cache is full (a tmpfs of 8 KB)",
    outcome="results are shown, exit code 1, each missing file named; the next run is as usual",
)
def test_a_full_disk_loses_no_results(project: Path, undisturbed: Path) -> None:
    _assert_nothing_lost(project, undisturbed, FULL_DISK)


ORDINARY_USER = """
import ctypes
if os.getuid() == 0:  # without its capabilities, which let root write anywhere
    version, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None).capset(version, nothing):
        os._exit(77)
"""


@fault(
    "an ordinary user runs scenarios in folders that may not be written to",
    outcome="results are shown, exit code 1, each missing file named; the next run is as usual",
)
def test_read_only_folders_lose_no_results(project: Path, undisturbed: Path) -> None:
    for folder in ("out", ".pytest_cache"):
        (project / folder).mkdir()
        (project / folder).chmod(0o555)
    _assert_nothing_lost(project, undisturbed, ORDINARY_USER)


def _assert_nothing_lost(project: Path, undisturbed: Path, conftest: str) -> None:
    (project / "conftest.py").write_text(CONFTEST + conftest)
    code, output = finished(project)
    if code == 77:
        pytest.skip("this user may not do that")
    assert code == pytest.ExitCode.TESTS_FAILED, output
    assert "2 passed" in output and "Traceback" not in output
    for what in ("the record of a", "the record of b", "the report"):
        assert f"not written: {what}: " in output
    for folder in (project / "out", project / ".pytest_cache"):
        folder.chmod(0o755)
        shutil.rmtree(folder)
    (project / "conftest.py").write_text(CONFTEST)
    code, output = finished(project)
    assert code == 0 and "unchanged" not in output and "damaged" not in output
    assert_same(project, undisturbed)


@fault(
    "two sessions at once, with the same report, cache and baselines",
    outcome="both pass, each training runs once, the report is as usual",
)
def test_two_sessions_at_once_share_report_and_cache(project: Path, undisturbed: Path) -> None:
    both = [started(project, "--fed-baseline=update") for _ in range(2)]
    outputs = [program.communicate() for program in both]
    assert [program.wait() for program in both] == [0, 0], outputs
    assert sum("2 of 2 trainings unchanged" in o for o in outputs) + 2 * sum(
        "1 of 2 trainings unchanged" in o for o in outputs
    ) in (1, 4)
    assert_same(project, undisturbed)
    assert "2 same" in finished(project, "--fed-baseline=check")[1]


@fault(
    "the clock set back by decades, so that all files are from the future",
    outcome="passes, the report is as usual; only what has changed is trained again",
)
def test_a_clock_that_is_set_back_changes_nothing(project: Path, undisturbed: Path) -> None:
    assert finished(project)[0] == 0
    changed = project / "scenarios" / "a.yaml"
    changed.write_text(TWO["a"].replace("count: 4", "count: 3"))
    _from_the_future(project)
    code, output = finished(project)
    assert code == 0 and "1 of 2 trainings unchanged" in output, output
    changed.write_text(TWO["a"])
    # Not while TFF trains: gRPC's deadlines would use one clock in Python and another in C.
    (project / "conftest.py").write_text(CONFTEST + "time.time = time.monotonic\n")
    _from_the_future(project)
    code, output = finished(project)
    assert code == 0 and "2 of 2 trainings unchanged" in output, output
    assert_same(project, undisturbed)


def _from_the_future(folder: Path) -> None:
    future = time.time() + 1e9
    for file in folder.rglob("*"):
        os.utime(file, (future, future))


# Code of the user


@fault(
    "a user's function that never returns, under --fed-timeout",
    outcome="errored after the limit, the others pass, exit code 1",
)
def test_a_user_function_that_hangs_is_ended(project: Path, tff_programs: None) -> None:
    (project / "scenarios" / "0.yaml").write_text(HANGS["a"].replace("name: a", "name: hangs"))
    code, output = finished(project, "--fed-timeout=20")
    assert code == pytest.ExitCode.TESTS_FAILED and "1 failed, 2 passed" in output
    found = recorded(project)
    assert statuses(project) == {"a": "passed", "b": "passed", "hangs": "errored"}
    assert found["hangs"].reason == "not done after 20 seconds, the time limit"


MODELS = """\
import os, signal, sys
import pytest

def skips(input_shape, num_classes):
    pytest.skip("no such model here")

def exits(input_shape, num_classes):
    sys.exit(0)
"""


@fault(
    "pytest.skip and sys.exit(0) in a user's model",
    outcome="skipped and errored, never passed; the others pass, exit code 1",
)
def test_a_model_that_skips_or_exits_never_passes(project: Path, tff_programs: None) -> None:
    (project / "scenarios" / "own.py").write_text(MODELS)
    for name in ("skips", "exits"):
        text = scenario(name).replace("{kind: mlp, hidden: [16]}", f'{{keras: "own:{name}"}}')
        (project / "scenarios" / f"{name}.yaml").write_text(text)
    code, output = finished(project)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 2 passed, 1 skipped" in output
    assert statuses(project) == {
        "a": "passed",
        "b": "passed",
        "exits": "errored",
        "skips": "skipped",
    }
