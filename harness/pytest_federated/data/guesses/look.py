"""Looks at data of any kind, and guesses how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from pytest_federated.core.errors import DataError
from pytest_federated.core.suggestions import suggest
from pytest_federated.data.datasets.dataset import datasets
from pytest_federated.data.guesses.archives import guess_archive
from pytest_federated.data.guesses.folders import guess_folder
from pytest_federated.data.guesses.guess import Guess
from pytest_federated.data.guesses.names import as_name
from pytest_federated.data.guesses.tables import guess_table
from pytest_federated.user.files import nearest


def look_at(
    data: str, path: str, label: Optional[str] = None, client: Optional[str] = None
) -> Guess:
    """Guesses how a file, a folder, or a registered data set is read.

    Args:
        data: the file or folder, or the name of a data set.
        path: what the scenario calls the file or folder.
        label: the column or array of labels, if known.
        client: that of the clients, if known.

    Raises:
        DataError: there is no such data, or it is not clear what it is.
        DataUnavailable: a package that reads it is not installed.

    """
    file = Path(data).expanduser()
    if file.is_dir():
        return guess_folder(file, path, label, client)
    if file.is_file():
        is_archive = file.suffix.lower() == ".npz"
        return (guess_archive if is_archive else guess_table)(file, path, label, client)
    if data not in datasets:
        hint = nearest([file]) or f"; data sets: {suggest(data, datasets.names())}"
        raise DataError(f"there is no file, folder or data set {data!r}{hint}")
    if label or client:
        option = "--label" if label else "--client"
        raise DataError(
            f"{option}: the data set {data} says itself what its labels and clients are"
        )
    return Guess(as_name(data), {"kind": data, **datasets[data].spec.example})
