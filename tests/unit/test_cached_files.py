"""A training's key depends on the content of its data set's cached files."""

from __future__ import annotations

import importlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_federated.data.datasets import external as files
from pytest_federated.data.datasets.dataset import Cache, Examples, datasets, in_memory
from pytest_federated.running.fingerprint import ingredients, training_key
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.running.store import Store
from pytest_federated.scenario.schema import Scenario
from pytest_federated.user import files as user_files


def scenario(dataset: Any) -> Scenario:
    return Scenario.model_validate({
        **{"name": "a", "data": {"dataset": dataset}, "clients": {"count": 2}},
        **{"model": {"kind": "mlp", "hidden": [2]}, "training": {"rounds": 1}},
    })  # fmt: skip


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


KEPT = [
    ({"kind": "emnist"}, "cache/emnist_all.sqlite"),
    ({"kind": "cifar100"}, "cache/cifar100.sqlite"),
    ({"kind": "celeba"}, "cache/celeba.sqlite"),
    ({"kind": "shakespeare"}, "cache/shakespeare.sqlite"),
    ({"kind": "stackoverflow"}, "cache/stackoverflow.sqlite"),
    ({"kind": "stackoverflow"}, "cache/datasets/stackoverflow.tag_count"),
    ({"kind": "gldv2", "variant": "160k"}, "cache/gld160k/train/7"),
    ({"kind": "inaturalist", "clients": "geo_1k"}, "cache/GEO_1K/test.tfRecord"),
    ({"kind": "fashion_mnist"}, "cache/fashion-mnist/train-labels-idx1-ubyte.gz"),
    ({"keras": "mnist"}, ".keras/datasets/mnist.npz"),
    ({"keras": "cifar10"}, ".keras/datasets/cifar-10-batches-py/test_batch"),
    ({"kind": "covtype"}, "scikit/covertype/samples_py3"),
]


@pytest.mark.parametrize(("dataset", "file"), KEPT)
def test_the_key_of_a_training_depends_on_the_cached_file(
    dataset: Any, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "scikit"))
    module = importlib.import_module("pytest_federated.data.datasets.bundled.fashion_mnist")
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "debian")

    def key() -> str:
        return training_key(scenario(dataset), 0, cache=tmp_path / "cache")

    missing = key()
    write(tmp_path / file, "one")
    first = key()
    os.utime(tmp_path / file, (1, 1))
    assert key() == first  # its date does not matter
    write(tmp_path / file, "another")
    second = key()
    assert len({missing, first, second}) == 3
    write(tmp_path / file, "one")
    assert key() == first
    other = ingredients(scenario(dataset), 0, cache=tmp_path / "elsewhere")["cached files"]
    assert (len(other) > 0) and (file.startswith("cache") == (other[0] == ""))


def test_data_sets_in_packages_have_no_cached_files() -> None:
    for kind in ("digits", "mnist_5k", "wine", "breast_cancer"):
        assert ingredients(scenario(kind), 0)["cached files"] == []
    (roles,) = ingredients(scenario("shakespeare_roles"), 0)["cached files"]
    assert len(roles) == 64


def test_a_large_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LARGE", 3)
    read: list[Path] = []

    def file_hash(file: Path) -> str:
        read.append(file)
        return file.read_text()

    monkeypatch.setattr(user_files, "file_hash", file_hash)
    chosen, cache = scenario("cifar100").data.dataset, Cache(tmp_path)
    file = tmp_path / "cifar100.sqlite"
    write(file, "large")
    assert [files.fingerprints(chosen, cache) for _ in range(3)] == [["large"]] * 3
    assert read == [file]
    write(file, "larger")
    assert [files.fingerprints(chosen, cache) for _ in range(2)] == [["larger"]] * 2
    assert read == [file, file]
    write(tmp_path / "hashes.json", "cut o")
    assert files.fingerprints(chosen, cache) == ["larger"]
    monkeypatch.setattr(files, "write_text", lambda *given: (_ for _ in ()).throw(OSError()))
    write(file, "the largest")
    assert files.fingerprints(chosen, cache) == ["the largest"]  # where nothing can be written


def test_a_result_is_reused_until_the_file_changes(
    worker: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "_entries", datasets.entries())
    fetched: list[Path] = []

    @datasets("of_sqlite", reads=files.in_cache("a.sqlite"))
    def of_sqlite(cache: Cache) -> Any:
        file = cache.folder / "a.sqlite"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with sqlite3.connect(file) as made:
                made.execute("CREATE TABLE t (v)")
            fetched.append(file)
        with sqlite3.connect(file) as opened:
            (rows,) = opened.execute("SELECT count(*) FROM t").fetchone()
        y = np.arange(20, dtype=np.int32) % 2
        return in_memory("of_sqlite", Examples(np.full((20, 2), rows, np.float32), y), 2)

    def reused() -> int:
        options = Options(cache=tmp_path / "cache", store=Store(tmp_path / "kept"))
        return run(scenario("of_sqlite"), options).reused

    assert [reused(), reused()] == [0, 1]  # also after the run that fetched it
    with sqlite3.connect(fetched[0]) as changed:
        changed.execute("INSERT INTO t VALUES (1)")
    assert [reused(), reused()] == [0, 1]
    assert len(fetched) == 1
