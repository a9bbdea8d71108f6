"""The file format of MNIST and of the data sets made after it."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from pytest_federated.core.errors import DataError

_UNSIGNED_BYTES = 0x08  # the only type of value that these data sets have


def read_idx(file: Path, dimensions: int) -> np.ndarray:
    """Reads a gzip-compressed IDX file of unsigned bytes, uint8 with `dimensions` dimensions.

    The file has two zero bytes, the type of its values and the number of dimensions, one byte each;
    the size of each dimension as a big-endian int32; then the values, the last dimension running
    fastest.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits ("File formats
    for the MNIST database"), http://yann.lecun.com/exdb/mnist/

    Raises:
        DataError: it is no IDX file, is damaged, or has other sizes than it states.
        FileNotFoundError: there is no such file.

    """
    try:
        with gzip.open(file) as opened:
            content = opened.read()
    except EOFError as error:
        raise DataError(f"{file}: cut off; the compressed data ends early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file}: damaged, or not a gzip file ({error})") from error
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{file}: {len(content)} bytes; the header alone has {header}")
    expected, magic = _UNSIGNED_BYTES << 8 | dimensions, int.from_bytes(content[:4], "big")
    if magic != expected:
        raise DataError(f"{file}: begins with the magic number {magic:#010x}, not {expected:#010x}")
    shape = tuple(int(n) for n in np.frombuffer(content[4:header], ">u4"))
    stated, actual = math.prod(shape), len(content) - header
    if stated != actual:
        sizes = " x ".join(map(str, shape))
        raise DataError(f"{file}: states {sizes} values, {stated} bytes; {actual} follow")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
