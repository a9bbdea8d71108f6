"""Ctrl-C and time limits end a training wherever they strike, and nothing else."""

from __future__ import annotations

import abc
import importlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from faults import fault
from forked_programs import environment
from processes import is_running
from pytest_federated import Options, Scenario
from pytest_federated.core import signals
from pytest_federated.core.errors import TimeLimitExceeded
from pytest_federated.running import pipeline
from pytest_federated.tff import context, worker
from ruamel.yaml import YAML
from scenario_texts import LONG, TINY


def test_an_interrupt_that_became_another_exception_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt), signals.delivered():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise SystemError("as C extensions do") from None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ask", [True, False])
def test_an_interrupt_that_was_dropped_is_raised(ask: bool) -> None:
    class Something:
        pass

    thing = Something()
    kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), signals.delivered() as check:
        del thing  # Python prints exceptions of callbacks and continues
        assert kept() is None
        if ask:
            check()
            pytest.fail("check should raise")


def _xla_gc_callback(number: int) -> None:
    """Is named like jax's callback, in which nothing may be raised."""
    signal.raise_signal(number)


def _finalizer(number: int) -> None:
    """Calls a finalizer in whose function the signal comes."""

    class Finalized:
        def __del__(self) -> None:
            (lambda: signal.raise_signal(number))()

    Finalized()


class _Asked(abc.ABCMeta):
    """A class whose type checks are interrupted."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if isinstance(instance, int):
            signal.raise_signal(instance)
        return super().__instancecheck__(instance)


def _type_check(number: int) -> None:
    """Asks for a type, as TensorFlow does, which takes an exception for an answer."""

    class Composite(metaclass=_Asked):
        pass

    try:
        assert not isinstance(number, Composite)
    except BaseException:
        pytest.fail("nothing may be raised here")


@pytest.mark.parametrize("dropping", [_xla_gc_callback, _finalizer, _type_check])
@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, None), (signal.SIGALRM, 60)])
def test_an_interrupt_that_python_would_drop_is_raised_again(
    number: int, seconds: int, dropping: Callable[[int], None]
) -> None:
    wanted = KeyboardInterrupt if number == signal.SIGINT else TimeLimitExceeded
    with pytest.raises(wanted), signals.delivered(seconds):
        dropping(number)
        time.sleep(10)
        pytest.fail("the signal was not raised again")
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_other_exceptions_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="mine"), signals.delivered():
        raise ValueError("mine")


def test_the_handler_is_restored() -> None:
    with signals.delivered():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_someone_elses_handler_is_left_alone() -> None:
    def own(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGINT, own)
    try:
        with signals.delivered():
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_is_left_alone() -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with signals.delivered() as check:
                check()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failed


# Imports


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a library that nobody has imported, with one module."""
    package = tmp_path / "some_library"
    package.mkdir()
    (package / "inner.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("some_library", "some_library.inner"):
        monkeypatch.setitem(sys.modules, name, sys)  # removes it after the test
        monkeypatch.delitem(sys.modules, name)
    return package / "__init__.py"


def struck(*numbers: signal.Signals) -> str:
    """Returns the code of a library during whose import these signals arrive."""
    lines = [f"signal.raise_signal({int(number)})" for number in numbers]
    return "\n".join(["import some_library.inner, signal", *lines, "is_whole = True"])


def _is_whole() -> bool:
    return getattr(sys.modules.get("some_library"), "is_whole", False)


def test_the_limit_waits_for_an_import_and_then_interrupts(library: Path) -> None:
    library.write_text(struck(signal.SIGALRM))
    with pytest.raises(TimeLimitExceeded), signals.delivered(60):
        importlib.import_module("some_library")
        time.sleep(30)
        pytest.fail("the signal did not arrive")
    assert _is_whole()


def test_an_endless_import_is_interrupted(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_IMPORT_SECONDS", 0.2)
    library.write_text("import time\ntime.sleep(30)\n")
    with pytest.raises(TimeLimitExceeded), signals.delivered(0.1):
        importlib.import_module("some_library")
    assert "some_library" not in sys.modules


def test_ctrl_c_waits_for_an_import(library: Path) -> None:
    library.write_text(struck(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), signals.delivered():
        importlib.import_module("some_library")
        time.sleep(30)
        pytest.fail("the signal did not arrive")
    assert _is_whole()


def test_ctrl_c_waits_for_an_import_even_if_the_alarm_is_taken(library: Path) -> None:
    library.write_text(struck(signal.SIGINT))
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        with pytest.raises(KeyboardInterrupt), signals.delivered() as check:
            importlib.import_module("some_library")
            check()
            pytest.fail("check should raise")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert _is_whole()


def test_a_second_ctrl_c_does_not_wait(library: Path) -> None:
    library.write_text(struck(signal.SIGINT, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), signals.delivered():
        importlib.import_module("some_library")
    assert not _is_whole()


def test_ctrl_c_comes_before_a_limit_that_waits(library: Path) -> None:
    library.write_text(struck(signal.SIGALRM, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), signals.delivered(60):
        importlib.import_module("some_library")
        time.sleep(30)
    assert _is_whole()


def test_a_block_within_an_import_is_interrupted(library: Path) -> None:
    library.write_text(
        "from pytest_federated.core import signals\nimport signal\nwith signals.delivered():\n"
        "    signal.raise_signal(signal.SIGINT)\n    raise ValueError\n"
    )
    with pytest.raises(KeyboardInterrupt):
        importlib.import_module("some_library")


def test_ctrl_c_waits_for_a_short_block_and_a_second_one_does_not() -> None:
    ended: list[str] = []
    with pytest.raises(KeyboardInterrupt), signals.postponed():
        signal.raise_signal(signal.SIGINT)
        ended.append("whole")
    with pytest.raises(KeyboardInterrupt), signals.postponed():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        ended.append("not reached")
    assert ended == ["whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_uncounted_time_does_not_count_towards_the_limit() -> None:
    with signals.delivered(60):
        block = signals._running.get()
        assert block and block.end
        before = block.end
        with signals.uncounted():
            assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
            time.sleep(0.05)
        assert block.end >= before + 0.05
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    with signals.uncounted():
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


# Importing TFF, which a process can do only once

TWICE = """
import contextlib, os, signal, sys, threading, time
import pytest

def strike():
    while "tensorflow_federated.python.core" not in sys.modules:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

if "--ctrl-c" in sys.argv:
    threading.Thread(target=strike, daemon=True).start()
    code = pytest.main(["long.scenario.yaml", "--fed-no-cache"])
else:
    code = pytest.main(["long.scenario.yaml", "--fed-no-cache", "--fed-timeout=1"])
print("FIRST", int(code))
print("SECOND", int(pytest.main(["tiny.scenario.yaml"])))
"""


@fault(
    "Ctrl-C and --fed-timeout while TFF is imported",
    outcome="a later run in the same process is as usual",
)
@pytest.mark.usefixtures("tff_programs")
@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [("--ctrl-c", 2), ("--limit", 1)])
def test_an_interrupted_import_of_tff_does_not_affect_later_runs(
    tmp_path: Path, how: str, code: int
) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "long.scenario.yaml").write_text(LONG)
    (tmp_path / "tiny.scenario.yaml").write_text(TINY)
    done = subprocess.run(
        [sys.executable, "-c", TWICE, how],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        text=True,
        timeout=150,
    )
    assert f"FIRST {code}\n" in done.stdout and "SECOND 0\n" in done.stdout, done.stdout
    assert "broken" not in done.stdout
    assert ("long - not done after 1 seconds, the time limit" in done.stdout) == (code == 1)


STUB = """
from pytest_federated.core import signals
from pytest_federated.tff.imports import import_tff

try:
    with signals.delivered({seconds}):
        try:
            import_tff()
        finally:
            print("imported")
        import time
        time.sleep(30)
except BaseException as error:
    print(type(error).__name__)
try:
    import_tff()
    print("again")
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("seconds", "strikes", "said"),
    [
        (0.2, "time.sleep(0.3)", ["imported", "TimeLimitExceeded", "again"]),
        (60, "raise_signal(2)", ["imported", "KeyboardInterrupt", "again"]),
        (
            60,
            "raise_signal(2); raise_signal(2)",
            [
                "imported",
                "KeyboardInterrupt",
                "the import of tensorflow-federated was cut off by Ctrl-C in this process, and "
                "cannot be done twice: restart it",
            ],
        ),
    ],
    ids=["limit", "ctrl-c", "ctrl-c twice"],
)
def test_the_import_of_tff_does_not_count_towards_the_limit(
    tmp_path: Path, seconds: float, strikes: str, said: list[str]
) -> None:
    """With a stand-in for TFF that must be imported at once, and takes longer than the limit."""
    for name, code in {
        "tensorflow": f"""
            import sys, time
            from signal import raise_signal
            assert not hasattr(sys, "_was_imported"), "a C extension is loaded once"
            sys._was_imported = True
            {strikes}
            """,
        "tensorflow_federated": "",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(textwrap.dedent(code))
    code = STUB.format(seconds=seconds)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}]\n" + code],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.stdout.splitlines() == said, done.stderr


# After an interrupt


def test_an_interrupted_training_ends_the_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise its worker would keep computing for a training that nobody waits for."""
    ended: list[bool] = []

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "runtime", lambda *_: SimpleNamespace(start=interrupted))
    monkeypatch.setattr(pipeline, "shutdown", lambda: ended.append(True))
    with pytest.raises(KeyboardInterrupt):
        pipeline.train_seed(Scenario.model_validate(YAML(typ="safe").load(TINY)), 0, Options())
    assert ended == [True]


def test_an_interrupted_end_leaves_no_stopped_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(context, "_runtime", SimpleNamespace(stop=interrupted))
    with pytest.raises(KeyboardInterrupt):
        context.shutdown()
    assert context._runtime is None


def test_a_worker_whose_start_is_interrupted_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: Optional[float] = None) -> bool:
            super().wait(timeout)
            raise KeyboardInterrupt

    names = SimpleNamespace(Thread=threading.Thread, Event=Interrupted)
    monkeypatch.setattr(worker, "threading", names)
    started = worker.LocalWorker()
    with pytest.raises(KeyboardInterrupt):
        started._spawn(["sleep", "60"], dict(os.environ), [])
    assert started.pid and is_running(started.pid)
    pid = started.pid
    started.stop()
    assert not started.alive and not is_running(pid)
