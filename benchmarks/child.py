"""A process in which sides run: ``child.py FOLDER``, told by lines of JSON what to do.

``{"side": NAME, "rounds": N}`` on stdin runs N more rounds of a side, which is started with its
first one; the answer on stdout is ``{"seconds": [...], "accuracy": A}``, with the accuracy on the
test set after a side's very first round. The weights after the first rounds, `Work.compared` of
them, are written to the folder. It ends with the end of stdin.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sides import side
from workloads import Federation, Weights, read


def weights_file(folder: Path, name: str, number: int) -> Path:
    """Where a side's weights after a round are kept."""
    return folder / f"{name.replace(' ', '-')}-{number}.npz"


class Player:
    """The sides of this process, each as far as it was played."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._federation = read(folder)
        self._sides: dict[str, Iterator[Weights]] = {}
        self._rounds: dict[str, int] = {}

    def play(self, name: str, count: int) -> dict[str, Any]:
        """Runs rounds of a side, and times each."""
        seconds, reached = [], None
        for _ in range(count):
            began = time.perf_counter()
            if name not in self._sides:
                self._sides[name] = side(name)(self._federation)
            weights = next(self._sides[name])
            seconds.append(time.perf_counter() - began)
            number = self._rounds[name] = self._rounds.get(name, 0) + 1
            if number == 1:
                reached = accuracy(self._federation, weights)
            if number <= self._federation.work.compared:
                np.savez(weights_file(self._folder, name, number), *weights)
        return {"seconds": seconds, "accuracy": reached}


def accuracy(federation: Federation, weights: Weights) -> float:
    """On the test set; the same few lines for all sides."""
    if federation.work.is_cnn:
        from sides.plain_tf import accuracy
    else:
        from sides.numpy_loop import accuracy
    return accuracy(weights, federation.test_x, federation.test_y)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    player = Player(Path(sys.argv[1]))
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = player.play(asked["side"], asked["rounds"])
        except Exception as bad:
            traceback.print_exc()
            answer = {"error": f"{type(bad).__name__}: {str(bad).partition(chr(10))[0]}"}
        print(json.dumps(answer), file=answers, flush=True)
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
    if "pytest_federated.tff.context" in sys.modules:
        sys.modules["pytest_federated.tff.context"].shutdown()
    os._exit(0)  # sides wait in threads of their own


if __name__ == "__main__":
    main()
