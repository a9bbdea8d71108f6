"""How far work is that takes long: shown where somebody can see it, once it took two seconds."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Callable, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

_QUIET_SECONDS = 2.0  # work that is over by then is not worth a line
_BETWEEN_SECONDS = 0.2  # two updates of a bar
PLAIN_EVERY_SECONDS = 10.0  # a line where there is no terminal

Item = TypeVar("Item")
Update = Callable[[int], None]  # takes how much is done by now
# From what is done, and how much there is of it, to a block in which that is shown.
Display = Callable[[str, int], AbstractContextManager[Update]]


@contextlib.contextmanager
def tracked(title: str, total: int) -> Generator[Callable[[int], None], None, None]:
    """Shows the progress of a block, which calls what this yields with how much more it has done.

    For example: `with tracked("decoding emnist", 341_873) as advance: ... advance(4096)`. A total
    of 0 is one that is not known.
    """
    done, shown = 0, time.monotonic() + _QUIET_SECONDS - _BETWEEN_SECONDS
    updates: list[Update] = []
    with contextlib.ExitStack() as displayed:

        def advance(more: int) -> None:
            nonlocal done, shown
            done += more
            if time.monotonic() - shown < _BETWEEN_SECONDS:
                return
            shown = time.monotonic()
            if not updates:
                updates.append(displayed.enter_context(_display(title, total)))
            updates[0](done)

        yield advance


def each(items: Sequence[Item], title: str) -> Iterator[Item]:
    """Yields the items, and shows how many are done."""
    with tracked(title, len(items)) as advance:
        for item in items:
            yield item
            advance(1)


def is_on_stderr() -> bool:
    """Returns whether progress is shown there, where other packages show theirs."""
    return _display is _on_stderr


@contextlib.contextmanager
def displayed_by(display: Display) -> Generator[None, None, None]:
    """Has the progress of work in this block displayed in another way than on stderr."""
    global _display
    before, _display = _display, display
    try:
        yield
    finally:
        _display = before


@contextlib.contextmanager
def lines(title: str, total: int, write: Callable[[str], None]) -> Generator[Update, None, None]:
    """Writes a line at once and then every ten seconds."""
    began = time.monotonic() - _QUIET_SECONDS
    due = 0.0

    def update(done: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + PLAIN_EVERY_SECONDS
            left = (now - began) / max(done, 1) * max(total - done, 0)
            write(
                f"{title}: {done / total:.0%}, {left:.0f} s left"
                if total
                else f"{title}: {done:,} so far"
            )

    yield update


@contextlib.contextmanager
def _on_stderr(title: str, total: int) -> Generator[Update, None, None]:
    if not sys.stderr.isatty():
        with lines(title, total, lambda line: print(line, file=sys.stderr, flush=True)) as update:
            yield update
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),  # of "s[alpha=1]" markup shows "s"
        *(BarColumn(), TaskProgressColumn(), TimeRemainingColumn()),
    )
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    # Work within this work is a task of the same bars: others would spoil them.
    with bars, displayed_by(partial(_as_task, bars)):
        task = bars.add_task(title, total=total or None)
        yield lambda done: bars.update(task, completed=done)


@contextlib.contextmanager
def _as_task(bars: Progress, title: str, total: int) -> Generator[Update, None, None]:
    task = bars.add_task(title, total=total or None)
    yield lambda done: bars.update(task, completed=done)
    bars.remove_task(task)


_display: Display = _on_stderr
