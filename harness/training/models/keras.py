"""The user's own Keras model."""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.runtime.user_code import UserFunction, load
from harness.training.models.base import Outputs, Shape, first_line, models

if TYPE_CHECKING:
    import tensorflow as tf


@models("keras")
def keras(
    shape: Shape,
    *,
    keras: UserFunction,
    args: dict[str, Any] = {},  # noqa: B006 - pydantic copies it
    outputs: Outputs = "logits",
) -> tf.keras.Model:
    """Any Keras 2 model: `keras: "module:function"`, imported from beside the scenario file.

    The function is called with `args`, and with `input_shape` (tuple of int) and `num_classes`
    (int) where it has parameters of these names; it returns an uncompiled `tf.keras.Model`.

    Raises:
        ModelError: the function cannot be imported, or raises.

    """
    import tensorflow as tf

    module, _, name = keras.partition(":")
    try:
        # TFF builds models while autograph rewrites what it meets, and imports are not for it.
        function = tf.autograph.experimental.do_not_convert(load)(keras)
    except ModuleNotFoundError as bad:
        raise ModelError(
            f"model.keras: {first_line(bad)}; looked in the scenario's folder, the folder where "
            "pytest runs, and the installed packages"
        ) from bad
    except AttributeError as bad:
        raise ModelError(f"model.keras: the module {module!r} has no function {name!r}") from bad
    except Exception as bad:
        raise ModelError(f"model.keras: importing {module!r} raised {_where(bad)}") from bad
    known = {"input_shape": shape.input_shape, "num_classes": shape.num_classes}
    try:
        wanted = inspect.signature(function).parameters
        return function(**{k: v for k, v in known.items() if k in wanted}, **args)
    except Exception as bad:
        raise ModelError(f"model.keras: {keras} raised {_where(bad)}") from bad


def _where(error: BaseException) -> str:
    """The error's first line and the innermost line of the user's code that led to it."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename != __file__
        and "site-packages" not in f.filename
        and "importlib" not in f.filename
    ]
    place = (
        f" (line {frames[-1].lineno} of {frames[-1].filename}: {frames[-1].line})" if frames else ""
    )
    return f"{first_line(error)}{place}"
