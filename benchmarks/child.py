"""A process in which sides run: ``child.py FOLDER``, controlled by lines of JSON.

``{"side": NAME, "rounds": N}`` on stdin runs N more rounds of a side, and starts it if needed. The
answer on stdout is ``{"seconds": [...], "accuracy": A}``, with the accuracy on the test set after
the side's very first round. The weights after the first `Work.compared` rounds are written to the
folder. The process ends when stdin does.
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
    """Returns the file with a side's weights after a round."""
    return folder / f"{name.replace(' ', '-')}-{number}.npz"


class Player:
    """The sides of this process, each in its current round."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._federation = read(folder)
        self._sides: dict[str, Iterator[Weights]] = {}
        self._rounds: dict[str, int] = {}

    def play(self, name: str, count: int) -> dict[str, Any]:
        """Runs and times rounds of a side."""
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
    """Returns the accuracy on the test set, computed in the same way for all sides."""
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
        request = json.loads(line)
        try:
            answer = player.play(request["side"], request["rounds"])
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
        print(json.dumps(answer), file=answers, flush=True)
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
    if "pytest_federated.tff.context" in sys.modules:
        sys.modules["pytest_federated.tff.context"].shutdown()
    os._exit(0)  # sides wait in their own threads


if __name__ == "__main__":
    main()
