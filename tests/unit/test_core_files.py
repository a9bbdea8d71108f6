"""The file writer: a file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_federated.core.files import replacing, write_bytes, write_text


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
