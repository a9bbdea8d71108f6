"""Files that are written whole or not at all, and read only where that comes to an end."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO

# How the names end of what is being written; nobody else's files have such names.
_PARTIAL = ".federated~"
_ABANDONED = 24 * 3600  # seconds without a change, after which nobody is writing it any more
_swept: set[Path] = set()


class UnfitFileError(OSError):
    """What has the name of a file is a folder, a pipe or a device, or is too large to be read."""


def read_bytes(path: Path, most: int) -> bytes:
    """Reads a file of at most `most` bytes.

    Raises:
        UnfitFileError: it is no regular file, of which reading might never end, or larger.
        OSError: it cannot be read for another reason.

    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        what = "not a regular file"
        if stat.S_ISDIR(status.st_mode):
            list(path.iterdir())  # raises if it may not be read
            what = "a folder"
        raise UnfitFileError(errno.EINVAL, f"it is {what}", str(path))
    data = b""
    if status.st_size <= most:
        with path.open("rb") as file:
            data = file.read(most + 1)
    if max(status.st_size, len(data)) > most:
        message = f"it is too large; allowed: at most {most:,} bytes"
        raise UnfitFileError(errno.EFBIG, message, str(path))
    return data


def sealed(key: str, data: bytes) -> bytes:
    """Returns what a file under a key is to hold: a line with a hash of both, and the data."""
    return hashlib.sha256(key.encode() + b"\n" + data).hexdigest().encode() + b"\n" + data


def unsealed(key: str, held: bytes) -> bytes:
    """Returns the data that was `sealed` under a key.

    Raises:
        ValueError: the file is damaged, or that of another key.
    """
    data = held.partition(b"\n")[2]
    if held != sealed(key, data):
        raise ValueError("damaged, or of another key")
    return data


def holds(path: Path, data: bytes) -> bool:
    """Returns whether there is a file with these bytes, and it may be read."""
    try:
        return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
    except PermissionError:
        return False


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file, as `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, making its folder; an unchanged file is left alone."""
    if holds(path, data):
        return
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Generator[IO[bytes], None, None]:
    """Yields a binary file that replaces `path` once the block ends without an error.

    Makes the folder. Readers see the old file or the new one, never a part of it; several processes
    may do so at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    handle, name = tempfile.mkstemp(_PARTIAL, f".{path.name}.", path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def staging_folder(folder: Path, name: str) -> Path:
    """Makes a temporary folder in `folder`, which is made if needed; whoever asks removes it.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    return Path(tempfile.mkdtemp(_PARTIAL, f"{name}-", folder))


def _sweep(folder: Path) -> None:
    """Removes what processes that were killed left in a folder; once in the life of this one."""
    if folder in _swept:
        return
    _swept.add(folder)
    oldest = time.time() - _ABANDONED
    with contextlib.suppress(OSError):  # of another user, or removed by another process
        for path in [path for path in folder.iterdir() if path.name.endswith(_PARTIAL)]:
            if max(file.lstat().st_mtime for file in (path, *path.rglob("*"))) >= oldest:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Generator[None, None, None]:
    """Lets one process, and one thread, at a time into the block; the others wait.

    Makes the file and its folder. Nobody waits where they cannot be written to.
    """
    import fcntl  # here, as Windows has none and reads this module all the same

    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            held.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
