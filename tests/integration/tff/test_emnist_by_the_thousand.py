"""EMNIST with a thousand writers: every digit in its place, decoded in one pass."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emnist_file import FILE, INDEX, digits, write_emnist, writer_name
from pytest_federated.data.federation import FederatedData
from tff_data import made

WRITERS = 1000
SIZES = {
    "digits_only_train": np.random.default_rng(0).integers(1, 5, WRITERS).tolist(),
    "digits_only_test": np.random.default_rng(1).integers(1, 3, WRITERS).tolist(),
}


def write(folder: Path, index: str = INDEX, mixed: bool = False) -> None:
    write_emnist(folder / FILE, SIZES, index, mixed)


def assert_right(data: FederatedData) -> None:
    """Every writer has the digits that were written, in their order, and so has the test set."""
    tests: list[tuple[np.ndarray, np.ndarray]] = []
    writers = {writer_name(i): i for i in range(WRITERS)}
    for client, name in enumerate(data.names):
        writer = writers[name]
        x, y = digits("digits_only_train", writer, SIZES["digits_only_train"][writer])
        examples = data.examples(client)
        np.testing.assert_array_equal(examples.x[..., 0], x)
        np.testing.assert_array_equal(examples.y, y)
        tests.append(digits("digits_only_test", writer, SIZES["digits_only_test"][writer]))
    np.testing.assert_array_equal(data.test.x[:][..., 0], np.concatenate([x for x, _ in tests]))
    np.testing.assert_array_equal(data.test.y, np.concatenate([y for _, y in tests]))


@pytest.mark.parametrize("mixed", [False, True], ids=["by writer", "mixed"])
@pytest.mark.parametrize("index", ["", INDEX], ids=["no index", "index"])
def test_every_writer_has_the_digits_that_were_written(
    tff: Any, index: str, mixed: bool, tmp_path: Path
) -> None:
    write(tmp_path, index, mixed)
    some = made(tmp_path, "emnist", count=40)
    assert_right(some)
    everyone = made(tmp_path, "emnist")
    assert everyone.names == tuple(writer_name(i) for i in range(WRITERS))
    assert everyone.sizes.tolist() == SIZES["digits_only_train"]
    assert_right(everyone)


def test_the_digits_are_those_that_tff_reads(tff: Any, tmp_path: Path) -> None:
    write(tmp_path, mixed=True)
    data = made(tmp_path, "emnist")
    train, test = tff.simulation.datasets.emnist.load_data(cache_dir=str(tmp_path))
    assert list(data.names) == train.client_ids
    ends = np.cumsum(SIZES["digits_only_test"])
    for client in range(0, WRITERS, 97):
        name = data.names[client]
        of_test = slice(ends[client] - SIZES["digits_only_test"][client], ends[client])
        np.testing.assert_array_equal(data.test_examples(client).y, data.test.take(of_test).y)
        for theirs, ours in ((train, data.examples(client)), (test, data.test_examples(client))):
            rows = list(theirs.create_tf_dataset_for_client(name).as_numpy_iterator())
            np.testing.assert_array_equal(ours.x[..., 0], [row["pixels"] for row in rows])
            np.testing.assert_array_equal(ours.y, [row["label"] for row in rows])


# Two arguments: a cache folder, and whether to die when all is written but the index.
PROCESS = """
import os, signal, sys
from pathlib import Path
from tff_data import made

if sys.argv[2] == "die":
    os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
data = made(Path(sys.argv[1]), "emnist")
print(len(data.train), data.train.x[:].sum(dtype="float64"))
"""


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_and_two_at_once_decode_once(tff: Any, tmp_path: Path) -> None:
    write(tmp_path)

    def start(argument: str) -> subprocess.Popen[str]:
        path = os.pathsep.join(sys.path)
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROCESS), str(tmp_path), argument],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )

    killed = start("die")
    killed.communicate(timeout=150)
    assert killed.returncode == -signal.SIGKILL
    assert [*(tmp_path / "decoded").rglob("x")]
    assert not [*(tmp_path / "decoded").rglob("index.json")]
    outputs = [process.communicate(timeout=150)[0] for process in (start(""), start(""))]
    assert outputs[0] == outputs[1]
    (train,) = (tmp_path / "decoded").rglob("digits_only_train/x")
    assert train.stat().st_size == 28 * 28 * 4 * sum(SIZES["digits_only_train"])
    assert_right(made(tmp_path, "emnist"))
