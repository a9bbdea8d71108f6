"""Data files never run code: whatever could is refused, in every format that scenarios read."""

from __future__ import annotations

import ast
import pickle
import re
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from example_data import dataset, save
from numpy.testing._private import utils as numpy_tests
from own_files import IMAGES, draw, refusal
from paths import ROOT
from pytest_federated.core.errors import ModelError
from pytest_federated.data.datasets.files import keras_archive
from pytest_federated.running.store import Store
from pytest_federated.training.models.initial_weights import load_arrays
from source_trees import tree_of

pytestmark = pytest.mark.usefixtures("in_tmp_path")

RAN = Path("ran")  # what the code in the files below would write


class Opens:
    """Unpickles as a call that creates the file `ran`."""

    def __reduce__(self) -> Any:
        return open, ("ran", "w")


class Executes:
    """Does the same with functions of NumPy only."""

    def __reduce__(self) -> Any:
        return numpy_tests.runstring, ("open('ran', 'w')", {})


PICKLES = {
    "built in": pickle.dumps(Opens()),
    "of NumPy": pickle.dumps(Executes()),
    # A NumPy module, and the attribute path from it to a function of another module.
    "through NumPy": b"\x80\x04\x8c\x11numpy.compat.py3k\x8c\x07os.open\x93\x8c\x03ranK\x41\x86R.",
    "in a list": pickle.dumps({b"data": [Opens()], b"labels": [1]}),
}


@pytest.mark.parametrize("pickled", PICKLES.values(), ids=PICKLES.keys())
def test_these_pickles_run_code(pickled: bytes) -> None:
    """Without this, the tests below would show nothing."""
    pickle.loads(pickled)
    assert RAN.exists()


def is_refused(function: Callable[..., Any], *arguments: Any, **chosen: Any) -> None:
    refusal(function, *arguments, **chosen)
    assert not RAN.exists()


@pytest.mark.parametrize("where", ["x", "y"])
def test_arrays_of_objects_are_refused(where: str) -> None:
    arrays: dict[str, Any] = {"x": np.zeros((2, 2)), "y": np.zeros(2, int)}
    arrays[where] = np.array([Opens(), Opens()], object)
    save("a.npz", **arrays)
    is_refused(dataset, npz="a.npz")
    save(
        "b.npz", **{f"{name}_{part}": a for name, a in arrays.items() for part in ("train", "test")}
    )
    is_refused(dataset, keras="b.npz")
    with pytest.raises(ModelError, match=r"is not an \.npz archive"):
        load_arrays("a.npz", [("x", (2, 2)), ("y", (2,))])
    assert not RAN.exists()


@pytest.mark.parametrize("pickled", PICKLES.values(), ids=PICKLES.keys())
def test_a_pickle_named_like_an_archive_is_refused(pickled: bytes) -> None:
    Path("a.npz").write_bytes(pickled)
    is_refused(dataset, npz="a.npz")


@pytest.mark.parametrize("pickled", PICKLES.values(), ids=PICKLES.keys())
def test_cifar_batches_with_code_are_refused(
    pickled: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    folder = Path(".keras/datasets/cifar-10-batches-py")
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(pickled)
    is_refused(dataset, keras="cifar10")


def test_images_that_start_a_program_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow opens PostScript with Ghostscript, whatever the file is called."""
    (program := Path("gs")).write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{Path.cwd()}:/usr/bin:/bin")
    draw("a/one/1.png", IMAGES[0])
    Path("a/one/2.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 5\n%%EndComments\n"
    )
    is_refused(dataset, image_folder="a")


def _with_extension(table: Any) -> Any:
    """Returns the table with a first column that declares its type in a pickle."""
    import pyarrow as pa

    notes = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": PICKLES["built in"],
    }
    first = table.schema.field(0).with_metadata(notes)
    return table.cast(pa.schema([first, *list(table.schema)[1:]]))


def test_pickled_arrow_types_are_not_loaded() -> None:
    """PyArrow before 14.0.1 loads them (CVE-2023-47248)."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = _with_extension(pa.table({"x": [1.0, 2.0], "label": [0, 1]}))
    pyarrow.parquet.write_table(table, "a.parquet")
    Path("saved").mkdir()
    with pa.OSFile("saved/data.arrow", "wb") as file, pa.ipc.new_stream(file, table.schema) as out:
        out.write_table(table)
    Path("saved/state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    Path("saved/dataset_info.json").write_text("{}")
    of_files: tuple[dict[str, Any], ...] = (
        {"parquet": "a.parquet", "label": "label"},
        {"huggingface": "saved", "features": "x"},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for chosen in of_files:
            read = dataset(**chosen).load(None)
            np.testing.assert_array_equal(read.train.y, [0, 1])
    assert not RAN.exists()
    bounds = re.findall(r'"pyarrow>=([^,]+),', (ROOT / "pyproject.toml").read_text())
    assert set(bounds) == {"14.0.1"}


@pytest.mark.parametrize("pickled", PICKLES.values(), ids=PICKLES.keys())
def test_a_cache_of_trainings_with_code_is_not_read(pickled: bytes) -> None:
    store = Store(Path("cache"))
    store._file("0" * 64).parent.mkdir()
    store._file("0" * 64).write_bytes(pickled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert store.read("0" * 64) is None
    assert not RAN.exists()


def test_yaml_tags_are_refused(problems: Callable[..., list[str]]) -> None:
    said = problems("schema: 1\nname: !!python/object/apply:builtins.open [ran, w]\n")
    assert said[0].startswith("f.yaml:2: name: got the tag !!python/object/apply:builtins.open")
    assert not RAN.exists()


# What turns data into code, and the only files that may use it.
LOADERS = {
    "eval": (),
    "exec": ("user/spaces.py",),  # the user's modules
    "load_model": (),
    "read_pickle": (),
    "unsafe_load": (),
    "fetch_covtype": ("data/datasets/bundled/tabular.py",),  # of scikit-learn's own cache
}
MODULES = {
    "pickle": ("data/datasets/files/keras_archive.py",),  # lists all that it may load
    **dict.fromkeys(("cloudpickle", "dill", "joblib", "marshal", "shelve", "torch"), ()),
}


def _loader(node: ast.AST) -> Optional[str]:
    """Returns the loader that a piece of code uses, or None."""
    if isinstance(node, ast.Import):
        return next((a.name for a in node.names if a.name in MODULES), None)
    if isinstance(node, ast.ImportFrom):
        return node.module if node.module in MODULES else None
    if not isinstance(node, ast.Call):
        return None
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    is_method = isinstance(node.func, ast.Attribute)
    owner = getattr(node.func.value, "id", "") if isinstance(node.func, ast.Attribute) else ""
    if owner in ("np", "numpy") and name == "load":
        values = [k.value for k in node.keywords if k.arg == "allow_pickle"]
        is_safe = any(isinstance(v, ast.Constant) and v.value is False for v in values)
        return None if is_safe else "np.load"
    return name if name in LOADERS and not (is_method and name in ("eval", "exec")) else None


def test_no_other_code_of_ours_loads_code_from_data() -> None:
    package = ROOT / "harness/pytest_federated"
    found = {
        (loader, file.relative_to(package).as_posix())
        for file in package.rglob("*.py")
        for node in ast.walk(tree_of(file))
        if (loader := _loader(node))
    }
    assert found == {(n, f) for n, files in {**LOADERS, **MODULES}.items() for f in files}


def test_pickled_arrays_are_read(tmp_path: Path) -> None:
    """As in Keras's batches, written by either major release of NumPy."""
    batch = {b"data": np.arange(3, dtype=np.uint8), b"n": np.float64(3), b"labels": [1, 2]}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (file := tmp_path / "batch").write_bytes(pickle.dumps(batch, protocol))
        with file.open("rb") as opened:
            read = keras_archive._Unpickler(opened, encoding="bytes").load()
        np.testing.assert_array_equal(read[b"data"], batch[b"data"])
        assert (read[b"n"], read[b"labels"]) == (3, [1, 2])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_keras_layers_that_bring_code_are_not_built(tff: Any, suffix: str) -> None:
    """Only the weights of a saved model are read, so its layers are never built."""
    import tensorflow as tf
    from pytest_federated.training.models.initial_weights import load_keras

    def layer(x: Any) -> Any:
        __import__("pathlib").Path("ran").touch()
        return x

    keras = tf.keras
    dense = keras.layers.Dense(2)
    hostile = keras.Sequential([keras.layers.InputLayer((3,)), dense, keras.layers.Lambda(layer)])
    dense.set_weights([np.full((3, 2), 7.0), np.full(2, 8.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hostile.save(f"a{suffix}")
    RAN.unlink()
    ours = keras.Sequential([keras.layers.InputLayer((3,)), keras.layers.Dense(2)])
    load_keras(f"a{suffix}", ours)
    assert [set(w.flat) for w in ours.get_weights()] == [{7.0}, {8.0}]
    assert not RAN.exists()


def test_pickled_keras_weights_are_refused(tff: Any) -> None:
    """Keras's own `load_model` would load them."""
    import tensorflow as tf
    from pytest_federated.training.models.initial_weights import load_keras

    ours = tf.keras.Sequential([tf.keras.layers.InputLayer((3,)), tf.keras.layers.Dense(2)])
    save("model.weights.npz", **{"__root__": np.array(Opens(), object)})
    with zipfile.ZipFile("a.keras", "w") as archive:
        archive.write("model.weights.npz")
    with pytest.raises(ModelError, match="are not those of this model"):
        load_keras("a.keras", ours)
    assert not RAN.exists()
