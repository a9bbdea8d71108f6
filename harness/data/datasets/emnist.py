"""Federated EMNIST, through TFF's own loader."""

from __future__ import annotations

import shutil
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from harness.data.datasets.base import Cache, Dataset, Examples, Loaded, datasets
from harness.errors import DataError, DataUnavailable
from harness.runtime.imports import import_tff

if TYPE_CHECKING:
    import tensorflow_federated as tff

_FILE = "emnist_all.sqlite"
_URL = f"https://storage.googleapis.com/tff-datasets-public/{_FILE}.lzma"  # TFF reads it from there


@datasets("emnist", has_test_set=True)
def emnist(cache: Cache, *, only_digits: bool = True) -> Dataset:
    """Federated EMNIST of TFF: 3,383 writers of digits, or 3,400 of 62 characters; 28x28.

    `x` is (28, 28, 1) float32; here 1.0 is the paper and 0.0 the ink, as TFF gives it. The
    writers are the natural clients. The test set holds the test examples of the writers that
    take part. Downloaded once (170 MB) into the cache folder; only the writers that take part
    are read from it.

    Source: S. Caldas et al., LEAF: A Benchmark for Federated Settings, arXiv:1812.01097;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/emnist

    Raises:
        DataUnavailable: not in the cache, and it cannot be downloaded.
        DataError: the cached file is not what TFF wrote.

    """
    _fetch(cache.folder)
    tff = import_tff()
    try:
        train, test = tff.simulation.datasets.emnist.load_data(only_digits, str(cache.folder))
    except Exception as bad:
        raise _broken(cache) from bad

    def load(chosen: Optional[Sequence[str]]) -> Loaded:
        writers = train.client_ids if chosen is None else chosen
        try:
            per_writer = [_read(train, w) for w in writers]
            held_out = [_read(test, w) for w in writers]
        except Exception as bad:
            raise _broken(cache) from bad
        sizes = [len(e) for e in per_writer]
        return Loaded(
            _concatenate(per_writer),
            np.repeat(np.arange(len(sizes)), sizes),
            _concatenate(held_out),
        )

    return Dataset("emnist", 10 if only_digits else 62, train.client_ids, load)


def _fetch(folder: Path) -> None:
    """Has TFF download into `folder` unless the file is there; an aborted download leaves none."""
    if (folder / _FILE).is_file():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = tempfile.mkdtemp(prefix="emnist-", dir=folder)
    except OSError as bad:
        raise DataUnavailable(
            f"emnist cannot be cached ({bad.strerror}); choose a folder with --fed-data-cache"
        ) from bad
    try:
        # Importing TFF only to learn that there is no network would cost each session seconds.
        urllib.request.urlopen(urllib.request.Request(_URL, method="HEAD"), timeout=30).close()
        import_tff().simulation.datasets.emnist.load_data(cache_dir=staging)
        if not _is_whole(Path(staging) / _FILE):
            raise OSError("the download was cut off")
        (Path(staging) / _FILE).replace(folder / _FILE)
    except Exception as bad:  # TFF opens what it got: LZMAError, sqlite3.DatabaseError, URLError...
        raise DataUnavailable(
            "emnist is not in the data cache and could not be downloaded "
            f"({getattr(bad, 'reason', bad)}); run once while online, or put {_FILE} into the "
            "folder that --fed-data-cache names"
        ) from bad
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_whole(file: Path) -> bool:
    """Whether an SQLite file has the length that its header states.

    TFF notices no download that ends early, and SQLite only when it reads what is missing.
    Source: https://www.sqlite.org/fileformat.html, section 1.3 (page size, in-header size).
    """
    with file.open("rb") as opened:
        header = opened.read(100)
    page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    return file.stat().st_size >= (65536 if page == 1 else page) * max(pages, 1) > 0


def _broken(cache: Cache) -> DataError:
    return DataError(
        f"{cache.folder / _FILE} is not the EMNIST file of TFF (incomplete?); delete it to have it "
        "fetched again"
    )


def _read(data: tff.simulation.datasets.ClientData, writer: str) -> Examples:
    """All examples of one writer."""
    rows = list(data.create_tf_dataset_for_client(writer).batch(4096).as_numpy_iterator())
    x = np.concatenate([r["pixels"] for r in rows])[..., np.newaxis]
    return Examples(x, np.concatenate([r["label"] for r in rows]))


def _concatenate(parts: Sequence[Examples]) -> Examples:
    return Examples(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))
