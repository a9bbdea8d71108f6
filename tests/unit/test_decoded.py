"""What is decoded once: appended to files, whole or not at all, and never used when damaged."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.datasets.tff.decoded import Batch, Decoded, folder_for

SIZES = {"ann": 700, "bob": 0, "cy": 3, "dan": 1100}
ROW = 256  # values: there are several blocks with a checksum, and the last one is not full


def rows_of(client: str, size: int) -> Examples:
    rng = np.random.default_rng(sum(client.encode()))
    return Examples(rng.random((size, ROW), np.float32), rng.integers(9, size=size))


class Source:
    """Clients whose rows come mixed; remembers who was asked for."""

    def __init__(self, fail_after: float = np.inf) -> None:
        self.asked: list[list[str]] = []
        self.fail_after = fail_after

    def decode(self, clients: Sequence[str]) -> Iterator[Batch]:
        self.asked.append(list(clients))
        every = [rows_of(name, SIZES[name]) for name in clients]
        begun = 0
        for first in range(0, max(SIZES.values()), 100):
            for client, examples in enumerate(every):
                part = examples.take(slice(first, first + 100))
                if begun >= self.fail_after:
                    raise RuntimeError("stopped")
                begun += 1
                yield Batch(np.full(len(part), client), part)


def assert_right(read: tuple[Examples, np.ndarray], clients: Sequence[str]) -> None:
    examples, sizes = read
    assert sizes.tolist() == [SIZES[name] for name in clients]
    every = [rows_of(name, SIZES[name]) for name in clients]
    np.testing.assert_array_equal(examples.x[:], np.concatenate([e.x for e in every]))
    np.testing.assert_array_equal(examples.y, np.concatenate([e.y for e in every]))
    assert examples.y.dtype == np.int32


@pytest.mark.parametrize(
    "asked",
    [
        [["ann", "bob", "cy", "dan"]],
        [["dan", "ann"]],
        [["cy"], ["ann", "cy", "dan"], ["bob", "dan", "cy"]],
        [["cy", "bob"], ["bob", "ann"]],
    ],
)
def test_clients_are_decoded_once_and_keep_their_order(
    asked: list[list[str]], tmp_path: Path
) -> None:
    source = Source()
    for clients in asked:
        assert_right(Decoded(tmp_path, source.decode).examples(clients), clients)
    every = [name for clients in source.asked for name in clients if SIZES[name]]
    assert sorted(every) == sorted({c for clients in asked for c in clients if SIZES[c]})
    for clients in asked:  # also after others have been appended
        assert_right(Decoded(tmp_path, source.decode).examples(clients), clients)


def test_clients_without_examples_give_none(tmp_path: Path) -> None:
    examples, sizes = Decoded(tmp_path, Source().decode).examples(["bob"])
    assert (len(examples), sizes.tolist()) == (0, [0])
    assert_right(Decoded(tmp_path, Source().decode).examples(["bob", "cy"]), ["bob", "cy"])


def test_what_was_read_before_stays_readable_while_others_are_appended(tmp_path: Path) -> None:
    source = Source()
    before = Decoded(tmp_path, source.decode).examples(["ann"])
    Decoded(tmp_path, source.decode).examples(["ann", "dan"])
    assert_right(before, ["ann"])


def test_no_file_is_opened_to_read_rows(tmp_path: Path) -> None:
    read = Decoded(tmp_path, Source().decode).examples([*SIZES])
    shutil.rmtree(tmp_path)
    assert_right(read, [*SIZES])


def test_rows_are_read_at_positions_in_any_order(tmp_path: Path) -> None:
    examples, _ = Decoded(tmp_path, Source().decode).examples(["cy", "dan"])
    dan = rows_of("dan", SIZES["dan"])
    np.testing.assert_array_equal(examples.x[np.array([4, 3, 4])], dan.x[[1, 0, 1]])
    np.testing.assert_array_equal(examples.x[3:1103:7], dan.x[::7])


@pytest.mark.parametrize("held", [[], ["cy"], ["ann"]])
@pytest.mark.parametrize("fail_after", [0, 1, 9, 20])
def test_what_was_decoded_until_an_error_does_not_count(
    held: list[str], fail_after: int, tmp_path: Path
) -> None:
    if held:
        Decoded(tmp_path, Source().decode).examples(held)
    with pytest.raises(RuntimeError, match="stopped"):
        Decoded(tmp_path, Source(fail_after).decode).examples(["ann", "dan", "cy"])
    if held:
        assert_right(Decoded(tmp_path, Source(0).decode).examples(held), held)
    assert_right(Decoded(tmp_path, Source().decode).examples(["dan", "cy"]), ["dan", "cy"])
    assert_right(Decoded(tmp_path, Source().decode).examples([*SIZES]), [*SIZES])


# A process for each argument after the folder: the number of batches after which it is killed.
KILLED = """
import os, signal, sys
from pathlib import Path
from test_decoded import Decoded, Source

def decode(clients):
    for i, batch in enumerate(Source().decode(clients)):
        yield batch
        if i == batches:
            os.kill(os.getpid(), signal.SIGKILL)

for batches in map(int, sys.argv[2:]):
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    else:
        Decoded(Path(sys.argv[1], str(batches)), decode).examples(["ann", "dan"])
        os._exit(0)
"""


def test_a_killed_process_leaves_nothing_that_counts(tmp_path: Path) -> None:
    folders = [tmp_path / str(batches) for batches in (1, 5, 20)]
    for folder in folders:
        Decoded(folder, Source().decode).examples(["cy"])
    subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), *(folder.name for folder in folders)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        check=True,
    )
    for folder in folders:
        source = Source()
        assert_right(Decoded(folder, source.decode).examples(["dan", "cy"]), ["dan", "cy"])
        assert source.asked == [["dan"]]
        assert (folder / "x").stat().st_size == 4 * ROW * (SIZES["cy"] + SIZES["dan"])


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may have more than a megabyte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing_that_counts(tmp_path: Path, small_disk: None) -> None:
    source = Source()
    with pytest.raises(OSError, match="File too large"):
        Decoded(tmp_path, source.decode).examples(["dan"])
    assert not any((tmp_path / name).stat().st_size for name in ("x", "y", "client"))
    assert_right(Decoded(tmp_path, source.decode).examples(["cy", "ann"]), ["cy", "ann"])


def test_of_several_at_once_one_decodes(tmp_path: Path) -> None:
    source = Source()
    reads: list[tuple[Examples, np.ndarray]] = []
    threads = [
        threading.Thread(
            target=lambda: reads.append(Decoded(tmp_path, source.decode).examples(["dan", "ann"]))
        )
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.asked == [["dan", "ann"]]
    assert len(reads) == 5
    for read in reads:
        assert_right(read, ["dan", "ann"])


def cut_off(data: bytes) -> bytes:
    return data[:-1]


def emptied(data: bytes) -> bytes:
    return b""


def flipped(data: bytes) -> bytes:
    return bytes([*data[:50], data[50] ^ 4, *data[51:]])


@pytest.mark.parametrize("damage", [cut_off, emptied, flipped])
@pytest.mark.parametrize("name", ["index.json", "x", "y", "client"])
def test_damaged_files_are_made_anew(
    name: str, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    Decoded(tmp_path, Source().decode).examples([*SIZES])
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    source = Source()
    if (name, damage) == ("x", flipped):  # which is noticed by whoever first reads that row
        examples, _ = Decoded(tmp_path, source.decode).examples([*SIZES])
        with pytest.raises(DataError, match="x was damaged after it was decoded; it was removed"):
            examples.x[:]
    assert_right(Decoded(tmp_path, source.decode).examples([*SIZES]), [*SIZES])
    assert source.asked == [[*SIZES]]


@pytest.mark.parametrize("name", ["x", "y", "client"])
def test_nothing_is_appended_to_files_that_were_cut_off(name: str, tmp_path: Path) -> None:
    Decoded(tmp_path, Source().decode).examples(["ann"])
    (tmp_path / name).write_bytes(cut_off((tmp_path / name).read_bytes()))
    assert_right(Decoded(tmp_path, Source().decode).examples(["dan", "ann"]), ["dan", "ann"])


@pytest.mark.parametrize("name", ["index.json", "x", "y", "client"])
def test_missing_files_are_made_anew(name: str, tmp_path: Path) -> None:
    Decoded(tmp_path, Source().decode).examples([*SIZES])
    (tmp_path / name).unlink()
    assert_right(Decoded(tmp_path, Source().decode).examples([*SIZES]), [*SIZES])


def test_examples_of_other_shapes_are_refused(tmp_path: Path) -> None:
    def decode(clients: Sequence[str]) -> Iterator[Batch]:
        for values in (2, 3):
            yield Batch(np.array([0]), Examples(np.zeros((1, values)), np.zeros(1, np.int64)))

    with pytest.raises(ValueError, match="examples of float64"):
        Decoded(tmp_path, decode).examples(["ann"])


def test_what_was_decoded_from_an_older_file_is_removed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("old")
    old = folder_for(source, tmp_path, "set")
    Decoded(old, Source().decode).examples(["cy"])
    assert folder_for(source, tmp_path, "set") == old
    source.write_text("newer")
    assert folder_for(source, tmp_path, "set") != old
    assert not old.exists()
