"""Trains one federation with pytest-federated, in NumPy and with Flower, and writes a page on it.

Run: ``uv run python benchmarks/cross_check.py``; it needs Fashion-MNIST, uv and a package registry.
Every side gets the same data, split, initial weights, cohorts and order of examples, as files. The
scenario is cross_check.yaml, the figures are kept in cross/figures.json, and the page is
docs/cross-check.md with its picture. ``--page`` only writes the page again, and ``--resume``
goes on after an interruption; ``--rounds`` and ``--seeds`` are for a quick look, which prints the
page and writes nothing.
"""

from __future__ import annotations

import os

if __name__ == "__main__":  # before NumPy is imported
    os.environ.update(OPENBLAS_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional

import flower_environment
import numpy as np
import pytest_federated
from cross import numpy_side
from cross.federation import Federation, Judged
from cross.figures import FLOWER, NUMPY, OURS, SIDES, STEPWISE, Curve, Curves, kept, read_kept
from cross.page import page, picture
from pytest_federated import FederatedError, Scenario
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import federate
from pytest_federated.tff.context import shutdown
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.observer import Progress

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
SCENARIO, FIGURES = HERE / "cross_check.yaml", HERE / "cross" / "figures.json"


def handed_over(scenario: Scenario, seed: int, cache: Cache) -> Federation:
    """Returns what the other sides need to train as pytest-federated does with this seed."""
    data = federate(scenario.data, scenario.clients, seed, cache)
    training, size = scenario.training, scenario.clients.cohort_size(len(data.clients))
    trainer = trainer_for(scenario.model, training, data, size)
    cohorts = np.array(
        [
            np.sort(
                generator(seed, Stream.COHORT, number).choice(
                    len(data.clients), size, replace=False
                )
            )
            for number in range(1, training.rounds + 1)
        ]
    )
    orders = [
        [
            generator(seed, Stream.BATCHES, number, int(client)).permutation(data.clients[client])
            for client in cohort
        ]
        for number, cohort in enumerate(cohorts, 1)
    ]
    batch_size = training.local_work.batch_size
    assert isinstance(batch_size, int), "the other sides know no shares of a client's examples"
    return Federation(
        x=_flat(data.train.x),
        y=data.train.y,
        test_x=_flat(data.test.x),
        test_y=data.test.y,
        start=[np.asarray(w) for w in trainer.initial_weights(seed).trainable],
        cohorts=cohorts,
        orders=orders,
        local_epochs=training.local_epochs,
        batch_size=batch_size,
        rate=training.client_optimizer.model_dump()["learning_rate"],
    )


def _flat(x: Any) -> np.ndarray:
    values = np.asarray(x, np.float32)
    return values.reshape(len(values), -1)


class Beside(pytest_federated.Observer):
    """Lets NumPy do each round, too, from the weights that pytest-federated had before it."""

    def __init__(self, federation: Federation) -> None:
        self._federation, self._server = federation, federation.start
        self.curve: list[Judged] = []

    def after_round(self, progress: Progress) -> bool:
        given = self._federation
        theirs = numpy_side.after_round(self._server, given.orders[len(self.curve)], given)
        self.curve.append(numpy_side.judge(theirs, given.test_x, given.test_y))
        trained = progress.state.global_model_weights.trainable
        self._server = [np.asarray(w) for w in trained]
        return False


def with_ours(scenario: Scenario, federation: Federation, seed: int) -> tuple[Curve, Curve]:
    """Returns pytest-federated's curve of a seed, and that of NumPy beside it."""
    beside = Beside(federation)
    alone = scenario.model_copy(update={"seeds": (seed,)})
    (history,) = pytest_federated.run(alone, observers=[beside]).histories
    ours = [Judged(done.accuracy or 0.0, done.loss or 0.0) for done in history.rounds]
    return ours, beside.curve


def with_numpy(federation: Federation) -> Curve:
    """Returns NumPy's curve."""
    return list(numpy_side.train(federation))


def with_flower(federation: Federation, folder: Path) -> Curve:
    """Returns Flower's curve; it reads the federation from the folder.

    Raises:
        FederatedError: it cannot be installed, or did not run to its end.

    """
    federation.write(folder)
    try:
        python = flower_environment.python(with_tensorflow=True)
    except flower_environment.Unavailable as error:
        raise FederatedError(f"Flower's environment: {error}") from None
    done = subprocess.run(
        [str(python), "-m", "cross.flower_side", str(folder)],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
    )
    written = folder / "flower.json"
    if done.returncode or not written.exists():
        last = (done.stderr.strip().splitlines() or ["it wrote no figures"])[-1]
        raise FederatedError(f"Flower ended with code {done.returncode}: {last}")
    return [Judged(*judged) for judged in json.loads(written.read_text())]


def curves(scenario: Scenario, keep: Callable[[Curves], None], made: Curves) -> Curves:
    """Trains on all sides; returns their curves by side and seed.

    Args:
        scenario: what to train.
        keep: is called after each training with all curves so far.
        made: curves of an earlier call, which are not made again.

    Raises:
        FederatedError: a side cannot run.

    """
    done: dict[str, dict[int, Curve]] = {name: {**made.get(name, {})} for name in SIDES}

    def add(names: Sequence[str], seed: int, side: Callable[[], Sequence[Curve]]) -> None:
        if all(seed in done[name] for name in names):
            return
        began = time.perf_counter()
        for name, curve in zip(names, side()):
            done[name][seed] = curve
        seconds = time.perf_counter() - began
        print(f"  seed {seed}, {names[0]}: {seconds:.0f} s", file=sys.stderr, flush=True)
        keep(done)

    for seed in scenario.seeds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            given = handed_over(scenario, seed, Cache(folder))
            add([OURS, STEPWISE], seed, partial(with_ours, scenario, given, seed))
            add([NUMPY], seed, lambda given=given: [with_numpy(given)])
            add([FLOWER], seed, lambda given=given, to=folder: [with_flower(given, to)])
    return done


def write(made: Curves) -> None:
    """Writes the page and its picture."""
    (DOCS / "cross-check.md").write_text(page(made), encoding="utf-8")
    (DOCS / "cross-check.svg").write_text(picture(made).svg(), encoding="utf-8")


def main(arguments: Optional[list[str]] = None) -> int:
    """Returns 1 if a side cannot run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--page", action="store_true", help="only write the page again")
    parser.add_argument("--resume", action="store_true", help="go on with the figures so far")
    parser.add_argument("--rounds", type=int, help="a quick look with so many rounds")
    parser.add_argument("--seeds", type=int, nargs="+", help="a quick look with these seeds")
    options = parser.parse_args(arguments)
    if options.page:
        write(read_kept(FIGURES.read_text()))
        return 0
    (case,) = pytest_federated.load_file(SCENARIO)
    settings = case.scenario.model_dump(mode="json")
    settings["training"]["rounds"] = options.rounds or settings["training"]["rounds"]
    settings["seeds"] = options.seeds or settings["seeds"]
    is_quick = bool(options.rounds or options.seeds)
    before = read_kept(FIGURES.read_text()) if options.resume and FIGURES.exists() else {}

    def keep(made: Curves) -> None:
        if not is_quick:
            FIGURES.write_text(kept(made))

    try:
        made = curves(Scenario.model_validate(settings), keep, before)
    except FederatedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutdown()
    made = read_kept(kept(made))
    if is_quick:
        print(page(made))
    else:
        write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
