"""The folder of compiled computations: what is damaged, foreign or too much, and several users."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Callable

import pytest
from pytest_federated.tff import compiled
from pytest_federated.tff.compiled import CompiledComputations

KEY, OTHER = "1" * 64, "2" * 64
DATA = bytes(range(256)) * 4


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def of_another_key(file: Path) -> None:
    CompiledComputations(file.parent, "").add(OTHER, DATA)
    file.write_bytes((file.parent / file.name.replace(KEY, OTHER)).read_bytes())


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "one bit": lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\xfe"),
    "empty": lambda file: file.write_bytes(b""),
    "other text": lambda file: file.write_bytes(b"\n\n"),
    "with more": lambda file: file.write_bytes(file.read_bytes() + b"1"),
    "of another key": of_another_key,
    "removed": lambda file: file.unlink(),
    "a folder": as_folder,
    "a link to itself": lambda file: (file.unlink(), file.symlink_to(file.name)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_not_read(tmp_path: Path, name: str) -> None:
    kept = CompiledComputations(tmp_path, "")
    assert kept.read(KEY) is None
    kept.add(KEY, DATA)
    assert kept.read(KEY) == DATA
    DAMAGES[name](the_file(tmp_path))
    assert kept.read(KEY) is None
    kept.add(KEY, DATA)
    assert kept.read(KEY) == (DATA if name != "a folder" else None)


@pytest.mark.filterwarnings("error")
def test_a_folder_that_cannot_be_written_to_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = CompiledComputations(tmp_path / "file" / "computations", "")
    kept.add(KEY, DATA)
    assert kept.read(KEY) is None


def test_a_folder_that_can_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    CompiledComputations(tmp_path, "").add(KEY, DATA)
    monkeypatch.setattr(compiled, "write_bytes", refused)
    monkeypatch.setattr(os, "utime", refused)
    kept = CompiledComputations(tmp_path, "")
    assert kept.read(KEY) == DATA
    kept.add(OTHER, DATA)
    assert kept.read(OTHER) is None


@pytest.mark.filterwarnings("error")
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiled, "write_bytes", full)
    CompiledComputations(tmp_path, "").add(KEY, DATA)
    assert not list(tmp_path.iterdir())


def test_those_used_last_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_ALL", 10 * len(DATA))
    kept = CompiledComputations(tmp_path, "")
    keys = [f"{i:064}" for i in range(9)]
    for age, key in enumerate(keys):
        kept.add(key, DATA)
        file = next(file for file in tmp_path.iterdir() if key in file.name)
        os.utime(file, (1_000 + age, 1_000 + age))
    assert kept.read(keys[0]) == DATA  # used now
    CompiledComputations(tmp_path, "").add(KEY, DATA)
    assert len(list(tmp_path.iterdir())) == 4
    assert {k for k in (*keys, KEY) if kept.read(k)} == {keys[0], KEY, *keys[-2:]}


def test_what_is_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_LARGEST", len(DATA) - 1)
    CompiledComputations(tmp_path, "").add(KEY, DATA)
    assert not list(tmp_path.iterdir())


def add_and_read(folder: Path) -> set[bool]:
    """Adds and reads the same key many times; whether it was read right each time."""
    kept = CompiledComputations(folder, "")
    seen = set[bool]()
    for i in range(100):
        kept.add(KEY, DATA + bytes([i % 2]))  # always written anew
        seen.add((kept.read(KEY) or b"")[:-1] == DATA)
    return seen


def test_several_processes_share_a_folder(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(add_and_read, [tmp_path] * 2)) == [{True}, {True}]
    assert stat.S_ISREG(the_file(tmp_path).stat().st_mode)
