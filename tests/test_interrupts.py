"""Ctrl-C ends a training wherever it strikes."""

from __future__ import annotations

import signal
import threading
import time
import weakref

import pytest

from harness.errors import TimeLimitExceeded
from harness.runtime import interrupts


def test_an_interrupt_that_became_another_exception() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.kept():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise SystemError("as a C extension does") from None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ask", [True, False])
def test_an_interrupt_that_was_dropped(ask: bool) -> None:
    class Something:
        pass

    thing = Something()
    kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), interrupts.kept() as check:
        del thing  # Python prints what a callback raises, and goes on
        assert kept() is None
        if ask:
            check()
            pytest.fail("check raises")


def _xla_gc_callback(number: int) -> None:
    """Has the name of jax's callback, in which nothing may be raised."""
    signal.raise_signal(number)


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, None), (signal.SIGALRM, 60)])
def test_a_strike_where_it_would_be_dropped_comes_again(number: int, seconds: int) -> None:
    wanted = KeyboardInterrupt if number == signal.SIGINT else TimeLimitExceeded
    with pytest.raises(wanted), interrupts.kept(seconds):
        _xla_gc_callback(number)
        time.sleep(10)
        pytest.fail("it did not come again")
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_other_exceptions_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="mine"), interrupts.kept():
        raise ValueError("mine")


def test_the_handler_is_given_back() -> None:
    with interrupts.kept():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_someone_elses_handler_is_left_alone() -> None:
    def own(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGINT, own)
    try:
        with interrupts.kept():
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_is_left_alone() -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with interrupts.kept() as check:
                check()
        except BaseException as bad:
            failed.append(bad)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failed
