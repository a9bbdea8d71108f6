"""Fixtures that unit tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Union

import numpy as np
import pytest
from own_files import COLORED, draw
from pytest_federated.core.errors import ScenarioError
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.files import load_all
from pytest_federated.scenario.loader import load_file


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., list[Case]]:
    """A function that reads the text of a scenario file, beside which may be other files."""

    def read(text: str, **files: str) -> list[Case]:
        (tmp_path / "pytest.ini").touch()  # no defaults from further up
        for name, content in {**files, "f": text}.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        return load_file(tmp_path / "f.yaml", tmp_path)

    return read


@pytest.fixture
def problems(tmp_path: Path) -> Callable[..., list[str]]:
    """A function that reads scenario files and returns the problems reported, one a line."""

    def read(text: Union[str, bytes] = "", **files: str) -> list[str]:
        (tmp_path / "pytest.ini").touch()  # no defaults from further up
        if text:
            files["f"] = ""
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        if text:
            content = text if isinstance(text, bytes) else text.encode()
            (tmp_path / "f.yaml").write_bytes(content)
        try:
            load_all([tmp_path], tmp_path)
        except ScenarioError as error:
            said = str(error)
            assert str(tmp_path) not in said
            for word in ("pydantic", "Traceback", "http", "Error", "ruamel", "Commented"):
                assert word not in said
            assert len(said.splitlines()) == len(error.problems)
            return said.splitlines()
        return []

    return read


@pytest.fixture
def leaves() -> dict[str, np.ndarray]:
    """Images by file; the folders are named after clients and labels."""
    names = ["ann/oak/1", "ann/oak/2", "ann/elm/1", "bob/oak/1", "bob/elm/1", "bob/elm/2"]
    files = {f"leaves/{name}.png": image for name, image in zip(names, COLORED)}
    for file, image in files.items():
        draw(file, image)
    Path("leaves/ann/oak/notes.txt").write_text("not an image")
    Path("leaves/.hidden.png").write_text("nor is this")
    return files
