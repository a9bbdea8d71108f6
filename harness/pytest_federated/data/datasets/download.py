"""Downloads by other packages' loaders: into the cache folder, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

from pytest_federated.core.errors import DataUnavailable


def download(
    name: str, cache: Path, url: str, make: Callable[[Path], Iterable[Path]], otherwise: str
) -> None:
    """Has a loader download into a folder beside the cache's files, and then moves what it made.

    Args:
        name: of the data set.
        cache: the folder of the cache; made where it is not there.
        url: one of those that the loader reads. It is asked for first, as importing TFF only to
            learn that there is no network would cost each session seconds.
        make: downloads into a folder that is removed afterwards; gives the files and folders in
            it that are to be kept in `cache`, under their names.
        otherwise: what a user can do where there is no network.

    Raises:
        DataUnavailable: it cannot be downloaded, or not be written.

    """
    staging = staging_folder(name, cache)
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=30).close()
        for made in make(staging):
            made.replace(cache / made.name)
    except Exception as bad:  # loaders open what they got: LZMAError, DatabaseError, URLError...
        why = str(getattr(bad, "reason", bad))
        raise DataUnavailable(
            f"{name} is not in the data cache and could not be downloaded ({why}); {otherwise}",
            here=why,
        ) from bad
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def staging_folder(name: str, cache: Path) -> Path:
    """A new folder in the cache's, which is made where it is not there.

    Raises:
        DataUnavailable: nothing can be written there.

    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache))
    except OSError as bad:
        raise DataUnavailable(
            f"{name} cannot be cached ({bad.strerror}); choose a folder with --fed-data-cache",
            here=str(bad.strerror),
        ) from bad


def reason(error: BaseException) -> str:
    """Returns why a download failed, in a few words: what the system said, where it said it.

    The libraries that download wrap that into texts of many lines with addresses in memory.
    """
    found, seen = error, {id(error)}
    while True:
        inner = [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]
        below = next((e for e in inner if isinstance(e, BaseException) and id(e) not in seen), None)
        if below is None:
            break
        seen.add(id(below))
        found = below
    return str(found if isinstance(found, OSError) and found.errno else error)
