"""Downloads into the cache folder by other packages' loaders, complete or not at all."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import urllib.request
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Callable

from pytest_federated.core import files
from pytest_federated.core.errors import DataUnavailable
from pytest_federated.core.progress import is_on_stderr, tracked


def download(
    name: str, cache: Path, url: str, make: Callable[[Path], Iterable[Path]], otherwise: str
) -> None:
    """Has a loader download into a temporary folder of the cache, and moves the results from there.

    Args:
        name: the name of the data set.
        cache: the cache folder, which is created if needed.
        url: one of the URLs that the loader reads. It is requested first, as importing TFF only
            to learn that there is no network would cost every session seconds.
        make: downloads into a folder that is removed afterwards; returns the files and folders in
            it that are to be kept in `cache`, under their names.
        otherwise: what a user can do without a network.

    Raises:
        DataUnavailable: it cannot be downloaded, or cannot be written.

    """
    staging = staging_folder(name, cache)
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=30).close()
        with _watched(f"downloading {name}, MB", staging):
            made = make(staging)
        for path in made:
            path.replace(cache / path.name)
    except Exception as error:  # LZMAError, DatabaseError, URLError and others
        here = f"{reason(error)}; the cache: {cache}"
        raise DataUnavailable(
            f"{name} is not in the data cache and could not be downloaded ({here}); {otherwise}",
            here=here,
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def _watched(title: str, folder: Path) -> Generator[None, None, None]:
    """Shows how large a folder has become, while a loader fills it.

    On stderr nothing is shown, as loaders have bars of their own there, which pytest captures.
    """
    if is_on_stderr():
        yield
        return
    is_over = threading.Event()

    def watch() -> None:
        size, pause = 0, 0.5
        while not is_over.wait(pause):
            began = time.monotonic()
            with contextlib.suppress(OSError):  # a file that is gone meanwhile
                files = [path.stat().st_size for path in folder.rglob("*")]
                grown = sum(files) // 1_000_000 - size
                size += grown
                advance(grown)
            pause = max(pause, 20 * (time.monotonic() - began))

    with tracked(title, 0) as advance:
        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def staging_folder(name: str, cache: Path) -> Path:
    """Creates a temporary folder in the cache folder, which is created if needed.

    Raises:
        DataUnavailable: nothing can be written there.

    """
    try:
        return files.staging_folder(cache, name)
    except OSError as error:
        here = f"{error.strerror}; the cache: {cache}"
        raise DataUnavailable(
            f"{name} cannot be cached ({here}); choose a folder with --fed-data-cache", here=here
        ) from error


def reason(error: BaseException) -> str:
    """Returns why a download failed, in a few words: the error of the operating system, if any.

    Download libraries wrap it in messages of many lines with addresses in memory.
    """
    innermost, seen = error, {id(error)}
    while True:
        inner = [innermost.__cause__, innermost.__context__]
        inner += [getattr(innermost, "reason", None), *innermost.args]
        below = next((e for e in inner if isinstance(e, BaseException) and id(e) not in seen), None)
        if below is None:
            break
        seen.add(id(below))
        innermost = below
    return str(innermost if isinstance(innermost, OSError) and innermost.errno else error)
