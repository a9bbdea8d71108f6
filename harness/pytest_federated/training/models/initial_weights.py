"""Initial weights from a file."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, cast

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.user.files import find
from pytest_federated.user.functions import first_line

if TYPE_CHECKING:
    import tensorflow as tf

KEY = "model.initial_weights"
_NOT_OF_LAYERS = ("optimizer", "metrics")  # in a .keras file
_KERAS = (".h5", ".hdf5", ".keras", ".index")


def load_arrays(path: str, needed: Sequence[tuple[str, tuple[int, ...]]]) -> list[np.ndarray]:
    """Returns the arrays of an .npz archive, in its order, if they have the needed shapes.

    Args:
        path: the path, as the scenario has it.
        needed: for each weight, its description in messages, and its shape.

    Raises:
        DataError: there is no such file.
        ModelError: it is not an archive, or holds arrays of other shapes.

    """
    file = find(path, KEY)
    if file.suffix != ".npz":
        raise ModelError(f"{KEY}: {path!r} is not an .npz archive, which this kind of model needs")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{KEY}: {path!r} is not an .npz archive: {first_line(error)}") from error
    check_shapes(path, [a.shape for a in arrays], needed)
    return arrays


def load_keras(path: str, model: tf.keras.Model) -> None:
    """Sets the weights of a Keras model from a file.

    An .npz archive holds `model.get_weights()` in order; .h5 and .keras a whole Keras model, of
    which only the weights are read, or, if Keras saved them so, its weights only; an .index file
    belongs to a TensorFlow checkpoint.

    Raises:
        DataError: there is no such file.
        ModelError: it cannot be read, or holds weights of other shapes.

    """
    needed = [
        (_description(w.name), tuple(map(int, w.shape))) for w in cast("list[Any]", model.weights)
    ]
    file = find(path, KEY)
    if file.suffix == ".npz":
        model.set_weights(load_arrays(path, needed))
        return
    if file.suffix not in _KERAS:
        raise ModelError(f"{KEY}: {path!r} must end in .npz, {', '.join(_KERAS)}")
    try:
        if file.suffix == ".keras":
            _require_count(path, _count(file), len(needed))
        if file.suffix == ".index":
            loaded: Any = model.load_weights(file.with_suffix(""))
            loaded.assert_existing_objects_matched()
        else:
            # Never the model itself, whose layers may bring code.
            model.load_weights(file)
    except ModelError:
        raise
    except Exception as error:
        if (shapes := _shapes(file)) is not None:
            check_shapes(path, shapes, needed)
        raise ModelError(
            f"{KEY}: the weights in {path!r} are not those of this model: {first_line(error)}"
        ) from error


def check_shapes(
    path: str,
    shapes: Sequence[tuple[int, ...]],
    needed: Sequence[tuple[str, tuple[int, ...]]],
) -> None:
    """Compares the shapes that a file has with those that a model needs.

    Raises:
        ModelError: they differ; the message names the first weight that does.
    """
    for (weight, shape), actual in zip(needed, shapes):
        if tuple(actual) != tuple(shape):
            raise ModelError(
                f"{KEY}: {weight} needs the shape {tuple(shape)}; {path!r} has "
                f"{tuple(actual)} there"
            )
    _require_count(path, len(shapes), len(needed))


def _require_count(path: str, actual: int, needed: int) -> None:
    if actual != needed:
        raise ModelError(f"{KEY}: the model has {needed} arrays of weights; {path!r} has {actual}")


def _description(name: str) -> str:
    """Describes a variable, by its name, in messages."""
    layer, _, weight = name.partition(":")[0].rpartition("/")
    return f"{weight!r} of the layer {layer!r}"


def _shapes(file: Path) -> Optional[list[tuple[int, ...]]]:
    """Returns the shapes of a whole model's weights, in order; None where it has no order."""
    if file.suffix not in (".h5", ".hdf5"):
        return None
    import h5py

    opened: Any
    with contextlib.suppress(OSError, KeyError), h5py.File(file, "r") as opened:
        layers = opened["model_weights"]
        return [
            tuple(layers[layer][weight].shape)
            for layer in layers.attrs["layer_names"]
            for weight in layers[layer].attrs["weight_names"]
        ]
    return None


def _count(file: Path) -> int:
    """Returns the number of arrays of weights in a .keras file."""
    import h5py

    arrays: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and name.partition("/")[0] not in _NOT_OF_LAYERS:
            arrays.append(name)

    whole: Any
    with zipfile.ZipFile(file) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as whole:
        whole.visititems(note)
    return len(arrays)
