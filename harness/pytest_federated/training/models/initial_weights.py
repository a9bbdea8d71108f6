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
    """The arrays of an .npz archive, in its order, as the weights that are needed.

    Args:
        path: the path, as the scenario has it.
        needed: of each weight, the layer or place it belongs to, and its shape.

    Raises:
        DataError: there is no such file.
        ModelError: it is no archive, or holds other shapes.

    """
    file = find(path, KEY)
    if file.suffix != ".npz":
        raise ModelError(f"{KEY}: {path!r} is not an .npz archive, which this kind of model needs")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{KEY}: {path!r} is not an .npz archive: {first_line(error)}") from error
    check(path, [a.shape for a in arrays], needed)
    return arrays


def load_keras(path: str, model: tf.keras.Model) -> None:
    """Sets the weights of a Keras model from a file.

    An .npz archive holds `model.get_weights()` in order; .h5 and .keras a whole Keras model or, if
    Keras saved them so, its weights only; an .index file belongs to a TensorFlow checkpoint.

    Raises:
        DataError: there is no such file.
        ModelError: it cannot be read, or holds other shapes.

    """
    import tensorflow as tf

    needed = [(_place(w.name), tuple(map(int, w.shape))) for w in cast("list[Any]", model.weights)]
    file = find(path, KEY)
    if file.suffix == ".npz":
        model.set_weights(load_arrays(path, needed))
        return
    if file.suffix not in _KERAS:
        raise ModelError(f"{KEY}: {path!r} must end in .npz, {', '.join(_KERAS)}")
    try:
        if _is_whole_model(file):
            values = tf.keras.models.load_model(file, compile=False).get_weights()
            check(path, [v.shape for v in values], needed)
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


def check(
    path: str,
    shapes: Sequence[tuple[int, ...]],
    needed: Sequence[tuple[str, tuple[int, ...]]],
) -> None:
    """Compares the shapes that a file has with those that a model needs.

    Raises:
        ModelError: they differ; names the first layer that does.
    """
    for (place, shape), has in zip(needed, shapes):
        if tuple(has) != tuple(shape):
            raise ModelError(
                f"{KEY}: {place} needs the shape {tuple(shape)}; {path!r} has {tuple(has)} there"
            )
    if len(shapes) != len(needed):
        raise ModelError(
            f"{KEY}: the model has {len(needed)} arrays of weights; {path!r} has {len(shapes)}"
        )


def _place(name: str) -> str:
    layer, _, what = name.partition(":")[0].rpartition("/")
    return f"{what!r} of the layer {layer!r}"


def _is_whole_model(file: Path) -> bool:
    if file.suffix == ".keras":
        return True
    if file.suffix == ".index":
        return False
    import h5py

    opened: Any
    with h5py.File(file, "r") as opened:
        return "model_config" in opened.attrs
