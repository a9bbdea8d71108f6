"""Each scenario takes code and data from its own folder, and is trained again if they change."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest
from processes import pytest_run
from pytest_federated.__main__ import main
from pytest_federated.data.splits.partition import splits
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.training.history import TrainingHistory
from pytest_federated.user.reading import read_from

SCENARIO = """\
schema: 1
name: NAME
data: {dataset: {csv: d.csv, label: y}, test_fraction: 0.2}
clients: {count: 2, split: mine}
model: {keras: "mm:f"}
training: {rounds: 1, client_optimizer: {tff: "parts:optimizer"}}
"""
MODEL = """\
import tensorflow as tf

def f(input_shape, num_classes):
    import helper
    return tf.keras.Sequential([
        tf.keras.layers.Flatten(input_shape=input_shape),
        tf.keras.layers.Dense(helper.WIDTH),
        tf.keras.layers.Dense(num_classes),
    ])
"""
PARTS = """\
import tensorflow_federated as tff

def optimizer():
    import helper
    print("rate of", helper.WIDTH)
    return tff.learning.optimizers.build_sgdm(helper.WIDTH / 1000)
"""
SPLIT = """\
import numpy as np
import pytest_federated

@pytest_federated.split("mine")
def mine(pool, rng):
    return np.where(np.arange(len(pool.labels)) < NUMBER, 0, 1)
"""
TEST = """\
def test_NAME(federated):
    result = federated({
        "name": "NAME-of-a-test", "clients": {"count": 2, "split": "mine"},
        "data": {"dataset": {"csv": "d.csv", "label": "y"}, "test_fraction": 0.2},
        "model": {"keras": "mm:f"}, "training": {"rounds": 1},
    })
    assert result.histories[0].parameters == 5 * NUMBER + 2
"""
WIDTHS = {"aa": 8, "bb": 24}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def two_folders(root: Path) -> Path:
    """Writes two folders in which all files except the scenarios have the same names."""
    write(root / "pytest.ini", "[pytest]\n")
    for name, width in WIDTHS.items():
        folder = root / "scenarios" / name
        write(folder / "mm.py", MODEL)
        write(folder / "parts.py", PARTS)
        for file, text in {
            "helper.py": "WIDTH = NUMBER\n",
            "conftest.py": SPLIT,
            f"{name}.yaml": SCENARIO,
            f"test_{name}.py": TEST,
        }.items():
            write(folder / file, text.replace("NAME", name).replace("NUMBER", str(width)))
        rows = "".join(f"{i % 7},{width},{i % 2}\n" for i in range(10 * width))
        write(folder / "d.csv", f"a,b,y\n{rows}")
    return root


@pytest.mark.usefixtures("tff_programs")
@pytest.mark.parametrize(
    "arguments",
    [
        ("scenarios/aa", "scenarios/bb"),
        pytest.param(
            ("--import-mode=importlib", "scenarios/bb", "scenarios/aa"), marks=pytest.mark.slow
        ),
        pytest.param(("-n1",), marks=pytest.mark.slow),
    ],
)
def test_two_folders_may_have_files_of_the_same_names(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    root = two_folders(tmp_path)
    output = pytest_run(root, "--fed-report=r", "-s", *arguments)
    assert "4 passed" in output
    for name, width in WIDTHS.items():
        assert f"rate of {width}" in output or "-n1" in arguments
        record = json.loads((root / "r" / "records" / f"{name}.json").read_text())
        history = TrainingHistory.model_validate(record["histories"][0])
        assert history.parameters == 5 * width + 2
        assert [sum(counts) for counts in history.label_counts] == [width, 7 * width]


REGISTERS = """\
import numpy as np
import pytest_federated
import near

@pytest_federated.split("mine")
def mine(pool, rng):
    from late import clients
    return near.turns(pool, clients(pool))
"""
STALE = """\
schema: 1
name: tiny
data: {dataset: wine}
clients: {count: 4, split: mine}
model: {kind: mlp, hidden: [4]}
training: {rounds: 1}
"""


@pytest.mark.usefixtures("tff_programs")
@pytest.mark.parametrize("mode", ["prepend", pytest.param("importlib", marks=pytest.mark.slow)])
def test_a_change_in_registered_code_trains_again(tmp_path: Path, mode: str) -> None:
    """Even if another conftest.py is nearer: pytest calls both `conftest`."""
    files = {
        "conftest.py": REGISTERS,
        "near.py": "import numpy as np\n\ndef turns(pool, n):\n"
        "    return np.arange(len(pool.labels)) % n\n",
        "late.py": "def clients(pool):\n    return pool.clients\n",
        "scenarios/conftest.py": "",
    }
    # With importlib pytest adds nothing to sys.path.
    write(tmp_path / "pytest.ini", f"[pytest]\naddopts = --import-mode={mode}\npythonpath = .\n")
    write(tmp_path / "scenarios" / "tiny.yaml", STALE)
    for name, text in files.items():
        write(tmp_path / name, text)
    assert "1 passed" in pytest_run(tmp_path)
    assert "1 of 1 trainings unchanged" in pytest_run(tmp_path)
    for name, text in files.items():
        write(tmp_path / name, f"{text}\n# changed\n")
        output = pytest_run(tmp_path)
        assert "1 passed" in output
        is_reused = "1 of 1 trainings unchanged" in output
        assert is_reused == (name == "scenarios/conftest.py"), name
    write(tmp_path / "late.py", "def clients(pool):\n    raise ValueError('no')\n")
    assert "1 failed" in pytest_run(tmp_path, "--tb=no")


@pytest.mark.usefixtures("tff_programs")
def test_registered_code_that_cannot_be_read_always_trains_again(tmp_path: Path) -> None:
    code = REGISTERS[REGISTERS.index("@") :]
    code = code.replace("from late import clients", "").replace(
        "near.turns(pool, clients(pool))", "T"
    )
    code = code.replace("T", "np.arange(len(pool.labels)) % pool.clients")
    write(
        tmp_path / "conftest.py", f"import pytest_federated\nimport numpy as np\nexec({code!r})\n"
    )
    write(tmp_path / "scenarios" / "tiny.yaml", STALE)
    for _ in range(2):
        output = pytest_run(tmp_path)
        assert "1 passed" in output
        assert "unchanged" not in output


def test_describe_reads_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even if both folders are on `sys.path` already."""
    monkeypatch.setattr(splits, "_entries", splits.entries())  # restores them afterwards
    root = two_folders(tmp_path)
    monkeypatch.chdir(root)
    for name in WIDTHS:
        monkeypatch.syspath_prepend(root / "scenarios" / name)
        file = root / "scenarios" / name / f"{name}.yaml"
        file.write_text(file.read_text().replace("mine", "iid").replace("count: 2", "count: 1"))
    path = list(sys.path)
    for name, width in WIDTHS.items():
        assert main(["describe", f"scenarios/{name}/{name}.yaml"]) == 0
        assert str(8 * width) in capsys.readouterr().out
    assert sys.path == path


class Thing(Protocol):
    """The functions that are registered here."""

    def __call__(self, *args: Any, **keys: Any) -> str:
        """Returns the name of a folder."""
        ...


def registering(
    folder: Path, registry: Registry[Any, ..., Any], text: str, file: str = "conftest.py"
) -> Any:
    """Writes and runs a file in that folder, as pytest does."""
    path = write(folder / file, f"@registry('mine')\ndef f(*, {text}): return {folder.name!r}\n")
    exec(compile(path.read_text(), str(path), "exec"), {"registry": registry})


def test_each_folder_has_what_its_own_conftest_registers(tmp_path: Path) -> None:
    registry: Registry[Any, ..., Any] = Registry("thing", Thing, Spec)
    for name in ("", "aa", "bb/deep"):
        key = "abc"[["", "aa", "bb/deep"].index(name)]
        registering(tmp_path / name, registry, f"{key}: int = 0")
    sections = []
    for name, key, owner in (
        ("bb/deep", "c", "deep"),
        ("bb", "a", tmp_path.name),
        ("aa/x/y", "b", "aa"),
        ("cc", "a", tmp_path.name),
    ):
        with read_from(tmp_path / name):
            assert registry["mine"].keywords == (key,)
            sections.append((registry.parse({"kind": "mine", key: 1}), owner))
    for section, owner in sections:  # wherever it is used later
        assert registry.entry(section).call(section) == owner
    assert registry.names() == ["mine"]


def test_a_folder_does_not_see_what_two_others_register(tmp_path: Path) -> None:
    registry: Registry[Any, ..., Any] = Registry("thing", Thing, Spec)
    registering(tmp_path / "aa", registry, "a: int = 0")
    with read_from(tmp_path / "cc"):
        assert registry["mine"].keywords == ("a",)
        registering(tmp_path / "bb", registry, "b: int = 0")
        with pytest.raises(Exception, match=r"aa/conftest\.py and .*bb/conftest\.py each register"):
            registry.parse("mine")


def test_a_name_is_registered_by_one_file_of_a_folder(tmp_path: Path) -> None:
    registry: Registry[Any, ..., Any] = Registry("thing", Thing, Spec)
    for _ in range(2):  # the same file may be imported again
        registering(tmp_path, registry, "a: int = 0")
    with pytest.raises(ValueError, match=r"'mine' is already registered by .*conftest\.py"):
        registering(tmp_path, registry, "a: int = 0", "other.py")
