"""Guesses of folders: images, LEAF's and Hugging Face's, or a table in it."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Optional

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.files.huggingface import columns_of, splits_of
from pytest_federated.data.datasets.files.image_folder import SUFFIXES
from pytest_federated.data.guesses import names
from pytest_federated.data.guesses.archives import guess_archive
from pytest_federated.data.guesses.guess import Guess
from pytest_federated.data.guesses.images import SCALED, add_size
from pytest_federated.data.guesses.tables import guess_table

_TABLES = (".csv", ".tsv", ".parquet", ".pq")


def guess_folder(
    folder: Path, path: str, label: Optional[str] = None, client: Optional[str] = None
) -> Guess:
    """Guesses how a folder is read; `label` and `client` are columns, if known.

    Raises:
        DataError: nothing in it is known.

    """
    name = names.as_name(folder.resolve().name)
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _guess_saved(folder, path, name, label, client)
    if any((folder / "train").glob("*.json")) and any((folder / "test").glob("*.json")):
        _refuse_names(folder, label, client)
        return Guess(name, {"leaf": path}, {"leaf": "train/ and test/ have .json files"})
    images = [f for f in sorted(folder.rglob("*")) if f.suffix.lower() in SUFFIXES]
    images = [f for f in images if not any(p[0] == "." for p in f.relative_to(folder).parts)]
    files = [f for f in sorted(folder.iterdir()) if f.is_file()]
    tables = [f for f in files if f.suffix.lower() in _TABLES]
    inner = f"{path.rstrip('/')}/"
    if images:
        for table in tables:
            with contextlib.suppress(DataError):
                guess = guess_table(table, inner + table.name, label, client)
                if "image_manifest" in guess.settings:
                    guess.name = name
                    return guess
        _refuse_names(folder, label, client)
        return _guess_images(folder, path, name, images)
    train = [f for f in tables if "train" in f.name.lower()]
    if len(tables) == 1 or len(train) == 1:
        table = (train or tables)[0]
        return guess_table(table, inner + table.name, label, client)
    archives = [f for f in files if f.suffix == ".npz"]
    if len(archives) == 1:
        return guess_archive(archives[0], inner + archives[0].name, label, client)
    what = ", ".join(f.name for f in [*tables, *archives][:5])
    which = f"; name one of its files: {what}" if what else ""
    raise DataError(
        f"{folder}: it has no images in folders, no files of LEAF or Hugging Face, and not one "
        f"table{which}"
    )


def _refuse_names(folder: Path, label: Optional[str], client: Optional[str]) -> None:
    """Raises DataError if a column is named, where there are none."""
    for option, name in (("--label", label), ("--client", client)):
        if name is not None:
            raise DataError(f"{option}: got {name!r}; {folder} has no columns to name")


def _guess_images(folder: Path, path: str, name: str, images: list[Path]) -> Guess:
    (depth, _), *more = Counter(len(f.relative_to(folder).parts) for f in images).most_common()
    labels = {f.parent.name for f in images}
    in_parts = {f.relative_to(folder).parts[1:2] for f in images} <= {("train",), ("test",)}
    if more or not (depth in (2, 3) or (depth == 4 and in_parts)) or len(labels) < 2:
        raise DataError(
            f"{folder}: images must be there as label/image or client/label/image, of several "
            "labels, or be listed in a table beside them"
        )
    guess = Guess(name, {"image_folder": path})
    tops = {f.relative_to(folder).parts[0] for f in images}
    if depth == 3 and {t.lower() for t in tops} <= {"train", "test", "val", "valid", "validation"}:
        by_name = {top.lower(): top for top in tops}
        if "train" not in by_name:
            raise DataError(f"{folder}: there is no folder train beside {', '.join(sorted(tops))}")
        guess.settings["image_folder"] = f"{path.rstrip('/')}/{by_name['train']}"
        if "test" in by_name:
            guess.add("test", f"{path.rstrip('/')}/{by_name['test']}", "beside the training images")
        guess.notes += [f"{top} is not used" for top in sorted(tops) if top.lower()[:3] == "val"]
        images = [f for f in images if f.relative_to(folder).parts[0] == by_name["train"]]
        labels = {f.parent.name for f in images}
    elif depth > 2:
        guess.add("by_client", True, f"{len(tops):,} folders of clients, with label folders")
    guess.reasons["image_folder"] = f"{len(images):,} images in folders of {len(labels)} labels"
    if len(labels) == 2:
        guess.add("task", "binary", "two labels")
    add_size(guess, images)
    return guess


def _guess_saved(
    folder: Path, path: str, name: str, label: Optional[str], client: Optional[str]
) -> Guess:
    """Guesses how a folder of Hugging Face's `datasets` is read."""
    guess = Guess(name, {"huggingface": path})
    guess.reasons["huggingface"] = "was written by save_to_disk"
    part = folder
    splits = splits_of(folder)
    if splits is not None:
        train = "train" if "train" in splits else splits[0] if splits else "train"
        if train != "train":
            guess.add("train", train, "the first split")
        if "test" in splits:
            guess.add("test", "test", "a split of that name")
        part = folder / train
    columns = columns_of(part)
    kinds = {name: stated.get("_type") for name, stated in columns.items()}
    images = [n for n, kind in kinds.items() if kind == "Image"]
    stated = [n for n, kind in kinds.items() if kind == "ClassLabel"]
    target = label or (stated[0] if stated else names.label_like(columns))
    if target is None:
        raise DataError(f"{folder}: no column says that it is the label; --label names it")
    features = images[:1] or [
        n for n, kind in kinds.items() if n != target and kind not in ("Value", "ClassLabel")
    ]
    if not features:
        raise DataError(f"{folder}: no column but {target!r} is a list or an image to learn from")
    if features[0] != "image":
        guess.add("features", features[0], "the first column of images or lists")
    if target != "label":
        guess.add("label", target, "as you say" if label else "a class label, or by its name")
    clients = [client] if client else [n for n in names.client_like(columns) if n != target]
    if clients:
        guess.add("client", clients[0], "as you say" if client else "by its name")
    if images:
        guess.add("size", [SCALED, SCALED], "images may have several sizes")
    return guess
