"""What check, describe and calibrate know of a project: its files, functions and conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_federated.__main__ import main
from pytest_federated.data.splits.partition import splits
from scenario_texts import GOOD

CONFTEST = """\
import numpy as np
import pytest_federated

@pytest_federated.split("by_turns_of_mine")
def by_turns_of_mine(pool, rng):
    return np.arange(len(pool.labels)) % pool.clients
"""


@pytest.fixture(autouse=True)
def project(in_tmp_path: Path) -> Path:
    (in_tmp_path / "pytest.ini").touch()
    (in_tmp_path / "scenarios").mkdir()
    return in_tmp_path


def write(text: str, **files: str) -> None:
    Path("scenarios/f.yaml").write_text(text)
    for name, content in files.items():
        Path(f"scenarios/{name}.py").write_text(content)


OWN_MODEL = GOOD.replace("model: mlp", 'model: {keras: "own_nets:build"}')
OWN_TABLE = GOOD.replace("{dataset: digits}", "{dataset: {csv: table.csv, label: y}}")


@pytest.mark.parametrize(
    "text, files, message",
    [
        (OWN_MODEL, {}, "there is no module 'own_nets', beside the scenario or among the packages"),
        (
            OWN_MODEL,
            {"own_nets": "def biuld(): ..."},
            "has no function 'build'; allowed: biuld",
        ),
        (OWN_MODEL, {"own_nets": "def build(:"}, "own_nets.py cannot be imported: invalid syntax"),
        (
            OWN_MODEL.replace("own_nets", "own_nets.deep"),
            {"own_nets": ""},
            "no module 'own_nets.deep'",
        ),
        (OWN_TABLE, {}, "f.yaml:1: there is no file 'table.csv'"),
        (
            OWN_TABLE.replace("{csv: table.csv, label: y}", "{keras: mnist.npz}"),
            {},
            "there is no file 'mnist.npz'",
        ),
        (
            GOOD.replace("mlp", '{kind: mlp, initial_weights: "w-{seed}.npz"}') + "seeds: [0, 4]\n",
            {},
            "there is no file 'w-4.npz'",
        ),
        (
            GOOD.replace(
                "count: 4", "count: 4, sampling: {kind: trace, trace: t.csv}, per_round: 2"
            ),
            {},
            "there is no file 't.csv'",
        ),
    ],
)
def test_check_names_what_does_not_exist(
    text: str, files: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(text, **files)
    assert main(["check", "scenarios"]) == 1
    error = capsys.readouterr().err
    assert message in error.replace("\n", " ")
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "module",
    [
        "def build(): ...",
        "class build: ...",
        "from somewhere import build",
        "from somewhere import other as build",
        "from somewhere import *",
        "if True:\n    build = None",
        "for name in ('build',):\n    globals()[name] = None",
        "def __getattr__(name): ...",
    ],
)
def test_check_finds_a_function_however_it_is_defined(module: str) -> None:
    write(OWN_MODEL, own_nets=f"import tensorflow_of_nobody\n{module}\n")
    assert main(["check", "scenarios"]) == 0


def test_check_takes_no_name_of_a_data_set_for_a_file() -> None:
    write(GOOD.replace("{dataset: digits}", "{dataset: {keras: mnist}}"))
    assert main(["check", "scenarios"]) == 0


def test_check_reads_and_imports_nothing() -> None:
    text = OWN_TABLE.replace("model: mlp", 'model: {keras: "own_nets:f"}')
    write(text, own_nets="raise SystemExit('imported')\ndef f(): ...")
    Path("scenarios/table.csv").write_text("not,a table")
    assert main(["check", "scenarios"]) == 0


@pytest.mark.parametrize("command", ["check", "describe"])
def test_what_a_conftest_registers_is_known(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "_entries", splits.entries())  # restores them afterwards
    Path("conftest.py").write_text(CONFTEST)
    write(GOOD.replace("count: 4", "count: 4, split: by_turns_of_mine"))
    assert main([command, "scenarios/f.yaml"]) == 0
    assert not capsys.readouterr().err
