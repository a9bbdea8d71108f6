"""Fashion-MNIST: small files in the exact format, and the real ones where they are installed."""

from __future__ import annotations

import gzip
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Optional

import numpy as np
import pytest
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.bundled.fashion_mnist import DEBIAN
from pytest_federated.data.datasets.bundled.idx import read_idx
from pytest_federated.data.datasets.dataset import Cache, Dataset, datasets
from pytest_federated.data.federation import federate
from pytest_federated.data.schema import Data
from pytest_federated.user.files import fingerprints, named_files

NAMES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]
TRAIN_X, TRAIN_Y, TEST_X, TEST_Y = NAMES


def idx(values: np.ndarray) -> bytes:
    """Encodes unsigned bytes in the IDX format that the MNIST page describes."""
    header = bytes([0, 0, 8, values.ndim])
    sizes = b"".join(n.to_bytes(4, "big") for n in values.shape)
    return header + sizes + values.astype(np.uint8).tobytes()


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = {"train": 12, "t10k": 5}
    return {
        name: rng.integers(256, size=(sizes[name.split("-")[0]], 28, 28))
        if "images" in name
        else rng.permutation(np.arange(sizes[name.split("-")[0]]) % 10)
        for name in NAMES
    }


@pytest.fixture
def folder(arrays: dict[str, np.ndarray], tmp_path: Path) -> Path:
    place = tmp_path / "files"
    place.mkdir()
    for name, values in arrays.items():
        (place / name).write_bytes(gzip.compress(idx(values)))
    return place


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Debian's package, a cache of Keras, or a network."""
    module = sys.modules["pytest_federated.data.datasets.bundled.fashion_mnist"]
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def no_name(*address: Any, **more: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)


def fashion_mnist(cache: Path, folder: Optional[Path] = None) -> Dataset:
    keys = {} if folder is None else {"folder": str(folder)}
    return datasets["fashion_mnist"].function(Cache(cache), **keys)


def check(found: Dataset, arrays: dict[str, np.ndarray]) -> None:
    loaded = found.load(None)
    assert (found.num_classes, list(found.natural), loaded.natural) == (10, [], None)
    assert loaded.test is not None
    for examples, x, y in [
        (loaded.train, arrays[TRAIN_X], arrays[TRAIN_Y]),
        (loaded.test, arrays[TEST_X], arrays[TEST_Y]),
    ]:
        assert (examples.x.shape, examples.x.dtype) == ((len(x), 28, 28, 1), np.float32)
        taken = examples.take(np.arange(len(x)))
        assert (taken.x.dtype, taken.y.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(taken.x[..., 0], x.astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(taken.y, y)


def test_a_named_folder_is_read(
    folder: Path, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    check(fashion_mnist(tmp_path / "cache", folder), arrays)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "place", ["debian", "home/.keras/datasets/fashion-mnist", "cache/fashion-mnist"]
)
def test_the_places_where_it_is_looked_for(
    place: str, folder: Path, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    folder.rename(tmp_path / place)
    check(fashion_mnist(tmp_path / "cache"), arrays)


def test_a_folder_below_home_is_read(
    folder: Path, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    folder.rename(tmp_path / "home" / "mine")
    check(fashion_mnist(tmp_path / "cache", Path("~/mine")), arrays)


def test_pixels_stay_bytes_until_they_are_read(folder: Path, tmp_path: Path) -> None:
    loaded = fashion_mnist(tmp_path, folder).load(None)
    assert loaded.train.x._rows.dtype == np.uint8
    half = loaded.train.select(np.arange(6))
    assert not isinstance(half.x, np.ndarray)
    assert half.take(np.array([3])).x.dtype == np.float32


def test_its_own_test_set_is_the_shared_one(
    folder: Path, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    made = federate(
        Data.model_validate({"dataset": {"kind": "fashion_mnist", "folder": str(folder)}}),
        Clients.model_validate({"count": 3}),
        0,
        Cache(tmp_path),
    )
    assert sorted(made.sizes) == [4, 4, 4]
    np.testing.assert_array_equal(made.test.y, arrays[TEST_Y])
    own = np.concatenate([made.examples(client).x for client in range(3)])[..., 0]
    assert sorted(x.tobytes() for x in own) == sorted(
        (x.astype(np.float32) / np.float32(255)).tobytes() for x in arrays[TRAIN_X]
    )


# Files that are not what they should be


Break = Callable[[bytes], bytes]  # of the compressed file


def content(change: Break) -> Break:
    """Changes the content of a file and compresses it again."""
    return lambda file: gzip.compress(change(gzip.decompress(file)))


@pytest.mark.parametrize(
    ("name", "break_it", "said"),
    [
        (TRAIN_X, lambda f: f[: len(f) // 2], "cut off; the compressed data ends early"),
        (TEST_Y, lambda f: b"", "0 bytes; the header alone has 8"),
        (TEST_X, lambda f: b"<html>Log in</html>", "damaged, or not a gzip file (Not a gzipped"),
        (TEST_X, lambda f: f[:-8] + b"\0\0\0\0" + f[-4:], "damaged, or not a gzip file (CRC check"),
        (TRAIN_X, lambda f: f[:10] + b"\xff" + f[11:], "damaged, or not a gzip file (Error -3"),
        (
            TRAIN_X,
            content(lambda c: c[:-1]),
            "states 12 x 28 x 28 values, 9408 bytes; 9407 follow",
        ),
        (TRAIN_Y, content(lambda c: c + b"\1\2"), "states 12 values, 12 bytes; 14 follow"),
        (TRAIN_X, content(lambda c: c[:15]), "15 bytes; the header alone has 16"),
        (
            TRAIN_X,
            content(lambda c: c[:2] + b"\x0d" + c[3:]),
            "begins with the magic number 0x00000d03, not 0x00000803",
        ),
        (TRAIN_Y, content(lambda c: c[:-1] + b"\x0a"), "has the label 10; they are 0 to 9"),
        (
            TRAIN_Y,
            lambda f: gzip.compress(idx(np.zeros(11))),
            "11 labels; train-images-idx3-ubyte.gz has 12 images",
        ),
        (
            TEST_X,
            lambda f: gzip.compress(idx(np.zeros((5, 14, 28)))),
            "images of 14 x 28; those of train-images-idx3-ubyte.gz are 28 x 28",
        ),
    ],
)
def test_a_bad_file_is_named(
    name: str, break_it: Break, said: str, folder: Path, tmp_path: Path
) -> None:
    file = folder / name
    file.write_bytes(break_it(file.read_bytes()))
    with pytest.raises(DataError) as error:
        fashion_mnist(tmp_path, folder)
    assert str(error.value).startswith(f"{file}: {said}")
    assert "\n" not in str(error.value)


def test_images_in_place_of_labels_are_noticed(folder: Path, tmp_path: Path) -> None:
    (folder / TRAIN_Y).write_bytes((folder / TRAIN_X).read_bytes())
    with pytest.raises(DataError, match="0x00000803, not 0x00000801"):
        fashion_mnist(tmp_path, folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_a_named_folder_lacks_is_named(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError) as error:
        fashion_mnist(tmp_path, folder)
    assert str(error.value) == f"data.dataset.folder: there is no {name} in {folder}"


def test_a_named_folder_that_does_not_exist_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.dataset\.folder: there is no folder .*'files'\?"):
        fashion_mnist(tmp_path, folder.with_name("filse"))


def test_the_folder_is_part_of_what_a_training_depends_on(folder: Path) -> None:
    chosen = {"dataset": {"kind": "fashion_mnist", "folder": str(folder)}}
    before = fingerprints(named_files(Data.model_validate(chosen)), 0)
    (folder / TEST_Y).write_bytes(b"")
    after = fingerprints(named_files(Data.model_validate(chosen)), 0)
    assert set(before) == set(after) == {str(folder)}
    assert before != after


# The download


@dataclass
class Site:
    """A web site that serves the files, or what `instead` holds under a file's name.

    Attributes:
        asked: the requested paths.
    """

    folder: Path
    instead: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.rpartition("/")[2]
        self.asked.append(handler.path)
        content = self.instead.get(name, (self.folder / name).read_bytes())
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) or 1))  # empty: the rest is lost
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture
def site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A local copy of the authors' site, with the checksums of its files."""
    served = Site(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    monkeypatch.undo()  # host names resolve again
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        module = sys.modules["pytest_federated.data.datasets.bundled.fashion_mnist"]
        monkeypatch.setattr(module, "DEBIAN", folder.parent / "debian")
        monkeypatch.setenv("HOME", str(folder.parent / "home"))
        monkeypatch.setattr(module, "_ADDRESS", f"http://127.0.0.1:{server.server_port}/data/")
        sums = {name: md5((folder / name).read_bytes()).hexdigest() for name in NAMES}
        monkeypatch.setattr(module, "_MD5", sums)
        yield served
        server.shutdown()


def test_it_is_downloaded_once(site: Site, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    cache = tmp_path / "not" / "there"
    check(fashion_mnist(cache), arrays)
    assert site.asked == ["/data/" + name for name in NAMES]
    check(fashion_mnist(cache), arrays)
    assert len(site.asked) == 4
    assert sorted(p.name for p in (cache / "fashion-mnist").iterdir()) == sorted(NAMES)
    assert [p.name for p in cache.iterdir()] == ["fashion-mnist"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>Log in</html>", f"{TEST_X}: not the published file, as its MD5 says"),
        (gzip.compress(idx(np.zeros((5, 28, 28)))), f"{TEST_X}: not the published file"),
        (b"", ""),
    ],
    ids=["a page to log in", "other images", "cut off"],  # gzip's bytes hold the time
)
def test_a_download_that_goes_wrong_leaves_nothing(
    answer: bytes, said: str, site: Site, tmp_path: Path
) -> None:
    site.instead[TEST_X] = answer
    with pytest.raises(DataUnavailable) as error:
        fashion_mnist(tmp_path / "cache")
    assert f"could not be downloaded ({said}" in str(error.value)
    assert "\n" not in str(error.value) and "0x" not in str(error.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_checksums_are_those_of_the_files_that_the_authors_publish() -> None:
    """As in the README of github.com/zalandoresearch/fashion-mnist."""
    module = sys.modules["pytest_federated.data.datasets.bundled.fashion_mnist"]
    assert list(module._MD5) == NAMES
    assert all(re.fullmatch("[0-9a-f]{32}", md5_sum) for md5_sum in module._MD5.values())


def test_offline_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable) as error:
        fashion_mnist(tmp_path / "cache")
    assert str(error.value) == (
        "fashion_mnist is not on this machine and could not be downloaded ([Errno -2] Name or "
        "service not known); apt-get install dataset-fashion-mnist, or name a folder with its "
        "four .gz files: {kind: fashion_mnist, folder: DIR}"
    )


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataUnavailable, match=r"cannot be cached \(.+\); choose") as error:
        fashion_mnist(tmp_path / "file" / "cache")
    reason = error.value.reason
    assert reason == "fashion_mnist cannot be cached; choose a folder with --fed-data-cache"


# The real files


@pytest.fixture(scope="module")
def real() -> Dataset:
    if not DEBIAN.is_dir():
        said = f"apt-get install dataset-fashion-mnist; {DEBIAN} is not there"
        if os.environ.get("FASHION_MNIST_IS_INSTALLED"):
            pytest.fail(said)
        pytest.skip(said)
    return datasets["fashion_mnist"].function(Cache(Path("unused")), folder=str(DEBIAN))


@pytest.mark.slow
def test_the_real_files_have_their_labels_and_gray_levels(real: Dataset) -> None:
    loaded = real.load(None)
    assert loaded.test is not None
    for examples, each in [(loaded.train, 6000), (loaded.test, 1000)]:
        assert examples.x.shape == (10 * each, 28, 28, 1)
        assert np.bincount(examples.y).tolist() == [each] * 10
    # The first ten labels and the mean gray level, as the authors and many tutorials give them.
    assert loaded.train.y[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert loaded.test.y[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    x = loaded.train.x[:]
    assert (x.min(), x.max()) == (0, 1)
    assert x.mean(dtype=np.float64) == pytest.approx(0.2860, abs=5e-5)
    assert x.std(dtype=np.float64) == pytest.approx(0.3530, abs=5e-5)


def test_real_pictures_show_what_their_labels_say(real: Dataset) -> None:
    """Trousers are tall, sneakers are flat, and bags are wider than trousers."""
    loaded = real.load(None)
    mean = [loaded.train.take(loaded.train.y == label).x.mean(axis=(0, 3)) for label in range(10)]

    def width(picture: np.ndarray) -> int:
        return int((picture.max(axis=0) > 0.2).sum())

    def height(picture: np.ndarray) -> int:
        return int((picture.max(axis=1) > 0.2).sum())

    trouser, sneaker, bag = mean[1], mean[7], mean[8]
    assert height(trouser) > 1.5 * width(trouser)
    assert width(sneaker) > 1.5 * height(sneaker)
    assert width(bag) > width(trouser) + 5


def test_real_files_are_read_as_other_readers_read_them(real: Dataset) -> None:
    """As by Keras's own reader: labels from byte 8 on, images from byte 16 on."""
    with gzip.open(DEBIAN / TEST_X) as images:
        expected = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    np.testing.assert_array_equal(read_idx(DEBIAN / TEST_X, 3), expected)
