"""The file writer: a file is written whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest_federated.core.files import replacing, staging_folder, write_bytes, write_text


def test_a_file_appears_with_its_folder_and_usual_permissions(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "ä\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "ä\n".encode()
    (tmp_path / "plain").touch()
    assert (tmp_path / "a" / "b.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert [f.name for f in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_an_unchanged_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_bytes(file, b"1")
    os.utime(file, (1, 1))
    write_bytes(file, b"1")
    assert file.stat().st_mtime == 1
    write_bytes(file, b"2")
    assert file.stat().st_mtime != 1


def test_an_error_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_bytes(file, b"earlier")
    with pytest.raises(KeyboardInterrupt), replacing(file) as out:
        out.write(b"half of")
        raise KeyboardInterrupt
    assert file.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [file]


KILLED = """
import os, signal
from pathlib import Path
from pytest_federated.core.files import replacing, staging_folder
(staging_folder(Path("cache"), "emnist") / "half.bin").write_bytes(b"half of")
with replacing(Path("cache/a.training")) as out:
    out.write(b"half of")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while_writing(folder: Path) -> list[Path]:
    """Returns what a process leaves in the folder `cache` that is killed while it writes."""
    ended = subprocess.run([sys.executable, "-c", KILLED], cwd=folder, check=False)
    assert ended.returncode == -signal.SIGKILL
    return sorted((folder / "cache").iterdir())


def age(*paths: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    for path in paths:
        for file in (path, *path.rglob("*")):
            os.utime(file, (then, then))


def test_what_killed_processes_left_is_removed_a_day_later(tmp_path: Path) -> None:
    left = kill_while_writing(tmp_path)
    assert [path.is_dir() for path in left] == [False, True]
    cache, own = tmp_path / "cache", tmp_path / "cache/.a.training.abcdefgh"
    own.touch()
    age(own, *left, hours=25)
    write_bytes(cache / "b.training", b"whole")
    assert sorted(cache.iterdir()) == [own, cache / "b.training"]


def test_what_may_still_be_written_is_left(tmp_path: Path) -> None:
    left = kill_while_writing(tmp_path)
    file, folder = left
    age(*left, hours=25)
    age(file, hours=23)
    os.utime(folder / "half.bin")  # a download that takes long
    made = staging_folder(tmp_path / "cache", "other")
    assert sorted((tmp_path / "cache").iterdir()) == sorted([*left, made])


def test_a_folder_is_swept_once_by_each_process(tmp_path: Path) -> None:
    write_bytes(tmp_path / "cache/b.training", b"whole")
    left = kill_while_writing(tmp_path)
    age(*left, hours=25)
    write_bytes(tmp_path / "cache/c.training", b"whole")
    assert set(left) < set((tmp_path / "cache").iterdir())
