"""Runs the sides in turns, each in its own process, as the machine may be shared and noisy."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import flower_environment
import numpy as np
import sides
from child import weights_file
from figures import Figures, Floor, Overhead
from parent import Child, ChildFailed
from workloads import Federation, Weights, Work, make


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        turns: number of turns of each side.
        seconds: of a turn, after which no further round begins.
        rounds: maximum number of rounds in a turn.
        pairs: rounds of pytest-federated and of the bare loop that are compared for the overhead.

    """

    turns: int = 3
    seconds: float = 1.5
    rounds: int = 10
    pairs: int = 30


QUICK = Effort(turns=1, seconds=0.1, rounds=2, pairs=2)


class Bench:
    """Measures sides on workloads in turns, each in its own process."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self.figures: list[Figures] = []
        self.overheads: list[Overhead] = []

    def measure(self, wanted: Sequence[tuple[Work, str]], overhead: Sequence[str] = ()) -> None:
        """Measures sides on workloads in turns, and the overhead of the sides in `overhead`."""
        with contextlib.ExitStack() as stack:
            folders: dict[Work, Path] = {}
            starts: dict[Work, Weights] = {}
            playing: list[tuple[Figures, Child]] = []
            for work, side in wanted:
                if work not in folders:
                    folders[work] = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                    federation = prepared(work)
                    federation.write(folders[work])
                    starts[work] = federation.start
                figures = Figures(work, side)
                self.figures.append(figures)
                with noted(figures):
                    child = Child(folders[work], interpreter(work, side))
                    stack.callback(child.end)
                    self._begin(figures, child)
                    playing.append((figures, child))
            for _ in range(self.effort.turns):
                for figures, child in playing:
                    if not figures.missing:
                        with noted(figures):
                            self._turn(figures, child)
            for figures, child in playing:
                figures.memory = child.peak_memory()
            for figures, child in playing:
                if figures.side in overhead and not figures.missing:
                    self.overheads.append(self._overhead(figures, child))
            for work, folder in folders.items():
                done = [f for f, _ in playing if f.work == work and not f.missing]
                compare(done, starts[work], folder)

    def floor(self, work: Work) -> Floor:
        """Measures what a packed round is made of, all sides in turn in one process."""
        names = [sides.NUMPY, sides.PACKED, sides.NO_STEPS, sides.STEPS]
        measured = Floor(work, {name: [] for name in names})
        with tempfile.TemporaryDirectory() as folder:
            prepared(work).write(Path(folder))
            child = Child(Path(folder))
            try:
                for name in names:
                    child.run(name, 2)
                for _ in range(self.effort.pairs):
                    for name in names:
                        began = child.processor_time()
                        (seconds,) = child.run(name, 1)["seconds"]
                        measured.rounds[name].append((seconds, child.processor_time() - began))
            finally:
                child.end()
        return measured

    def _begin(self, figures: Figures, child: Child) -> None:
        say(f"{figures.work}: {figures.side}: first round")
        answer = child.run(figures.side, 1)
        figures.first_result = time.perf_counter() - child.began
        figures.accuracy = answer["accuracy"]

    def _turn(self, figures: Figures, child: Child) -> None:
        say(f"{figures.work}: {figures.side}")
        began = time.perf_counter()
        for _ in range(self.effort.rounds):
            figures.rounds += child.run(figures.side, 1)["seconds"]
            if time.perf_counter() - began > self.effort.seconds:
                break

    def _overhead(self, figures: Figures, child: Child) -> Overhead:
        names = [figures.side, f"{figures.side}: bare", f"{figures.side}: ready"]
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for name in names[1:]:
            child.run(name, 1)
        say(f"{figures.work}: {figures.side}: overhead")
        count = int(self.effort.seconds * 4 / figures.seconds)
        for i in range(max(2, min(count, self.effort.pairs))):
            for name in names if i % 2 else names[::-1]:
                seconds[name] += child.run(name, 1)["seconds"]
        return Overhead(figures.work, figures.side, *seconds.values())


def prepared(work: Work) -> Federation:
    """Returns the workload with its data and the weights that all sides begin with."""
    from sides.own_loop import initial_weights

    federation = make(work)
    return replace(federation, start=initial_weights(federation))


def interpreter(work: Work, side: str) -> Optional[Path]:
    """Returns the Python that a side runs in, or None for this one."""
    return flower_environment.python(work.is_cnn) if side == sides.FLOWER else None


@contextlib.contextmanager
def noted(figures: Figures) -> Iterator[None]:
    """Continues with the other sides if one fails."""
    try:
        yield
    except (ChildFailed, flower_environment.Unavailable) as error:
        figures.missing = str(error)
        say(f"{figures.side} failed: {error}")


def compare(sides_of_work: Sequence[Figures], start: Weights, folder: Path) -> None:
    """Compares each side's weights with the first side's, after a round that both have done."""

    def weights(figures: Figures, number: int) -> list[np.ndarray]:
        with np.load(weights_file(folder, figures.side, number)) as held:
            return [held[name] for name in held.files]

    for figures in sides_of_work[1:]:
        first = sides_of_work[0]
        figures.compared = min(1 + len(first.rounds), 1 + len(figures.rounds), first.work.compared)
        ours, theirs = (weights(f, figures.compared) for f in (figures, first))
        figures.differs = furthest(ours, theirs) / furthest(theirs, start)


def furthest(some: Weights, others: Weights) -> float:
    """Returns the largest difference between two sets of weights."""
    return float(max(np.abs(a - b).max() for a, b in zip(some, others)))


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
