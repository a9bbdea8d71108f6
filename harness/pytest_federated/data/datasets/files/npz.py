"""The user's own arrays, in NumPy's archives."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, TaskKind, datasets
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.suffixes import other_reader
from pytest_federated.user.files import UserPath, find


def _glance(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields the keys that name no array of the archives; see `Spec.glance`."""
    keys = ["x", "y", *(["client"] if settings.client else [])]
    names = {key: getattr(settings, key) for key in keys}
    file = find(settings.npz, "data.dataset.npz")
    yield from unknown_arrays(file, names)
    if message := shared.features_are_labels(settings.x, settings.y, ("x", "y"), str(file)):
        yield "x", message
    if settings.test is not None:
        file = find(settings.test, "data.dataset.test")
        names.pop("client", None)  # which a test set may lack
        yield from unknown_arrays(file, _names_in_test(names, settings.x_test, settings.y_test))


@datasets("npz", has_test_set="test", facts=shared.FACTS, glance=_glance)
def npz(
    cache: Cache,
    *,
    npz: UserPath,
    x: Annotated[str, Field(description="The array of features.")] = "x",
    y: Annotated[str, Field(description="The array of labels.")] = "y",
    task: shared.Task = "label",
    client: shared.Client = None,
    test: shared.TestSet = None,
    x_test: Annotated[
        Optional[str], Field(description="The array of features in `test`; that of `x` by default.")
    ] = None,
    y_test: Annotated[
        Optional[str], Field(description="The array of labels in `test`; that of `y` by default.")
    ] = None,
) -> Dataset:
    """Your arrays, as `numpy.savez` writes them: `{npz: data/mine.npz}`.

    The archive has an array `x` (n, ...) of numbers and an array `y` (n,) of labels; the keys `x`
    and `y` set other names. Unsigned numbers of 8 or 16 bits (uint8, uint16) in three dimensions or
    more are images: they are divided by 255 or 65535, and (n, height, width) gets a channel. Other
    numbers are converted to float32 unchanged, also uint8 in two dimensions. Labels are whole
    numbers from 0 up; others, and text, are numbered in sorted order. With `task: binary` there
    are two, of which a model predicts the second with one output. With `task: regression`, `y`
    has numbers, which are used as they are. With `task: tokens`, `y` is (n, t), a whole number
    from 0 up for each position, negative where there is none (padding), and whole numbers in
    `x` are the tokens that a model reads; with `task: tags` it is (n, tags), 1 for each tag of
    an example, else 0. `client` names an array (n,) of text or numbers with each example's
    natural client. `test` is another archive of the same form, the test set; if it has the array
    `client`, too, each natural client is tested on its own examples there. It may be the same
    archive, with other arrays: `{npz: a.npz, x: train_images, y: train_labels, test: a.npz, x_test:
    test_images, y_test: test_labels}`.

    Raises:
        DataError: no such file or array, or values that cannot be features, labels or clients.

    """
    names = {"x": x, "y": y, **({} if client is None else {"client": client})}
    if test is None and (x_test or y_test):
        key = "x_test" if x_test else "y_test"
        raise DataError(
            f"data.dataset.{key}: names an array of data.dataset.test, which is missing"
        )
    file = find(npz, "data.dataset.npz")
    if message := shared.features_are_labels(x, y, ("x", "y"), str(file)):
        raise DataError(message)
    train, held_out = _source(file, names, task), None
    if test is not None:
        if (x_test or y_test) and find(test, "data.dataset.test") == file:
            names.pop("client", None)  # it has a name for each training example
        names = _names_in_test(names, x_test, y_test)
        held_out = _source(find(test, "data.dataset.test"), names, task, optional=("client",))
    return shared.dataset(file.name, train, held_out, task=task)


def _names_in_test(
    names: dict[str, str], x_test: Optional[str], y_test: Optional[str]
) -> dict[str, str]:
    """Returns the names of the arrays of the test set, by the keys that name them."""
    own = {key: name for key, name in names.items() if key not in ("x", "y")}
    x = {"x_test": x_test} if x_test else {"x": names["x"]}
    y = {"y_test": y_test} if y_test else {"y": names["y"]}
    return {**x, **y, **own}


def _source(
    file: Path, names: dict[str, str], task: TaskKind, optional: Sequence[str] = ()
) -> shared.Source:
    arrays = read(file, names, optional)
    titles = {key: f"array {name!r}" for key, name in names.items()}
    x, y = (name if name in names else f"{name}_test" for name in "xy")
    rows = shared.features(arrays[x], f"{file}: {titles[x]}", task)
    client, client_name = arrays.get("client"), titles.get("client", "")
    return shared.Source(rows, arrays[y], str(file), titles[y], client, client_name, titles[x])


def unknown_arrays(file: Path, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yields the keys that name no array of an archive, and why; reads none of the arrays.

    Raises:
        DataError: it is no archive.

    """
    with opened(file) as archive:
        for key, name in names.items():
            message = shared.unknown_name(name, archive.files, key, str(file), "array")
            if message is not None:
                yield key, message


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Any]:
    """Opens an archive.

    Raises:
        DataError: it is no archive, or cannot be read within the block.

    """
    try:
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it is a single array")
        with archive:
            yield archive
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        why = str(error).strip().partition("\n")[0]
        if "pickle" in why and not zipfile.is_zipfile(file):  # what NumPy says of any other file
            why = f"it is none{other_reader(file, 'npz')}"
        raise DataError(f"{file} cannot be read as an .npz archive of NumPy: {why}") from error


def read(file: Path, names: dict[str, str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Reads arrays of an archive by the scenario keys that name them; all have the same length.

    Those under `optional` keys may be missing.

    Raises:
        DataError: it is no archive, lacks an array, or the arrays differ in length.

    """
    with opened(file) as archive:
        absent = {k for k in optional if k in names and names[k] not in archive.files}
        names = {key: name for key, name in names.items() if key not in absent}
        for key, name in names.items():
            shared.require_name(name, archive.files, key, str(file), "array")
        arrays = {key: archive[name] for key, name in names.items()}
    for key, array in arrays.items():
        if not array.ndim:
            raise DataError(f"{file}: array {names[key]!r} is a single value, not rows")
    shared.same_length({names[key]: len(array) for key, array in arrays.items()}, str(file))
    return arrays
