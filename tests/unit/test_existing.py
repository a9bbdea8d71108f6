"""What check, describe and calibrate know of a project: its files, functions and conftest.py."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError
from pytest_federated.data.splits.partition import splits
from pytest_federated.running import pipeline
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


def line_of(word: str) -> int:
    return next(n for n, line in enumerate(OWN_TABLE.splitlines(), start=1) if word in line)


@pytest.mark.parametrize(
    "text, files, message",
    [
        (OWN_MODEL, {}, "there is no module 'own_nets', beside the scenario or among the packages"),
        (
            OWN_MODEL,
            {"own_nets": "def biuld(): ..."},
            "has no function 'build'; allowed: biuld",
        ),
        (
            OWN_MODEL,
            {
                "own_nets": "import tensorflow as tf\nfrom other import wide\n"
                "deep = wide\ndef biuld(x):\n    y = x\nclass Net:\n    def call(self): ..."
            },
            "has no function 'build'; allowed: Net, biuld, deep, wide; did you mean 'biuld'?",
        ),
        (
            OWN_MODEL.replace("own_nets", "own_nets.py"),
            {"own_nets": "def build(): ..."},
            "got 'own_nets.py', a file; give the module's name, 'own_nets'",
        ),
        (OWN_MODEL, {"own_nets": "def build(:"}, "own_nets.py cannot be imported: invalid syntax"),
        (
            OWN_MODEL.replace("own_nets", "own_nets.deep"),
            {"own_nets": ""},
            "no module 'own_nets.deep'",
        ),
        (OWN_TABLE, {}, f"f.yaml:{line_of('table.csv')}: data.dataset.csv: there is no file"),
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


def test_check_imports_nothing_and_reads_headers_only() -> None:
    text = OWN_TABLE.replace("model: mlp", 'model: {keras: "own_nets:f"}')
    write(text, own_nets="raise SystemExit('imported')\ndef f(): ...")
    Path("scenarios/table.csv").write_text('x,y\n"a row that no table has')
    assert main(["check", "scenarios"]) == 0


TABLE = "age,ward,nurse,died\n1,a,x,0\n"


def own_data(keys: str) -> str:
    return GOOD.replace("{dataset: digits}", f"\n  dataset:\n    {keys}")


@pytest.mark.parametrize(
    "keys, message",
    [
        ("csv: a.csv\n    label: dead", "label: {csv} has no column 'dead' (data.dataset.label)"),
        ("csv: a.csv\n    label: dieed", "did you mean 'died'?"),
        ("csv: a.csv\n    label: died\n    client: wards", "client: {csv} has no column 'wards'"),
        ("csv: a.csv\n    label: died\n    features: [agee]", "did you mean 'age'?"),
        ("csv: a.csv\n    label: died\n    exclude: [nurs]", "did you mean 'nurse'?"),
        ("csv: a.csv\n    label: died\n    categories: [w]", "categories: {csv} has no column"),
        (
            "csv: a.csv\n    label: died\n    features: [age]\n    categories: [ward]",
            "'ward' is under categories, not under features",
        ),
        (
            "csv: a.csv\n    label: died\n    features: [age, died]",
            "'died' is both under features and the label or the client",
        ),
        ("csv: a.csv\n    label: died\n    separator: ;", "separator is what separates columns"),
        ("csv: a.csv\n    label: died\n    encoding: utf-99", "unknown encoding: utf-99"),
        ("csv: a.csv\n    label: died\n    test: b.csv", "test: {folder}b.csv has no column 'age'"),
        ("csv: latin\n    label: died", "data.dataset.encoding names another encoding"),
        ("csv: empty\n    label: died", "{folder}empty cannot be read as a table: it is empty"),
        ("csv: folder\n    label: died", "'folder' is a folder; a file is needed"),
        ("parquet: a.parquet\n    label: dieed", "did you mean 'died'?"),
        ("parquet: a.csv\n    label: died", "; such a file is read by the data set 'csv'"),
        ("csv: a.parquet\n    label: died", "; such a file is read by the data set 'parquet'"),
        ("csv: a.npz\n    label: died", "; such a file is read by the data set 'npz'"),
        ("npz: folder", "f.yaml:5: data.dataset.npz: 'folder' is a folder; a file is needed"),
        (
            "npz: a.npz\n    x: labels\n    y: labels",
            "x: {folder}a.npz: both data.dataset.x and y name 'labels': the labels themselves",
        ),
        (
            "npz: a.npz\n    x: x\n    y: labels",
            "x: {folder}a.npz has no array 'x' (data.dataset.x); allowed: images, labels",
        ),
        ("npz: a.npz\n    x: images\n    y: label", "did you mean 'labels'?"),
        (
            "npz: a.csv",
            "cannot be read as an .npz archive of NumPy: it is none; such a file is read by the "
            "data set 'csv'",
        ),
        ("keras: k.npz", "keras: {folder}k.npz has no array 'y_test'"),
        ("image_folder: folder", "there are no images in it"),
        (
            "image_manifest: a.csv\n    path: file\n    label: died",
            "path: {csv} has no column 'file' (data.dataset.path)",
        ),
        (
            "image_manifest: a.csv\n    path: ward\n    label: died\n    split: nursse",
            "did you mean 'nurse'?",
        ),
        ("leaf: folder", "there are no .json files in it, as LEAF writes them"),
        ("huggingface: folder", "was not written by save_to_disk"),
    ],
)
def test_check_names_columns_that_do_not_exist(
    keys: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the line of the key, and without reading a row."""
    Path("scenarios/a.csv").write_text(TABLE)
    Path("scenarios/b.csv").write_text("aged,ward,nurse,died\n1,a,x,0\n")
    Path("scenarios/folder").mkdir()
    Path("scenarios/empty").write_text("\n\n")
    Path("scenarios/latin").write_bytes("größe,died\n".encode("latin-1"))
    np.savez("scenarios/a.npz", images=np.zeros((2, 2)), labels=np.zeros(2))
    np.savez("scenarios/k.npz", x_train=[0], y_train=[0], x_test=[0])
    pd.read_csv("scenarios/a.csv").to_parquet("scenarios/a.parquet")
    write(own_data(keys))
    assert main(["check", "scenarios"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    folder = f"{Path.cwd().resolve()}/scenarios/"
    assert message.format(csv=f"{folder}a.csv", folder=folder) in line
    written = Path("scenarios/f.yaml").read_text().splitlines()
    number = int(line.partition(".yaml:")[2].partition(":")[0])
    key = line.partition(f":{number}: ")[2].partition(":")[0].rpartition(".")[2]
    assert written[number - 1].strip().startswith(f"{key}:")


@pytest.mark.parametrize(
    "keys",
    [
        "csv: a.csv\n    label: died\n    client: ward\n    exclude: [nurse]",
        "csv: a.csv\n    label: died\n    columns: [a, b, c, died]",
        'csv: index.csv\n    label: died\n    exclude: ["Unnamed: 0"]',
        "parquet: a.parquet\n    label: died\n    client: ward",
        "npz: a.npz\n    x: images\n    y: labels",
        "npz: a.npz\n    x: images\n    y: labels\n    test: a.npz",
    ],
)
def test_check_accepts_columns_that_exist(keys: str) -> None:
    """Of however broken rows: only the header is read."""
    Path("scenarios/index.csv").write_text(",age,died\n0,1,0\n")
    Path("scenarios/a.csv").write_text(TABLE + "1,2\n")
    np.savez("scenarios/a.npz", images=np.zeros((2, 2)), labels=np.zeros(3))
    pd.read_csv("scenarios/a.csv", nrows=1).to_parquet("scenarios/a.parquet")
    write(own_data(keys))
    assert main(["check", "scenarios"]) == 0


def test_check_names_every_column_that_does_not_exist_in_each_variant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("scenarios/a.csv").write_text(TABLE)
    keys = "csv: a.csv\n    label: nothing\n    exclude: [x, nurse, y]"
    write(own_data(keys) + "matrix:\n  data.dataset.client: [ward, wards]\n  seeds: [[0], [1]]\n")
    assert main(["check", "scenarios"]) == 1
    lines = capsys.readouterr().err.splitlines()
    keys_of = [line.split(": ")[1].rpartition(".")[2] for line in lines]
    assert sorted(keys_of) == ["client", "exclude", "exclude", "label"]


def test_a_column_of_a_defaults_file_has_the_line_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("scenarios/a.csv").write_text(TABLE)
    Path("scenarios/defaults.yaml").write_text("# ours\ndata:\n  dataset: {csv: a.csv, label: z}\n")
    write(GOOD.replace("data: {dataset: digits}\n", ""))
    assert main(["check", "scenarios"]) == 1
    assert "defaults.yaml:3: data.dataset.label: " in capsys.readouterr().err


def test_check_reads_the_header_of_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    sampled = "count: 4, sampling: {kind: trace, trace: t.csv}, per_round: 2"
    write(GOOD.replace("count: 4", sampled))
    Path("scenarios/t.csv").write_text("client,from,to\n")
    assert main(["check", "scenarios"]) == 1
    assert "must be client, first_round, last_round" in capsys.readouterr().err


def test_of_very_many_columns_a_message_lists_some(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scenarios/a.csv").write_text(",".join(f"pixel_{n}" for n in range(5000)) + ",label\n")
    write(own_data("csv: a.csv\n    label: labels"))
    assert main(["check", "scenarios"]) == 1
    error = capsys.readouterr().err
    assert "pixel_19 and 4,981 more; did you mean 'label'?" in error
    assert len(error) < 600


PLUGINS = {
    "conftest.py of the root": {"conftest.py": CONFTEST},
    "conftest.py of the folder": {"scenarios/conftest.py": CONFTEST},
    "pytest_plugins": {
        "conftest.py": 'pytest_plugins = ["my_splits"]\n',
        "my_splits.py": CONFTEST,
    },
    "-p in the ini file": {
        "pytest.ini": "[pytest]\npythonpath = lib\naddopts = -p my_splits\n",
        "lib/my_splits.py": CONFTEST,
    },
}


@pytest.mark.parametrize("command", ["check", "describe", "prune", "calibrate"])
@pytest.mark.parametrize("files", PLUGINS.values(), ids=PLUGINS.keys())
def test_commands_load_what_pytest_loads(
    command: str,
    files: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splits, "_entries", splits.entries())  # restores them afterwards
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path.cwd())])
    monkeypatch.setattr(pipeline, "run", _no_training)
    mine = re.sub(r"\W", "_", Path.cwd().name)  # entries of other folders remain
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text.replace("by_turns_of_mine", mine))
    write(GOOD.replace("count: 4", f"count: 4, split: {mine}"))
    modules = {*sys.modules}
    code = main([command, "scenarios/f.yaml"])
    for name in {*sys.modules} - modules:  # another folder has one of the same name
        if name in ("my_splits", "conftest"):
            del sys.modules[name]
    error = capsys.readouterr().err
    if command == "calibrate":
        assert "it would be trained now" in error
    else:
        assert code == 0, error


def _no_training(*_: object) -> None:
    raise FederatedError("it would be trained now")


def test_modules_in_pythonpath_exist_for_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("pytest.ini").write_text("[pytest]\npythonpath = lib\n")
    Path("lib").mkdir()
    Path("lib/own_nets.py").write_text("def build(shape): ...\n")
    write(OWN_MODEL)
    assert main(["check", "scenarios"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "describe"])
def test_what_a_conftest_registers_is_known(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "_entries", splits.entries())  # restores them afterwards
    Path("conftest.py").write_text(CONFTEST)
    write(GOOD.replace("count: 4", "count: 4, split: by_turns_of_mine"))
    assert main([command, "scenarios/f.yaml"]) == 0
    assert not capsys.readouterr().err
