"""Initial weights from a file."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.user.files import find
from pytest_federated.user.functions import first_line

if TYPE_CHECKING:
    import tensorflow as tf

KEY = "model.initial_weights"
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

    An .npz archive holds `model.get_weights()` in order; .h5 and .keras a whole Keras model or, if
    Keras saved them so, its weights only; an .index file belongs to a TensorFlow checkpoint.

    Raises:
        DataError: there is no such file.
        ModelError: it cannot be read, or holds weights of other shapes.

    """
    import tensorflow as tf

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
        if _is_whole_model(file):
            values = tf.keras.models.load_model(file, compile=False).get_weights()
            check_shapes(path, [v.shape for v in values], needed)
            model.set_weights(values)
        elif file.suffix == ".index":
            loaded: Any = model.load_weights(file.with_suffix(""))
            loaded.assert_existing_objects_matched()
        else:
            model.load_weights(file)
    except ModelError:
        raise
    except Exception as error:
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
    if len(shapes) != len(needed):
        raise ModelError(
            f"{KEY}: the model has {len(needed)} arrays of weights; {path!r} has {len(shapes)}"
        )


def _description(name: str) -> str:
    """Describes a variable, by its name, in messages."""
    layer, _, weight = name.partition(":")[0].rpartition("/")
    return f"{weight!r} of the layer {layer!r}"


def _is_whole_model(file: Path) -> bool:
    """Returns whether a file holds a model, not only its weights."""
    if file.suffix == ".keras":
        return True
    if file.suffix == ".index":
        return False
    import h5py

    opened: Any
    with h5py.File(file, "r") as opened:
        return "model_config" in opened.attrs
